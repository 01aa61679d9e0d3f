from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pytorch
import numpy as np
import pytest
import torch

from tests.support.linear_problem import FEATURES, LEARNING_RATE, batches, expected_costs
from tests.support.loop_subjects import Plan
from tests.support.runs import Sentence, quiet
from trainsignal import Callbacks, SaveBestStateCallback, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError, RunStateError, WiringError
from trainsignal.loops.lightning import LightningLoop
from trainsignal.models.torch import TorchModel

pytestmark = [  # of PyTorch, at Lightning itself
    pytest.mark.filterwarnings(r"ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
]

LightningModule: Any = pytorch.LightningModule
Hook = Callable[..., object]


class Linear(LightningModule):  # type: ignore[misc]  # untyped framework
    """Weights of the linear problem; `hooks` are called before its own, by name."""

    def __init__(self, **hooks: Hook) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(FEATURES, 1, bias=False)
        torch.nn.init.zeros_(self.linear.weight)
        self.hooks = hooks

    def _hook(self, name: str, *arguments: object) -> Any:
        hook = self.hooks.get(name)
        return None if hook is None else hook(self, *arguments)

    def _loss(self, batch: Any) -> Any:
        inputs, targets = (torch.as_tensor(one) for one in batch)
        return torch.nn.functional.mse_loss(self.linear(inputs), targets)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self._loss(batch)
        self._hook("training_step", loss, batch_idx)
        return loss

    def on_train_epoch_end(self) -> None:
        self._hook("on_train_epoch_end")

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> Any:
        return self._hook("on_train_batch_start", batch_idx)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)
        return [optimizer], [torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)]


class Validated(Linear):
    """Logs its loss on the validation set."""

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self._loss(batch))


class Manual(Linear):
    """Steps its optimizer itself."""

    def __init__(self, **hooks: Hook) -> None:
        super().__init__(**hooks)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss = self._loss(batch)
        self.manual_backward(loss)
        optimizer.step()
        return self._hook("training_step", loss, batch_idx)


class AtEachBatch(pytorch.Callback):  # type: ignore[misc]  # untyped framework
    """Notes what `look` returns of the trainer before each batch."""

    def __init__(self, look: Callable[[Any, int], object]) -> None:
        self.look = look
        self.seen: list[object] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(self.look(trainer, batch_idx))


class Batches:
    """A loader of given batches; Lightning takes a plain list for a collection of loaders."""

    def __init__(self, given: Iterable[Any]) -> None:
        self.given = list(given)

    def __len__(self) -> int:
        return len(self.given)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.given)


def loader(minibatches: int) -> Batches:
    """Return the linear problem as tensors."""
    return Batches(
        (torch.from_numpy(inputs), torch.from_numpy(targets)) for inputs, targets in batches(minibatches)
    )


