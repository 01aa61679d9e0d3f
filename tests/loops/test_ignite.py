from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.linear_problem import FEATURES, LEARNING_RATE, batches, expected_costs
from tests.support.loop_subjects import Plan
from tests.support.runs import Sentence, quiet
from trainsignal import Callbacks, SaveBestStateCallback, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError, CostError, RunStateError, WiringError
from trainsignal.models.torch import TorchModel

with warnings.catch_warnings():
    # Ignite imports torch.distributed.optim, which compiles scripts when it is imported
    warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
    from ignite.engine import Engine, Events

    from trainsignal.loops import ignite as adapter
    from trainsignal.loops.ignite import IgniteLoop


class Problem:
    """The linear problem as an engine, with callbacks that record the cost of each minibatch by itself.

    Args:
        returns: what the process function makes of the loss.
        options: of the callbacks.
    """

    def __init__(self, returns: Callable[[Any], object] = lambda loss: loss, **options: Any) -> None:
        module = torch.nn.Linear(FEATURES, 1, bias=False)
        torch.nn.init.zeros_(module.weight)
        optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
        model = TorchModel(module, loss=torch.nn.functional.mse_loss, optimizer=optimizer)

        def step(engine: Any, batch: Any) -> object:
            optimizer.zero_grad()
            loss: Any = model.loss(model.predict(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            return returns(loss)

        self.trainer: Any = Engine(step)
        self.callbacks = quiet(model, **options)
        others = [one for one in self.callbacks.callbacks if not isinstance(one, TrainCostCallback)]
        self.callbacks.callbacks = [TrainCostCallback(wsz=1), *others]
        self.heard = Sentence(self.callbacks)

    def attach(self, **options: Any) -> Problem:
        IgniteLoop(self.callbacks, **options).attach(self.trainer)
        return self

    def run(self, epochs: int | None = 3, **options: Any) -> Problem:
        self.trainer.run(batches(4), max_epochs=epochs, **options)
        return self

    def costs(self) -> list[float]:
        found: list[float] = self.callbacks.callback_data[keys.TRAIN_COST][:].tolist()
        return found


def evaluator(values: list[float], name: str = "loss") -> Any:
    """Return an engine with a metric that has these values, one a run."""
    remaining = iter(values)

    def note(engine: Any) -> None:
        engine.state.metrics[name] = next(remaining)

    engine: Any = Engine(lambda engine, batch: None)
    engine.add_event_handler(Events.EPOCH_COMPLETED, note)
    return engine


def series(callbacks: Callbacks, name: str) -> list[float]:
    found: list[float] = callbacks.callback_data[keys.metric(name)][:].tolist()
    return found


EPOCH = "E" + 4 * "Bb" + "e"


# -- costs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returns", "options"),
    [
        (lambda loss: loss, {}),
        (lambda loss: loss.item(), {}),
        (lambda loss: {"loss": loss, "other": "text"}, {}),
        (lambda loss: ("other", loss), {"output_transform": lambda output: output[1]}),
    ],
    ids=["tensor", "number", "dict", "tuple"],
)
def test_the_cost_is_found_in_what_the_process_function_returns(
    returns: Callable[[Any], object], options: dict[str, Any]
) -> None:
    problem = Problem(returns).attach(**options).run()

    np.testing.assert_allclose(problem.costs(), expected_costs(4, 3), rtol=1e-5)


@pytest.mark.parametrize("returned", [(1.0, 2.0), [1.0]], ids=["tuple", "list"])
def test_of_several_outputs_the_user_says_which_is_the_cost(returned: object) -> None:
    problem = Problem(lambda loss: returned).attach()

    with pytest.raises(ConfigurationError, match=f"returned a {type(returned).__name__}: say what of it"):
        problem.run()

    assert problem.callbacks.run.exit_reason == "failed"


def test_a_cost_that_is_no_single_number_is_refused() -> None:
    problem = Problem(lambda loss: torch.ones(2)).attach()

    with pytest.raises(CostError, match="not one real number"):
        problem.run()


@pytest.mark.parametrize("returned", [None, {"other": 1.0}], ids=["nothing", "a dict without a loss"])
def test_an_output_without_a_cost_leaves_it_unknown(returned: object) -> None:
    given = iter([returned, 2.0, returned, 3.0])

    problem = Problem(lambda loss: next(given)).attach().run(1)

    np.testing.assert_array_equal(problem.costs()[1::2], [2.0, 3.0])
    assert np.isnan(problem.costs()[::2]).all()


# -- metrics -------------------------------------------------------------------------------------------


def test_the_metrics_of_evaluators_are_there_at_the_end_of_the_epoch(tmp_path: Path) -> None:
    problem, held_out, seen = Problem(), evaluator([3.0, 1.0, 2.0]), evaluator([0.5, 0.25, 0.125])
    problem.callbacks.add_callback(SaveBestStateCallback(tmp_path / "best.h5"))

    IgniteLoop(problem.callbacks).attach(problem.trainer, {"val": held_out, "train": seen})
    problem.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: held_out.run([0]))  # after our own
    problem.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen.run([0]))
    problem.run()

    assert series(problem.callbacks, "val_loss") == [3.0, 1.0, 2.0]
    assert series(problem.callbacks, "train_loss") == [0.5, 0.25, 0.125]
    assert problem.callbacks.callback_data[keys.LOSS][:].tolist() == [3.0, 1.0, 2.0]
    assert (tmp_path / "best.h5").exists()


