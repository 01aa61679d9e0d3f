from __future__ import annotations

import copy
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.loops.subjects.transformers import LinearModule, Samples, SampleStream, new_model, trainer
from tests.support.linear_problem import BATCH_SIZE, LEARNING_RATE, expected_costs, problem
from tests.support.loop_subjects import Plan
from tests.support.runs import Bare, Sentence, quiet
from trainsignal import Callbacks, EarlyStopCallback, SaveBestStateCallback, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError, RunStateError, WiringError
from trainsignal.loops.transformers import TransformersLoop
from trainsignal.loops.transformers.loss_hook import LossHook
from trainsignal.models.torch import TorchModel

TrainerCallback: Any = transformers.TrainerCallback
HELD_OUT = Samples(Plan(minibatches=2))


class Fitting:
    """A Trainer for the linear problem, with callbacks of ours, ready to train."""

    def __init__(self, folder: Path, callbacks: Callbacks, **options: Any) -> None:
        self.callbacks = callbacks
        self.heard = Sentence(callbacks)
        loop = TransformersLoop(callbacks, **options.pop("loop", {}))
        others = options.pop("others", [])
        module = options.pop("module", None) or callbacks.model().module
        plan = options.pop("plan", Plan())
        self.trainer = trainer(plan, [*others, loop], module, folder / "trainer", **options)

    def train(self, **options: Any) -> Fitting:
        with self.callbacks:
            self.trainer.train(**options)
        return self

    def series(self, key: str) -> list[float]:
        values: list[float] = self.callbacks.callback_data[key][:].tolist()
        return values

    @property
    def logged(self) -> list[dict[str, float]]:
        """What the Trainer says itself."""
        history: list[dict[str, float]] = self.trainer.state.log_history
        return history

    def logged_values(self, name: str) -> list[float]:
        return [entry[name] for entry in self.logged if name in entry]


def container(model: object = None, **options: Any) -> Callbacks:
    """Return callbacks that record the cost of each minibatch by itself."""
    callbacks = quiet(new_model() if model is None else model, **options)
    kept = [one for one in callbacks.callbacks if not isinstance(one, TrainCostCallback)]
    callbacks.callbacks = [TrainCostCallback(wsz=1), *kept]
    return callbacks


def fitting(folder: Path, **options: Any) -> Fitting:
    return Fitting(folder, container(), **options)


def stops_after(count: int) -> EarlyStopCallback:
    """Return a callback that votes to stop once it has read so many losses."""

    def enough(state: int | None, loss: float) -> tuple[int, bool]:
        read = (state or 0) + 1
        return read, read >= count

    return EarlyStopCallback(enough)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name.startswith("trainsignal")]


# -- what is evaluated ---------------------------------------------------------------------------------


def test_loss_that_the_trainer_evaluates_is_there_at_the_end_of_its_epoch(tmp_path: Path) -> None:
    one = fitting(tmp_path, eval_strategy="epoch", eval_dataset=HELD_OUT)
    at_end: list[float] = []
    one.callbacks.bus.subscribe(
        "epoch_end", lambda callback_data, epoch: at_end.append(callback_data[keys.LOSS][epoch])
    )

    one.train()

    assert len(one.logged_values("eval_loss")) == 3
    np.testing.assert_allclose(at_end, one.logged_values("eval_loss"), rtol=1e-6)
    np.testing.assert_allclose(one.series("metrics/eval_loss"), one.logged_values("eval_loss"))
    assert "metrics/epoch" not in one.callbacks.callback_data


def test_vote_of_who_reads_the_loss_stops_before_the_next_epoch(tmp_path: Path) -> None:
    one = fitting(tmp_path, eval_strategy="epoch", eval_dataset=HELD_OUT)
    one.callbacks.add_callback(stops_after(2))
    one.callbacks.add_callback(SaveBestStateCallback(tmp_path / "best.h5"))

    one.train()

    assert one.heard.text == "TE" + "Bb" * 4 + "eE" + "Bb" * 4 + "etC"
    assert one.callbacks.run.exit_reason == "stopped"
    assert one.trainer.state.global_step == 8
    assert (tmp_path / "best.h5").is_file()