def trainer_for(callbacks: Callbacks, *others: Any, loss: str | None = None, **options: Any) -> Any:
    options = {"max_epochs": 3, "num_sanity_val_steps": 0, "enable_checkpointing": False, **options}
    return pytorch.Trainer(
        callbacks=[LightningLoop(callbacks, loss), *others], accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip


def container(module: Any, **options: Any) -> Callbacks:
    """Return callbacks that record the cost of each minibatch by itself."""
    callbacks = quiet(TorchModel(module), **options)
    callbacks.callbacks = [one for one in callbacks.callbacks if not isinstance(one, TrainCostCallback)]
    callbacks.add_callback(TrainCostCallback(wsz=1), insert_pos=0)
    return callbacks


def fit(module: Any, *others: Any, validate: bool = False, **options: Any) -> Callbacks:
    """Train anew on four batches an epoch."""
    callbacks = container(module)
    trainer_for(callbacks, *others, **options).fit(module, loader(4), loader(2) if validate else None)
    return callbacks


def series(callbacks: Callbacks, name: str) -> list[float]:
    found: list[float] = callbacks.callback_data[keys.metric(name)][:].tolist()
    return found


def numbers_of(numbers: list[float]) -> Callable[[Any], None]:
    """Return a hook that logs one of these as "late", an epoch each."""
    return lambda module: module.log("late", numbers[module.trainer.current_epoch])


# -- what the module logs ------------------------------------------------------------------------------


def test_what_is_logged_at_the_end_of_an_epoch_is_there_at_its_end() -> None:
    callbacks = fit(Linear(on_train_epoch_end=numbers_of([1.0, 2.0, 3.0])))

    assert series(callbacks, "late") == [1.0, 2.0, 3.0]


def test_what_is_logged_at_each_step_is_there_as_mean_and_as_last_value() -> None:
    module = Linear(
        training_step=lambda self, loss, index: self.log("loss", loss, on_step=True, on_epoch=True)
    )

    callbacks = fit(module, max_epochs=2)

    costs = expected_costs(4, 2).reshape(2, 4)
    np.testing.assert_allclose(series(callbacks, "loss_epoch"), costs.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(series(callbacks, "loss_step"), costs[:, -1], rtol=1e-5)


def test_the_validation_loss_becomes_the_cost_that_others_read(tmp_path: Path) -> None:
    module = Validated()
    callbacks = quiet(TorchModel(module))
    callbacks.add_callback(SaveBestStateCallback(tmp_path / "best.h5"))

    trainer_for(callbacks).fit(module, loader(4), loader(2))

    (last,) = trainer_for(quiet()).validate(module, loader(2), verbose=False)
    losses = callbacks.callback_data[keys.LOSS][:]
    assert losses[-1] == pytest.approx(last["val_loss"])
    assert losses.tolist() == pytest.approx(series(callbacks, "val_loss"))
    assert (tmp_path / "best.h5").exists()


def test_an_epoch_without_validation_has_no_value_left_over_from_another() -> None:
    callbacks = fit(Validated(), validate=True, max_epochs=4, check_val_every_n_epoch=2)

    assert np.isnan(callbacks.callback_data[keys.LOSS][:]).tolist() == [True, False, True, False]


def test_of_several_validations_within_an_epoch_the_last_counts() -> None:
    last: list[float] = []
    module = Validated(on_train_epoch_end=lambda self: last.append(self.trainer.callback_metrics["val_loss"]))

    callbacks = fit(module, validate=True, val_check_interval=0.5)

    np.testing.assert_array_equal(series(callbacks, "val_loss"), np.array(last))


def test_another_name_of_the_validation_loss_can_be_given() -> None:
    callbacks = fit(Linear(on_train_epoch_end=numbers_of([3.0, 2.0, 1.0])), loss="late")

    assert callbacks.callback_data[keys.LOSS][:].tolist() == [3.0, 2.0, 1.0]


def test_without_validation_who_reads_its_loss_is_refused_at_the_begin(tmp_path: Path) -> None:
    module = Linear()
    callbacks = quiet(TorchModel(module))
    callbacks.add_callback(SaveBestStateCallback(tmp_path / "best.h5"))

    with pytest.raises(WiringError, match="reads 'cost/loss', which no callback writes"):
        trainer_for(callbacks).fit(module, loader(4))


def test_the_sanity_check_publishes_nothing() -> None:
    heard: list[str] = []
    module = Validated()
    callbacks = container(module)
    callbacks.bus.subscribe("train_begin", lambda: heard.append("train_begin"))
    sanity = SimpleNamespace(on_sanity_check_end=lambda trainer, module: heard.append("sanity_check_end"))

    trainer_for(callbacks, lightning_callback(sanity), num_sanity_val_steps=1, max_epochs=1).fit(
        module, loader(4), loader(2)
    )

    assert heard == ["sanity_check_end", "train_begin"]
    assert len(callbacks.callback_data[keys.LOSS]) == 1


def lightning_callback(hooks: Any) -> Any:
    """Return a Lightning callback with these hooks."""
    return type(
        "Hooks", (pytorch.Callback,), {name: staticmethod(hook) for name, hook in vars(hooks).items()}
    )()


def test_validate_test_and_predict_publish_nothing() -> None:
    module = Validated()
    callbacks = quiet(TorchModel(module))
    heard = Sentence(callbacks)

    trainer_for(callbacks).validate(module, loader(2), verbose=False)

    assert heard.text == ""


# -- minibatches and their costs -----------------------------------------------------------------------


def test_the_cost_of_accumulated_minibatches_is_not_divided() -> None:
    callbacks = fit(Linear(), max_epochs=1, accumulate_grad_batches=4)

    weights = np.zeros((FEATURES, 1))  # no step is taken within the epoch
    expected = [np.mean((x @ weights - y) ** 2) for x, y in batches(4)]
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], expected, rtol=1e-5)