def test_an_epoch_without_evaluation_has_no_value() -> None:
    problem, held_out = Problem(), evaluator([3.0, 2.0])
    IgniteLoop(problem.callbacks).attach(problem.trainer, {"val": held_out})
    problem.trainer.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda: held_out.run([0]))

    problem.run(4)

    np.testing.assert_array_equal(series(problem.callbacks, "val_loss"), [np.nan, 3.0, np.nan, 2.0])


def test_an_evaluation_before_training_belongs_to_no_epoch() -> None:
    problem, held_out = Problem(), evaluator([9.0, 1.0])
    IgniteLoop(problem.callbacks).attach(problem.trainer, {"val": held_out})
    problem.trainer.add_event_handler(Events.STARTED, lambda: held_out.run([0]))
    problem.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda: held_out.run([0]))

    problem.run(2)

    np.testing.assert_array_equal(series(problem.callbacks, "val_loss"), [np.nan, 1.0])


def test_the_metrics_of_the_trainer_itself_are_there_too() -> None:
    def note(engine: Any) -> None:
        engine.state.metrics["mine"] = 10.0 * engine.state.epoch

    problem = Problem().attach(loss="mine")
    problem.trainer.add_event_handler(Events.EPOCH_COMPLETED, note)  # after our own

    problem.run()

    assert series(problem.callbacks, "mine") == [10.0, 20.0, 30.0]
    assert problem.callbacks.callback_data[keys.LOSS][:].tolist() == [10.0, 20.0, 30.0]


def test_without_an_evaluator_who_reads_its_loss_is_refused_at_the_begin(tmp_path: Path) -> None:
    problem = Problem().attach()
    problem.callbacks.add_callback(SaveBestStateCallback(tmp_path / "best.h5"))

    with pytest.raises(WiringError, match="reads 'cost/loss', which no callback writes"):
        problem.run()


# -- how long and how far ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_epochs": 2}, (2, 4)),
        ({"max_iters": 6}, (2, 4)),
        ({"max_epochs": 2, "epoch_length": 3}, (2, 3)),
    ],
    ids=["epochs", "iterations", "length"],
)
def test_the_length_of_the_run_is_what_the_engine_knows_of_it(
    options: dict[str, Any], expected: tuple[int, int]
) -> None:
    problem = Problem().attach()

    problem.trainer.run(batches(4), **options)

    run = problem.callbacks.run
    assert (run.total_epochs, run.minibatches_per_epoch) == expected


def test_iterations_of_an_unknown_length_are_epochs_of_an_unknown_number() -> None:
    problem = Problem().attach()

    problem.trainer.run(iter(batches(4)), max_iters=4)

    assert problem.heard.text == "T" + EPOCH + "tC"
    assert problem.heard.calls[0] == ("train_begin", None)


def test_a_limit_of_iterations_amid_an_epoch_ends_it_there() -> None:
    problem = Problem().attach()

    problem.trainer.run(batches(4), max_iters=6)

    assert problem.heard.text == "T" + EPOCH + "E" + 2 * "Bb" + "etC"
    assert problem.callbacks.run.exit_reason == "completed"