def test_last_evaluation_within_an_epoch_counts_for_it_and_each_for_its_minibatch(tmp_path: Path) -> None:
    one = fitting(tmp_path, eval_strategy="steps", eval_steps=2, eval_dataset=HELD_OUT).train()

    evaluated = one.logged_values("eval_loss")
    assert len(evaluated) == 6
    np.testing.assert_allclose(one.series(keys.LOSS), evaluated[1::2], rtol=1e-6)
    by_minibatch = np.array(one.series("metrics/eval_loss_by_minibatch"))
    np.testing.assert_allclose(by_minibatch[1::2], evaluated)
    assert np.isnan(by_minibatch[::2]).all()
    np.testing.assert_allclose(one.series(keys.TRAIN_COST), expected_costs(4, 3), rtol=1e-5)


def test_epoch_ends_after_the_last_of_several_evaluation_sets(tmp_path: Path) -> None:
    sets = {"near": HELD_OUT, "far": Samples(Plan(minibatches=1))}
    loop = {"loss": "eval_far_loss", "evaluation_sets": 2}

    one = fitting(tmp_path, eval_strategy="epoch", eval_dataset=sets, loop=loop).train()

    assert one.heard.text == "T" + 3 * ("E" + "Bb" * 4 + "e") + "tC"
    assert len(one.logged_values("eval_near_loss")) == 3
    np.testing.assert_allclose(one.series(keys.LOSS), one.logged_values("eval_far_loss"), rtol=1e-6)
    np.testing.assert_allclose(one.series("metrics/eval_near_loss"), one.logged_values("eval_near_loss"))


def test_several_evaluation_sets_of_which_nobody_said_are_refused(tmp_path: Path) -> None:
    sets = {"near": HELD_OUT, "far": HELD_OUT}
    one = fitting(tmp_path, eval_strategy="epoch", eval_dataset=sets)

    with pytest.raises(ConfigurationError, match=r"TransformersLoop\(callbacks, evaluation_sets=2\)"):
        one.train()

    assert one.callbacks.run.exit_reason == "failed"


@pytest.mark.parametrize("count", [0, -1])
def test_number_of_evaluation_sets_that_is_no_count_is_refused(count: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"evaluation_sets={count}: expected 1 or more"):
        TransformersLoop(container(), evaluation_sets=count)


def test_evaluation_before_training_and_after_it_belongs_to_no_epoch(tmp_path: Path) -> None:
    one = fitting(tmp_path, eval_strategy="epoch", eval_on_start=True, eval_dataset=HELD_OUT).train()
    one.trainer.evaluate()

    evaluated = one.logged_values("eval_loss")
    assert len(evaluated) == 5
    np.testing.assert_allclose(one.series(keys.LOSS), evaluated[1:4], rtol=1e-6)


def test_evaluation_after_a_failed_training_is_not_refused(tmp_path: Path) -> None:
    one = fitting(tmp_path, eval_dataset=HELD_OUT)
    one.callbacks.bus.subscribe("epoch_end", lambda: [][0])
    with pytest.raises(IndexError):
        one.train()

    assert "eval_loss" in one.trainer.evaluate()


def test_evaluation_of_which_the_trainer_does_not_tell_ends_the_epoch_before_the_next(tmp_path: Path) -> None:
    one = fitting(tmp_path, eval_strategy="epoch", eval_dataset=HELD_OUT)
    one.trainer.evaluate = lambda **_: {"eval_loss": 1.0}

    one.train()

    assert one.heard.text == "T" + 3 * ("E" + "Bb" * 4 + "e") + "tC"


def test_without_evaluations_nobody_is_said_to_write_the_loss(tmp_path: Path) -> None:
    one = fitting(tmp_path)
    one.callbacks.add_callback(stops_after(1))

    with pytest.raises(WiringError, match="reads 'cost/loss', which no callback writes"):
        one.train()