@pytest.mark.parametrize("returned", ["loss", "dict"])
def test_manual_optimization_tells_the_cost_that_the_step_returns(returned: str) -> None:
    make: dict[str, Hook] = {
        "loss": lambda self, loss, index: loss,
        "dict": lambda self, loss, index: {"loss": loss, "other": index},
    }
    callbacks = fit(Manual(training_step=make[returned]))

    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], expected_costs(4, 3), rtol=1e-5)


def test_a_step_that_returns_nothing_leaves_the_cost_unknown() -> None:
    module = Manual(training_step=lambda self, loss, index: loss if index else None)

    callbacks = fit(module, max_epochs=2)

    missing = np.isnan(callbacks.callback_data[keys.TRAIN_COST][:])
    assert missing.tolist() == [True, False, False, False] * 2


def test_an_epoch_that_the_module_cuts_short_ends() -> None:
    module = Linear(on_train_batch_start=lambda self, index: -1 if index == 2 else None)
    callbacks = container(module)
    heard = Sentence(callbacks)

    trainer_for(callbacks, max_epochs=2).fit(module, loader(4))

    assert heard.text == "T" + 2 * ("E" + 3 * "Bb" + "e") + "tC"


def test_a_batch_of_none_is_no_minibatch() -> None:
    module = Linear()
    callbacks = container(module)
    heard = Sentence(callbacks)

    with pytest.warns(UserWarning, match="train_dataloader yielded None"):
        trainer_for(callbacks, max_epochs=1).fit(
            module, Batches([loader(2).given[0], None, loader(2).given[1]])
        )

    assert heard.text == "TEBbBbetC"


@pytest.mark.parametrize(
    ("options", "epochs", "minibatches"),
    [
        ({}, 3, 4),
        ({"limit_train_batches": 2}, 3, 2),
        ({"overfit_batches": 1}, 3, 1),
        ({"max_epochs": -1, "max_steps": 8}, None, 4),
        ({"max_epochs": None, "max_steps": 8}, None, 4),
    ],
    ids=["plain", "limited", "overfitted", "steps", "steps alone"],
)
def test_the_length_of_the_run_is_what_the_trainer_knows_of_it(
    options: dict[str, Any], epochs: int | None, minibatches: int
) -> None:
    callbacks = fit(Linear(), **options)

    run = callbacks.run
    assert (run.total_epochs, run.minibatches_per_epoch) == (epochs, minibatches)


def test_a_limit_of_steps_amid_an_epoch_ends_it_there() -> None:
    module = Linear()
    callbacks = container(module)
    heard = Sentence(callbacks)

    trainer_for(callbacks, max_steps=6).fit(module, loader(4))

    assert heard.text == "TE" + 4 * "Bb" + "eE" + 2 * "Bb" + "etC"
    assert callbacks.run.exit_reason == "stopped"


def test_a_fit_with_nothing_to_do_is_a_run_without_epochs() -> None:
    module = Linear()
    callbacks = container(module)
    heard = Sentence(callbacks)

    trainer_for(callbacks, max_epochs=0).fit(module, loader(4))

    assert heard.calls == [("train_begin", 0), ("train_end",), ("run_closed", "completed", None)]


# -- stopping ------------------------------------------------------------------------------------------


def test_the_trainer_trains_for_its_least_epochs_whoever_votes() -> None:
    module = Linear()
    callbacks = container(module)
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[0])

    trainer_for(callbacks, min_epochs=2).fit(module, loader(4))

    assert callbacks.run.epochs_complete == 2
    assert callbacks.run.exit_reason == "stopped"


def test_lightning_validates_before_it_stops_amid_an_epoch() -> None:
    module = Validated()
    callbacks = container(module)
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.stop("enough"), at=[1])

    trainer_for(callbacks).fit(module, loader(4), loader(2))

    assert callbacks.run.minibatches_done == 2
    assert np.isfinite(callbacks.callback_data[keys.LOSS][0])