def test_data_that_is_exchanged_amid_a_run_changes_nothing_that_is_heard() -> None:
    problem = Problem().attach()
    problem.trainer.add_event_handler(
        Events.ITERATION_COMPLETED(once=2), lambda: problem.trainer.set_data(batches(4))
    )

    problem.run(2)

    assert problem.heard.text == "T" + 2 * EPOCH + "tC"


# -- stopping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_skipped", [False, True])
def test_an_epoch_that_the_user_cuts_short_is_followed_by_the_next(is_skipped: bool) -> None:
    problem = Problem().attach()
    problem.trainer.add_event_handler(
        Events.ITERATION_COMPLETED(once=2), lambda: problem.trainer.terminate_epoch(is_skipped)
    )

    problem.run(2)

    assert problem.heard.text == "TE" + 2 * "Bb" + "e" + EPOCH + "tC"
    assert [call[1] for call in problem.heard.calls if call[0] == "epoch_end"] == [0, 1]


def test_a_vote_at_the_end_of_an_epoch_that_the_engine_skips_begins_no_other() -> None:
    problem = Problem().attach()
    problem.trainer.add_event_handler(
        Events.ITERATION_COMPLETED(once=2), lambda: problem.trainer.terminate_epoch(True)
    )
    problem.callbacks.bus.subscribe("epoch_end", lambda: problem.callbacks.stop("enough"))

    problem.run(2)

    assert problem.heard.text == "TE" + 2 * "Bb" + "etC"


@pytest.mark.parametrize("is_skipped", [False, True])
def test_a_run_that_the_user_cuts_short_is_closed(is_skipped: bool) -> None:
    problem = Problem().attach()
    problem.trainer.add_event_handler(
        Events.ITERATION_COMPLETED(once=6), lambda: problem.trainer.terminate(is_skipped)
    )

    problem.run()

    assert problem.heard.text == "T" + EPOCH + "E" + 2 * "Bb" + "etC"
    assert problem.callbacks.run.exit_reason == "stopped"
    assert [vote.author for vote in problem.callbacks.run.votes] == ["loop"]


def test_a_complete_run_is_not_terminated() -> None:
    heard: list[str] = []
    problem = Problem().attach()
    problem.trainer.add_event_handler(Events.TERMINATE, lambda: heard.append("terminate"))

    problem.run()

    assert heard == []


def test_a_vote_before_the_first_epoch_trains_nothing() -> None:
    problem = Problem().attach()
    problem.callbacks.bus.subscribe("train_begin", lambda: problem.callbacks.stop("enough"))

    problem.run()

    assert problem.heard.text == "TtC"


def test_a_vote_at_the_begin_of_an_epoch_trains_no_minibatch() -> None:
    problem = Problem().attach()
    problem.callbacks.bus.subscribe("epoch_begin", lambda: problem.callbacks.stop("enough"), at=[1])

    problem.run()

    assert problem.heard.text == "T" + EPOCH + "EetC"


def test_a_vote_at_a_minibatch_terminates_the_engine() -> None:
    problem = Problem().attach()
    problem.callbacks.bus.subscribe("minibatch_end", lambda: problem.callbacks.stop("enough"), at=[1])

    problem.run()

    assert problem.heard.text == "TEBbBbetC"
    assert problem.trainer.last_event_name == Events.COMPLETED


def test_an_interrupted_engine_goes_on_with_the_same_run() -> None:
    problem = Problem().attach()
    problem.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), problem.trainer.interrupt)

    problem.run()
    assert problem.heard.text == "TEBbBb"
    problem.run()

    assert problem.heard.text == "T" + 3 * EPOCH + "tC"


def test_an_interrupted_engine_that_is_deleted_closes_nothing() -> None:
    problem = Problem().attach()
    problem.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), problem.trainer.interrupt)
    problem.run()

    del problem.trainer
    gc.collect()

    assert problem.heard.text == "TEBbBb"