@pytest.mark.parametrize("name", ["accuracy", "eval_accuracy"])
def test_direction_is_that_by_which_the_trainer_compares_models(tmp_path: Path, name: str) -> None:
    options = {"metric_for_best_model": name, "greater_is_better": True, "eval_strategy": "epoch"}
    one = fitting(tmp_path, eval_dataset=HELD_OUT, **options)
    one.trainer.compute_metrics = lambda _: {"accuracy": 0.5}

    one.train()

    series = one.callbacks.callback_data["metrics/eval_accuracy"]
    assert series[:].tolist() == [0.5, 0.5, 0.5]
    assert series.attrs[keys.DIRECTION] == "max"


# -- what is logged ------------------------------------------------------------------------------------


def test_what_the_trainer_logs_is_written_at_its_minibatch(tmp_path: Path) -> None:
    one = fitting(tmp_path, logging_steps=2, lr_scheduler_type="linear").train()

    for name in ("loss", "learning_rate", "grad_norm"):
        written = np.array(one.series(f"metrics/{name}"))
        np.testing.assert_allclose(written[1::2], one.logged_values(name))
        assert np.isnan(written[::2]).all()
    costs = np.array(one.series(keys.TRAIN_COST)).reshape(-1, 2)
    np.testing.assert_allclose(costs.mean(axis=1), one.logged_values("loss")[:6], rtol=1e-5)
    assert one.logged_values("learning_rate")[0] == pytest.approx(LEARNING_RATE * (1 - 1 / 12))
    assert not {"train_loss", "train_runtime"} & set(one.callbacks.callback_data[keys.METRICS].keys())


# -- what a minibatch is, and costs --------------------------------------------------------------------


def accumulated_costs(accumulated: int) -> list[float]:
    """Return the mean cost of each update of an epoch of 4 batches, by arithmetic."""
    inputs, targets = (one.astype(np.float64) for one in problem(4))
    batches = np.arange(len(inputs)).reshape(4, BATCH_SIZE)
    weights, costs = np.zeros((3, 1)), []
    for start in range(0, 4, accumulated):
        chosen = batches[start : start + accumulated].ravel()
        x, y = inputs[chosen], targets[chosen]
        error = x @ weights - y
        costs.append(float(np.mean(error**2)))
        weights -= LEARNING_RATE * 2 / len(x) * (x.T @ error)
    return costs


@pytest.mark.parametrize("accumulated, minibatches", [(2, 2), (3, 2), (4, 1)])
def test_minibatch_is_an_update_and_its_cost_the_mean_of_its_batches(
    tmp_path: Path, accumulated: int, minibatches: int
) -> None:
    one = fitting(tmp_path, gradient_accumulation_steps=accumulated, plan=Plan(epochs=1)).train()

    assert one.heard.text == "TE" + "Bb" * minibatches + "etC"
    assert one.callbacks.callback_data[keys.CONFIG].attrs[keys.TOTAL_MINIBATCHES] == minibatches
    np.testing.assert_allclose(one.series(keys.TRAIN_COST), accumulated_costs(accumulated), rtol=1e-5)


class ShareModule(LinearModule):
    """Its loss is the share of a batch in the step, as that of language models."""

    def forward(self, inputs: Any, labels: Any = None, num_items_in_batch: Any = None, **_: Any) -> Any:
        outputs = super().forward(inputs)["logits"]
        loss = torch.nn.functional.mse_loss(outputs, labels, reduction="sum") / num_items_in_batch
        return {"loss": loss, "logits": outputs}


def test_shares_of_a_step_are_added_up(tmp_path: Path) -> None:
    callbacks = container(TorchModel(ShareModule()))

    one = Fitting(tmp_path, callbacks, gradient_accumulation_steps=3, plan=Plan(epochs=1)).train()

    np.testing.assert_allclose(one.series(keys.TRAIN_COST), accumulated_costs(3), rtol=1e-5)