def test_a_stop_of_lightnings_own_is_one_of_the_run() -> None:
    module = Linear(on_train_epoch_end=numbers_of([1.0, 2.0, 3.0]))
    early = pytorch.callbacks.EarlyStopping("late", patience=1, check_on_train_epoch_end=True)

    callbacks = fit(module, early, max_epochs=9)

    assert callbacks.run.epochs_complete == 2
    assert callbacks.run.exit_reason == "stopped"
    assert [vote.author for vote in callbacks.run.votes] == ["loop"]


def test_with_several_processes_a_vote_waits_for_the_end_of_the_epoch() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.stop("enough"), at=[1])

    loop, trainer = LightningLoop(callbacks), FakeTrainer(world_size=2)
    drive(loop, trainer, epochs=2)

    assert trainer.stopped_at == ["epoch 1"]


def test_other_processes_than_the_first_drive_nothing_but_stop_with_it() -> None:
    callbacks = quiet()
    loop, trainer = LightningLoop(callbacks), FakeTrainer(world_size=2, is_global_zero=False, others=True)

    drive(loop, trainer, epochs=1)

    assert not callbacks.run.has_begun
    assert trainer.stopped_at == ["epoch 0"]


def test_a_copy_of_the_process_that_made_the_callbacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = LightningLoop(quiet())
    monkeypatch.setattr("os.getpid", lambda: -1)

    with pytest.raises(ConfigurationError, match="trains in copies of this process"):
        loop.on_train_start(FakeTrainer(world_size=2), None)


# -- how a fit ends, otherwise ------------------------------------------------------------------------


def test_ctrl_c_without_a_guard_is_no_success_either() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    module = Linear(training_step=interrupt)
    callbacks = container(module)

    with sigint_restored(), pytest.raises(SystemExit) as exit_:
        trainer_for(callbacks).fit(module, loader(4))

    assert exit_.value.code == 1
    assert callbacks.run.exit_reason == "interrupted"