def test_with_several_processes_a_vote_waits_for_the_end_of_the_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(adapter.distributed, "all_reduce", lambda wanted, how: wanted)
    problem = Problem().attach()
    problem.callbacks.bus.subscribe("minibatch_end", lambda: problem.callbacks.stop("enough"), at=[1])

    problem.run()

    assert problem.heard.text == "T" + EPOCH + "tC"


def test_other_processes_than_the_first_drive_nothing_but_stop_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(adapter.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(adapter.distributed, "all_reduce", lambda wanted, how: 1)
    problem = Problem().attach()

    problem.run()

    assert problem.heard.text == ""
    assert problem.trainer.state.epoch == 1


# -- exceptions ----------------------------------------------------------------------------------------


def failing(error: BaseException) -> Problem:
    """Return a problem whose loop raises at the second minibatch of the second epoch."""

    def fail() -> None:
        raise error

    problem = Problem()
    problem.trainer.add_event_handler(Events.ITERATION_STARTED(once=6), fail)
    return problem


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "interrupted")],
    ids=["error", "Ctrl-C"],
)
def test_an_exception_closes_the_run_and_comes_out(error: BaseException, reason: str) -> None:
    problem = failing(error).attach()

    with pytest.raises(type(error)):
        problem.run()

    assert problem.heard.text == "T" + EPOCH + "EBbC"
    assert problem.callbacks.run.exit_reason == reason


@pytest.mark.parametrize("is_before", [False, True])
def test_a_handler_of_the_users_that_raises_again_is_heard_of_too(is_before: bool) -> None:
    problem = failing(ValueError("mine"))

    def pass_on(error: BaseException) -> None:
        raise RuntimeError("in other words") from error

    if is_before:
        problem.trainer.add_event_handler(Events.EXCEPTION_RAISED, pass_on)
    problem.attach()
    if not is_before:
        problem.trainer.add_event_handler(Events.EXCEPTION_RAISED, pass_on)

    with pytest.raises(RuntimeError, match="in other words"):
        problem.run()

    assert problem.callbacks.run.exit_reason == "failed"


def test_where_the_user_swallows_an_exception_of_an_iteration_the_run_goes_on() -> None:
    problem = failing(ValueError("mine")).attach()
    problem.trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda error: None)

    problem.run()

    assert problem.heard.text == "T" + EPOCH + "EBbe" + EPOCH + "tC"


def test_where_the_user_swallows_the_exception_that_ends_the_run_it_is_closed() -> None:
    problem = failing(KeyboardInterrupt()).attach()
    problem.trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda error: None)

    problem.run()

    assert problem.callbacks.run.exit_reason == "interrupted"


def test_an_exception_comes_out_of_an_engine_that_is_listened_to_no_more() -> None:
    problem = failing(ValueError("mine"))
    IgniteLoop(problem.callbacks).attach(problem.trainer).detach()

    with pytest.raises(ValueError, match="mine"):
        problem.run()

    assert problem.heard.text == ""


# -- several runs, and going on ------------------------------------------------------------------------


def test_a_second_run_of_an_engine_needs_other_callbacks() -> None:
    problem = Problem().attach().run(1)

    with pytest.raises(RunStateError, match="has served a run already"):
        problem.run(1)


def test_an_engine_that_goes_on_begins_our_run_at_its_epoch() -> None:
    problem, second = Problem(), quiet()
    first = IgniteLoop(problem.callbacks).attach(problem.trainer)
    problem.run(2)
    first.detach()
    heard = Sentence(second)

    IgniteLoop(second).attach(problem.trainer)
    problem.run(4)

    assert problem.heard.text == "T" + 2 * EPOCH + "tC"
    assert [call[1] for call in heard.calls if call[0] == "epoch_begin"] == [2, 3]
    assert second.callback_data[keys.EPOCH_ENDS][:].tolist()[2:] == [12, 16]


def test_the_latest_of_several_loops_hears_of_an_exception() -> None:
    problem, second = failing(ValueError("mine")), quiet()
    IgniteLoop(problem.callbacks).attach(problem.trainer).detach()
    IgniteLoop(second).attach(problem.trainer)

    with pytest.raises(ValueError, match="mine"):
        problem.run()

    assert second.run.exit_reason == "failed"