def test_too_few_batches_for_an_update_are_a_minibatch_too(tmp_path: Path) -> None:
    plan = Plan(minibatches=3)
    options = {"data": SampleStream(plan), "max_steps": 2, "gradient_accumulation_steps": 2}

    one = fitting(tmp_path, plan=plan, **options).train()

    assert one.heard.text == "TEBbBbeEBbetC"
    assert np.isfinite(one.series(keys.TRAIN_COST)).all()


@pytest.mark.parametrize(
    "length", [{"max_steps": 6}, {"num_train_epochs": 1.5}], ids=["max_steps", "num_train_epochs"]
)
def test_part_of_an_epoch_is_an_epoch(tmp_path: Path, length: dict[str, Any]) -> None:
    one = fitting(tmp_path, **length).train()

    assert one.heard.calls[0] == ("train_begin", 2)
    assert one.heard.text == "TE" + "Bb" * 4 + "eE" + "Bb" * 2 + "etC"
    assert one.callbacks.run.exit_reason == "completed"


class TupleModule(LinearModule):
    """Returns a tuple, the loss first, as models of transformers do with `return_dict=False`."""

    def forward(self, inputs: Any, labels: Any = None) -> Any:
        return tuple(super().forward(inputs, labels).values())


def test_loss_is_found_in_a_tuple(tmp_path: Path) -> None:
    one = Fitting(tmp_path, container(TorchModel(TupleModule()))).train()

    np.testing.assert_allclose(one.series(keys.TRAIN_COST), expected_costs(4, 3), rtol=1e-5)