@contextlib.contextmanager
def sigint_restored() -> Iterator[None]:
    """Restore the handler of Ctrl-C, which Lightning switches off when it is used."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("fails", [False, True], ids=["completed", "failed"])
def test_the_trainer_has_its_own_callbacks_again_afterwards(fails: bool) -> None:
    def fail(*_: object) -> None:
        if fails:
            raise ValueError("mine")

    module = Linear(training_step=fail)
    trainer = trainer_for(container(module))
    before = [*trainer.callbacks]

    try:
        trainer.fit(module, loader(4))
    except ValueError:
        assert fails

    assert trainer.callbacks == before


def test_a_second_fit_needs_other_callbacks() -> None:
    module = Linear()
    trainer = trainer_for(container(module), max_epochs=1)
    trainer.fit(module, loader(4))
    trainer.fit_loop.max_epochs = 2

    with pytest.raises(RunStateError, match="has served a run already"):
        trainer.fit(module, loader(4))


# -- the model -----------------------------------------------------------------------------------------


def test_the_wrapper_gets_the_optimizers_that_train() -> None:
    module = Linear()
    model = TorchModel(module)

    trainer = trainer_for(quiet(model))
    trainer.fit(module, loader(4))

    assert model.optimizers == tuple(trainer.optimizers)
    assert model.schedulers == tuple(config.scheduler for config in trainer.lr_scheduler_configs)
    assert sorted(model.serialize()) == ["module", "optimizers", "schedulers"]


@pytest.mark.parametrize("wrap", [TorchModel, lambda module: module], ids=["wrapped", "raw"])
def test_a_model_that_is_not_trained_is_refused(wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigurationError, match="the trainer trains no parameter: it fits a Linear"):
        trainer_for(quiet(wrap(torch.nn.Linear(2, 2)))).fit(Linear(), loader(4))


@pytest.mark.parametrize(
    "given",
    [
        lambda module: TorchModel(module.linear),
        lambda module: module,
        lambda module: TorchModel(torch.nn.ReLU()),
        lambda module: object(),
    ],
    ids=["a part", "the module itself", "one without parameters", "something else"],
)
def test_what_is_trained_or_nothing_of_it_may_be_given(given: Callable[[Any], Any]) -> None:
    module = Linear()
    callbacks = quiet(given(module))

    trainer_for(callbacks).fit(module, loader(4))

    assert callbacks.run.exit_reason == "completed"


def test_what_is_no_callbacks_object_is_refused() -> None:
    with pytest.raises(TypeError, match="is no Callbacks object"):
        LightningLoop([])  # type: ignore[arg-type]  # a user may pass anything


# -- going on from a checkpoint ------------------------------------------------------------------------


def cut_short(plan: Plan, folder: Path, at: tuple[int, int], **options: Any) -> dict[str, Any]:
    """Train until an error at a 0-based (epoch, minibatch), and return what a resumed run is given."""

    def crash(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == at:
            raise ValueError("a crash")

    files = {"output_file": folder / "run.h5", "save_path": folder / "model.h5"}
    module = Linear()
    callbacks = container(module, **files, **options)
    callbacks.bus.subscribe("minibatch_begin", crash)
    with pytest.raises(ValueError, match="a crash"):
        trainer_for(callbacks, max_epochs=plan.epochs).fit(module, callbacks.serve(plan.loader()))
    return {**files, "resume": True}


def test_a_resumed_trainer_goes_on_at_the_epoch_and_step(tmp_path: Path) -> None:
    plan = Plan(epochs=4)
    files = cut_short(plan, tmp_path, (2, 1))
    module = Linear()
    callbacks = container(module, **files)
    seen = AtEachBatch(lambda trainer, index: (trainer.current_epoch, index, trainer.global_step))

    trainer = trainer_for(callbacks, seen, max_epochs=4)
    trainer.fit(module, callbacks.serve(plan.loader()))

    assert seen.seen == [(epoch, index, 4 * epoch + index) for epoch in (2, 3) for index in range(4)]
    assert (trainer.current_epoch, trainer.global_step) == (4, 16)
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], expected_costs(4, 4), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_resumed_trainer_goes_on_within_an_epoch(epoch: int, tmp_path: Path) -> None:
    plan = Plan()  # Lightning warns of loaders that cannot be put back by themselves: ours is
    files = cut_short(plan, tmp_path, (epoch, 2), checkpoint_every=1)
    module = Linear()
    callbacks = container(module, **files)
    heard = Sentence(callbacks)
    seen = AtEachBatch(lambda trainer, index: (trainer.current_epoch, index, trainer.global_step))

    trainer_for(callbacks, seen).fit(module, callbacks.serve(plan.loader()))

    everything = [(one, index, 4 * one + index) for one in range(3) for index in range(4)]
    assert seen.seen == everything[4 * epoch + 2 :]
    assert heard.text == "TE" + 2 * "Bb" + "e" + (2 - epoch) * ("E" + 4 * "Bb" + "e") + "tC"
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], expected_costs(4, 3), rtol=1e-5)


@pytest.mark.parametrize("epoch", [0, 1])
def test_without_a_length_the_epoch_begins_anew_and_that_is_told(
    epoch: int, tmp_path: Path, caplog: Any
) -> None:
    plan = Plan(is_length_known=False)
    files = cut_short(plan, tmp_path, (epoch, 2), checkpoint_every=1)
    module = Linear()
    callbacks = container(module, **files)
    heard = Sentence(callbacks)

    with caplog.at_level(logging.WARNING):
        trainer_for(callbacks).fit(module, callbacks.serve(plan.loader()))

    assert heard.text == "T" + (3 - epoch) * ("E" + 4 * "Bb" + "e") + "tC"
    told = [one for one in caplog.messages if "is trained again" in one]
    assert len(told) == 1 and "Give it a __len__" in told[0]


def test_a_loader_that_was_not_served_begins_its_epoch_anew(tmp_path: Path, caplog: Any) -> None:
    files = cut_short(Plan(), tmp_path, (1, 2), checkpoint_every=1)
    module = Linear()
    callbacks = container(module, **files)
    heard = Sentence(callbacks)

    trainer_for(callbacks).fit(module, loader(4))

    assert heard.text == "T" + 2 * ("E" + 4 * "Bb" + "e") + "tC"
    assert "Pass callbacks.serve(loader)" in caplog.text


def test_two_checkpoints_to_go_on_from_are_refused(tmp_path: Path) -> None:
    files = cut_short(Plan(), tmp_path, (1, 2))
    checkpoint = lightning_checkpoint(tmp_path, "on_train_epoch_end", 8)
    module = Linear()

    with pytest.raises(ConfigurationError, match="from our checkpoint and from the trainer's"):
        trainer_for(container(module, **files)).fit(module, loader(4), ckpt_path=checkpoint)


class Saves(pytorch.Callback):  # type: ignore[misc]  # untyped framework
    """Saves a checkpoint of Lightning's in one of the hooks, at a global step."""

    def __init__(self, path: Path, hook: str, step: int) -> None:
        def save(trainer: Any, *_: object) -> None:
            if trainer.global_step == step:
                trainer.save_checkpoint(path)

        setattr(self, hook, save)