def test_several_loops_on_one_engine_all_hear_of_an_exception() -> None:
    problem, second = failing(ValueError("mine")).attach(), quiet()
    IgniteLoop(second).attach(problem.trainer)

    with pytest.raises(ValueError, match="mine"):
        problem.run()

    assert (problem.callbacks.run.exit_reason, second.run.exit_reason) == ("failed", "failed")


def test_a_state_amid_an_epoch_begins_our_run_there() -> None:
    problem = Problem().attach()
    problem.trainer.load_state_dict({"iteration": 6, "max_epochs": 3, "epoch_length": 4})

    problem.run(None)

    begun = [call[1:] for call in problem.heard.calls if call[0] == "minibatch_begin"]
    assert begun == [(1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]
    assert np.isnan(problem.costs()).tolist() == [True] * 6 + [False] * 6


def cut_short(plan: Plan, folder: Path, at: tuple[int, int], **options: Any) -> dict[str, Any]:
    """Train until an error at a 0-based (epoch, minibatch), and return what a resumed run is given."""

    def crash(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == at:
            raise ValueError("a crash")

    files: dict[str, Any] = {"output_file": folder / "run.h5", "save_path": folder / "model.h5"}
    problem = Problem(**files, **options).attach()
    problem.callbacks.bus.subscribe("minibatch_begin", crash)
    with pytest.raises(ValueError, match="a crash"):
        problem.trainer.run(problem.callbacks.serve(plan.loader()), max_epochs=plan.epochs)
    return {**files, "resume": True}


@pytest.mark.parametrize("is_length_known", [True, False])
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_resumed_engine_goes_on_where_the_checkpoint_was(
    epoch: int, within: bool, is_length_known: bool, tmp_path: Path
) -> None:
    plan = Plan(epochs=4, is_length_known=is_length_known)
    at, every = ((epoch, 2), {"checkpoint_every": 1}) if within else ((epoch + 1, 0), {})
    files = cut_short(plan, tmp_path, at, **every)
    problem = Problem(**files).attach()
    seen: list[tuple[int, int]] = []
    problem.trainer.add_event_handler(
        Events.ITERATION_STARTED, lambda engine: seen.append((engine.state.epoch, engine.state.iteration))
    )

    problem.trainer.run(problem.callbacks.serve(plan.loader()), max_epochs=4)

    first = 4 * at[0] + at[1]
    before = 0 if is_length_known else 4 * at[0]  # the engine cannot count what it does not know
    assert seen == [(1 + one // 4, 1 + one - before) for one in range(first, 16)]
    np.testing.assert_allclose(problem.costs(), expected_costs(4, 4), rtol=1e-5)


def test_data_that_was_not_served_begins_its_epoch_anew(tmp_path: Path, caplog: Any) -> None:
    problem = Problem(**cut_short(Plan(), tmp_path, (1, 2), checkpoint_every=1)).attach()

    problem.run(3)

    assert problem.heard.text == "T" + 2 * EPOCH + "tC"
    assert "Pass callbacks.serve(loader)" in caplog.text


def test_two_states_to_go_on_from_are_refused(tmp_path: Path) -> None:
    problem = Problem(**cut_short(Plan(), tmp_path, (1, 2))).attach()
    problem.trainer.load_state_dict({"iteration": 8, "max_epochs": 3, "epoch_length": 4})

    with pytest.raises(ConfigurationError, match="from our checkpoint and from the engine's state, epoch 2"):
        problem.run(None)


# -- bad input -----------------------------------------------------------------------------------------


def test_what_is_no_engine_is_refused() -> None:
    problem = Problem()

    with pytest.raises(ConfigurationError, match="trainer: 3 is no ignite"):
        IgniteLoop(problem.callbacks).attach(3)
    with pytest.raises(ConfigurationError, match="val: None is no ignite"):
        IgniteLoop(problem.callbacks).attach(problem.trainer, {"val": None})


def test_a_loop_is_attached_once() -> None:
    problem = Problem()
    loop = IgniteLoop(problem.callbacks).attach(problem.trainer)

    with pytest.raises(RunStateError, match="has been attached already"):
        loop.attach(problem.trainer)


def test_what_is_no_callbacks_object_is_refused() -> None:
    with pytest.raises(TypeError, match="is no Callbacks object"):
        IgniteLoop([])  # type: ignore[arg-type]  # a user may pass anything