def mean_squared_error(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs
    return torch.nn.functional.mse_loss(logits.reshape(labels.shape), labels)


class RowModule(LinearModule):
    """Returns nothing but its outputs, (samples,)."""

    def forward(self, inputs: Any, labels: Any = None) -> Any:
        return super().forward(inputs)["logits"][:, 0]


@pytest.mark.parametrize("kind", [LinearModule, RowModule])
def test_cost_is_missing_and_warned_of_once_where_outputs_hold_no_loss(
    tmp_path: Path, kind: type[LinearModule], caplog: pytest.LogCaptureFixture
) -> None:
    one = Fitting(tmp_path, container(TorchModel(kind())))
    one.trainer.compute_loss_func = mean_squared_error

    one.train()

    assert np.isnan(one.series(keys.TRAIN_COST)).all()
    assert [text for text in warnings_in(caplog) if "no cost of minibatches is known" in text] == [
        "no cost of minibatches is known: the model's outputs hold no loss. Set callbacks.run.cost = loss "
        "where the Trainer computes it, as in an overridden compute_loss."
    ]


@pytest.mark.parametrize("is_device_value", [True, False])
def test_cost_is_what_the_user_sets_where_outputs_hold_no_loss(
    tmp_path: Path, is_device_value: bool, caplog: pytest.LogCaptureFixture
) -> None:
    one = fitting(tmp_path)

    def told(*arguments: Any, **options: Any) -> Any:
        loss = mean_squared_error(*arguments, **options)
        one.callbacks.run.cost = loss if is_device_value else loss.item()
        return loss

    one.trainer.compute_loss_func = told

    one.train()

    np.testing.assert_allclose(one.series(keys.TRAIN_COST), expected_costs(4, 3), rtol=1e-5)
    assert warnings_in(caplog) == []


def test_loss_in_the_outputs_that_is_not_trained_on_can_be_left_aside(tmp_path: Path) -> None:
    one = fitting(tmp_path, loop={"is_loss_in_outputs": False})
    original = one.trainer.compute_loss

    def doubled(*arguments: Any, **options: Any) -> Any:
        loss = 2 * original(*arguments, **options)
        one.callbacks.run.cost = loss
        return loss

    one.trainer.compute_loss = doubled

    one.train()

    assert one.series(keys.TRAIN_COST)[0] == pytest.approx(2 * expected_costs(4, 1)[0], rel=1e-5)


# -- model and wrapper ---------------------------------------------------------------------------------


def test_hook_takes_nothing_along_where_the_model_is_copied_or_pickled_amid_a_step(tmp_path: Path) -> None:
    one = fitting(tmp_path)
    copies: list[Any] = []

    class Copies(TrainerCallback):  # type: ignore[misc]  # untyped framework
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            copies.append(copy.deepcopy(kwargs["model"]))
            copies.append(pickle.loads(pickle.dumps(kwargs["model"])))  # of our own making

    one.trainer.add_callback(Copies)

    one.train()

    hooks = [hook for made in copies for hook in made._forward_hooks.values()]
    assert len(hooks) == len(copies) == 24
    assert all(isinstance(hook, LossHook) and hook.take() is None for hook in hooks)


@pytest.mark.parametrize("is_failing", [False, True])
def test_wrapper_knows_what_the_trainer_trains_with(tmp_path: Path, is_failing: bool) -> None:
    one = fitting(tmp_path)
    model = one.callbacks.model()
    during: list[Any] = []

    def look() -> None:
        during.extend([*model.optimizers, *model.schedulers])
        if is_failing:
            raise ZeroDivisionError

    one.callbacks.bus.subscribe("epoch_end", look, at=[1])
    if is_failing:
        with pytest.raises(ZeroDivisionError):
            one.train()
    else:
        one.train()

    assert during == [one.trainer.optimizer, one.trainer.lr_scheduler]
    assert not model.module._forward_hooks


def test_model_is_as_before_where_the_run_cannot_begin(tmp_path: Path) -> None:
    one = fitting(tmp_path)
    one.callbacks.add_callback(stops_after(1))

    with pytest.raises(WiringError):
        one.train()

    assert not one.callbacks.model().module._forward_hooks


def test_optimizer_of_the_wrapper_stays(tmp_path: Path) -> None:
    module = LinearModule()
    mine = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
    model = TorchModel(module, optimizer=mine)
    one = Fitting(tmp_path, container(model))
    during: list[Any] = []
    one.callbacks.bus.subscribe("epoch_end", lambda: during.extend(model.optimizers), at=[1])

    one.train()

    assert during == [mine]


@pytest.mark.parametrize("wrap", [TorchModel, lambda module: module], ids=["wrapper", "module"])
def test_another_model_than_the_trained_one_is_refused(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    one = Fitting(tmp_path, container(wrap(LinearModule())), module=LinearModule())

    with pytest.raises(ConfigurationError, match=r"give it TorchModel\(trainer\.model\)"):
        one.train()


@pytest.mark.parametrize("wrap", [lambda module: module, lambda module: Bare()], ids=["module", "other"])
def test_model_need_not_be_wrapped(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    module = LinearModule()

    one = Fitting(tmp_path, container(wrap(module)), module=module).train()

    np.testing.assert_allclose(one.series(keys.TRAIN_COST), expected_costs(4, 3), rtol=1e-5)


def test_what_is_no_container_is_refused() -> None:
    with pytest.raises(TypeError, match="is no Callbacks object"):
        TransformersLoop([])  # type: ignore[arg-type]  # what a user may pass


def test_second_training_with_the_same_container_closes_the_first_that_is_still_open(tmp_path: Path) -> None:
    one = fitting(tmp_path, plan=Plan(fail_at=(1, 0)))
    with pytest.raises(Exception, match="epoch 1"):
        one.trainer.train()  # without `with callbacks:` nobody hears of it

    with pytest.raises(RunStateError, match="has served a run already"):
        one.trainer.train()

    assert one.callbacks.run.exit_reason == "failed"


# -- resuming ------------------------------------------------------------------------------------------


class DropoutModule(LinearModule):
    """Draws random numbers while it trains."""

    def forward(self, inputs: Any, labels: Any = None) -> Any:
        return super().forward(torch.nn.functional.dropout(inputs, 0.3, self.training), labels)


SHUFFLED: dict[str, Any] = {
    "plan": Plan(epochs=4), "train_sampling_strategy": "random", "optim": "adamw_torch",
    "lr_scheduler_type": "linear", "logging_steps": 1, "seed": 3,
}  # fmt: skip


class Resumable(Fitting):
    """A training that saves checkpoints of ours in a folder, and goes on from one."""

    def __init__(self, folder: Path, *, is_resumed: bool = False, is_served: bool = False, **more: Any):
        folder.mkdir(exist_ok=True)
        files = {"output_file": folder / "run.h5", "save_path": folder / "model.h5"}
        every = 1 if is_served else None
        callbacks = container(TorchModel(DropoutModule()), **files, resume=is_resumed, checkpoint_every=every)
        super().__init__(folder, callbacks, **(SHUFFLED | more))
        if is_served:
            self.trainer.get_train_dataloader = self._served

    def _served(self) -> Any:
        data, collate = self.trainer.train_dataset, self.trainer.data_collator
        loader = torch.utils.data.DataLoader(data, BATCH_SIZE, shuffle=True, collate_fn=collate)
        return self.callbacks.serve(loader)

    def cut(self, cut_at: int, minibatch: int) -> None:
        """Train until the run is cut short before a minibatch of the epoch `cut_at`."""

        def fail() -> None:
            raise ZeroDivisionError

        self.callbacks.bus.subscribe(
            "minibatch_begin", fail, at=[minibatch], when=lambda epoch: epoch == cut_at
        )
        with pytest.raises(ZeroDivisionError):
            self.train()


def assert_same_training(one: Fitting, other: Fitting) -> None:
    for key in (keys.TRAIN_COST, "metrics/learning_rate"):
        np.testing.assert_array_equal(one.series(key), other.series(key))
    assert torch.equal(
        one.callbacks.model().module.linear.weight, other.callbacks.model().module.linear.weight
    )


def test_resumed_run_is_the_same_run_order_dropout_optimizer_and_schedule_included(tmp_path: Path) -> None:
    whole = Resumable(tmp_path / "whole").train()
    Resumable(tmp_path / "cut").cut(2, 0)

    resumed = Resumable(tmp_path / "cut", is_resumed=True).train()

    assert resumed.heard.text == "T" + 2 * ("E" + "Bb" * 4 + "e") + "tC"
    assert_same_training(whole, resumed)


@pytest.mark.parametrize("length", [{}, {"max_steps": 14}], ids=["epochs", "max_steps"])
def test_run_goes_on_within_an_epoch_if_its_loader_is_served(tmp_path: Path, length: dict[str, Any]) -> None:
    whole = Resumable(tmp_path / "whole", is_served=True, **length).train()
    Resumable(tmp_path / "cut", is_served=True, **length).cut(3, 1)

    resumed = Resumable(tmp_path / "cut", is_served=True, is_resumed=True, **length).train()

    assert resumed.heard.text == ("TEBbetC" if length else "TEBbBbBbetC")
    assert_same_training(whole, resumed)


def test_checkpoint_that_ctrl_c_leaves_holds_what_the_trainer_made(tmp_path: Path) -> None:
    whole = Resumable(tmp_path / "whole", is_served=True).train()
    cut = Resumable(tmp_path / "cut", is_served=True)
    cut.callbacks.bus.subscribe(
        "minibatch_begin", lambda: os.kill(os.getpid(), signal.SIGINT), at=[2], once=True
    )
    with pytest.raises(KeyboardInterrupt):
        cut.train()

    resumed = Resumable(tmp_path / "cut", is_served=True, is_resumed=True).train()

    np.testing.assert_array_equal(whole.series(keys.TRAIN_COST), resumed.series(keys.TRAIN_COST))


@pytest.mark.parametrize("length", [{}, {"max_steps": 16}], ids=["epochs", "max_steps"])
def test_run_that_is_complete_is_not_trained_on(tmp_path: Path, length: dict[str, Any]) -> None:
    done = Resumable(tmp_path, **length).train()
    again = Resumable(tmp_path, is_resumed=True, **length)

    with pytest.raises(ConfigurationError, match=r"is complete.*do not call train\(\), or ask for more"):
        again.train()

    assert again.callbacks.run.exit_reason == "completed"
    weights = [one.callbacks.model().module.linear.weight for one in (done, again)]
    assert torch.equal(*weights)


def test_run_that_the_trainer_goes_on_with_is_numbered_as_the_trainer_does(tmp_path: Path) -> None:
    saved = {"save_strategy": "steps", "save_steps": 2}
    whole = fitting(tmp_path, **saved).train()
    one = fitting(tmp_path, **saved).train(resume_from_checkpoint=str(tmp_path / "trainer/checkpoint-6"))

    assert one.heard.text == "TE" + "Bb" * 2 + "eE" + "Bb" * 4 + "etC"
    assert one.heard.calls[2] == ("minibatch_begin", 1, 2)
    assert one.callbacks.run.exit_reason == "completed"
    np.testing.assert_array_equal(one.series(keys.TRAIN_COST)[6:], whole.series(keys.TRAIN_COST)[6:])
    assert np.isnan(one.series(keys.TRAIN_COST)[:6]).all()


def test_run_of_unknown_length_that_the_trainer_goes_on_with_counts_its_steps(tmp_path: Path) -> None:
    def stream() -> Fitting:
        options = {"data": SampleStream(Plan()), "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
        return fitting(tmp_path, accelerator_config={"dispatch_batches": False}, **options)

    stream().train()
    one = stream().train(resume_from_checkpoint=str(tmp_path / "trainer/checkpoint-2"))

    assert one.heard.calls[2] == ("minibatch_begin", 0, 2)
    assert one.heard.text == "TEBbBbetC"


def test_trainer_that_begins_the_epoch_anew_does_so_for_us(tmp_path: Path) -> None:
    saved = {"save_strategy": "steps", "save_steps": 2}
    fitting(tmp_path, **saved).train()
    one = fitting(tmp_path, ignore_data_skip=True, **saved)

    one.train(resume_from_checkpoint=str(tmp_path / "trainer/checkpoint-6"))

    assert one.heard.calls[2] == ("minibatch_begin", 1, 0)


def test_two_checkpoints_to_go_on_from_are_refused(tmp_path: Path) -> None:
    Resumable(tmp_path, save_strategy="epoch").train()
    both = Resumable(tmp_path, is_resumed=True)

    with pytest.raises(ConfigurationError, match="from our checkpoint and from the Trainer's"):
        both.trainer.train(resume_from_checkpoint=str(tmp_path / "trainer/checkpoint-8"))

    assert both.callbacks.run.exit_reason == "failed"


# -- several processes ---------------------------------------------------------------------------------


@pytest.fixture
def broadcasts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[bool]]]:
    """Yield what a process of two tells the others, which is not sent."""
    sent: list[list[bool]] = []
    monkeypatch.setattr(
        "trainsignal.loops.transformers.loop.accelerate.broadcast_object_list",
        lambda wanted: sent.append(list(wanted)),
    )
    monkeypatch.setattr(transformers.TrainingArguments, "world_size", 2)
    yield sent


def test_all_processes_stop_at_the_end_of_the_epoch(tmp_path: Path, broadcasts: list[list[bool]]) -> None:
    one = fitting(tmp_path)
    one.callbacks.bus.subscribe("minibatch_end", lambda: one.callbacks.stop("enough"), at=[1], once=True)

    one.train()

    assert one.heard.text == "TE" + "Bb" * 4 + "etC"
    assert broadcasts == [[True]]


def test_other_processes_drive_nothing_and_hear_of_the_stop(
    tmp_path: Path, broadcasts: list[list[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(wanted: list[bool]) -> None:
        broadcasts.append(list(wanted))
        wanted[0] = len(broadcasts) == 2

    monkeypatch.setattr("trainsignal.loops.transformers.loop.accelerate.broadcast_object_list", tell)
    one = fitting(tmp_path, eval_strategy="epoch", eval_dataset=HELD_OUT, logging_steps=1)
    one.trainer.is_world_process_zero = lambda: False

    one.train()

    assert one.heard.text == ""
    assert broadcasts == [[False], [False]]
    assert one.trainer.state.global_step == 8
    assert not one.callbacks.run.has_begun