def lightning_checkpoint(folder: Path, hook: str, step: int) -> Path:
    """Train two epochs without us, and return the checkpoint that Lightning saved."""
    module, path = Validated(), folder / "latest.ckpt"
    pytorch.Trainer(
        max_epochs=2, callbacks=[Saves(path, hook, step)], accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        num_sanity_val_steps=0,
    ).fit(module, loader(4), loader(2))  # fmt: skip
    return path


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")
@pytest.mark.parametrize(
    ("hook", "step", "first", "heard"),
    [
        ("on_train_epoch_end", 8, 8, "T" + 2 * ("E" + 4 * "Bb" + "e") + "tC"),
        ("on_validation_end", 8, 8, "TEe" + 2 * ("E" + 4 * "Bb" + "e") + "tC"),
        ("on_train_batch_end", 6, 6, "TE" + 2 * "Bb" + "e" + 2 * ("E" + 4 * "Bb" + "e") + "tC"),
    ],
    ids=["after an epoch", "before its end", "within it"],
)
def test_a_checkpoint_of_lightnings_begins_our_run_where_the_trainer_is(
    hook: str, step: int, first: int, heard: str, tmp_path: Path
) -> None:
    checkpoint = lightning_checkpoint(tmp_path, hook, step)
    module = Validated()
    callbacks = container(module)
    sentence = Sentence(callbacks)

    trainer_for(callbacks, max_epochs=4).fit(module, loader(4), loader(2), ckpt_path=checkpoint)

    assert sentence.text == heard
    begun = [call[1:] for call in sentence.calls if call[0] == "minibatch_begin"]
    assert begun == [divmod(minibatch, 4) for minibatch in range(first, 16)]
    assert np.isnan(callbacks.callback_data[keys.TRAIN_COST][:]).tolist() == [True] * first + [False] * (
        16 - first
    )
    assert callbacks.callback_data[keys.EPOCH_ENDS][:].tolist()[2:] == [12, 16]


# -- a trainer of several processes --------------------------------------------------------------------


class FakeTrainer(SimpleNamespace):
    """As much of a trainer as the adapter asks of one of several processes.

    Args:
        others: whether another process wants to stop.
    """

    def __init__(self, *, world_size: int, is_global_zero: bool = True, others: bool = False) -> None:
        progress = SimpleNamespace(started=0, processed=0)
        batch_progress = SimpleNamespace(current=progress, total=progress)
        super().__init__(
            world_size=world_size, is_global_zero=is_global_zero, callbacks=[], should_stop=False,
            optimizers=[], lr_scheduler_configs=[], max_epochs=3, num_training_batches=4, ckpt_path=None,
            enable_validation=False, callback_metrics={}, accumulate_grad_batches=1, stopped_at=[],
            fit_loop=SimpleNamespace(
                epoch_progress=SimpleNamespace(current=progress),
                epoch_loop=SimpleNamespace(batch_progress=batch_progress),
            ),
            strategy=SimpleNamespace(reduce_boolean_decision=lambda wanted, all: wanted or others),
        )  # fmt: skip


def drive(loop: Any, trainer: Any, *, epochs: int) -> None:
    """Call the hooks of a fit, and note where the trainer is told to stop."""
    loop.on_train_start(trainer, None)
    for epoch in range(epochs):
        loop.on_train_epoch_start(trainer, None)
        for minibatch in range(2):
            loop.on_train_batch_start(trainer, None, None, minibatch)
            loop.on_train_batch_end(trainer, None, {"loss": 1.0}, None, minibatch)
            assert not trainer.should_stop
        for callback in trainer.callbacks:
            callback.on_train_epoch_end(trainer, None)
        if trainer.should_stop:
            trainer.stopped_at.append(f"epoch {epoch}")
    loop.on_train_end(trainer, None)
    loop.on_fit_end(trainer, None)
