from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.support.runs import FakeClock, fit, quiet, tiny_model
from trainsignal import Callback, Callbacks, SerializeModelCallback
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError, FrequencyError


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


class Interrupting(Callback):
    """Raises KeyboardInterrupt at one minibatch."""

    def __init__(self, epoch: int, minibatch: int) -> None:
        super().__init__()
        self.at = (epoch, minibatch)

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == self.at:
            raise KeyboardInterrupt


def run_of(folder: Path, *others: Callback, epochs: int = 5, **options: Any) -> Callbacks:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.callbacks = [SerializeModelCallback(folder / "m.h5", **options), *others]
    with contextlib.suppress(KeyboardInterrupt):
        fit(model, callbacks, epochs)
    return callbacks


@pytest.mark.parametrize("frequency, epochs", [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), ([0, 3], [0, 3])], ids=repr)
def test_model_is_saved_at_the_epochs_of_its_frequency(
    frequency: Any, epochs: list[int], tmp_path: Path
) -> None:
    callbacks = run_of(tmp_path, epoch_freq=frequency)
    assert [one.epoch for one in callbacks.run.checkpoints] == epochs
    assert names(tmp_path) == ["m.h5"]


def test_checkpoint_holds_optimizer_state_and_the_epoch_to_go_on_with(tmp_path: Path) -> None:
    run_of(tmp_path, epochs=3)
    state = load_state(tmp_path / "m.h5")
    assert state["epoch_index"] == 3
    assert any("states" in layer for layer in state["model"]["config"]["layers"])


@pytest.mark.parametrize("history, kept", [
    (1, ["m.h5"]), (2, ["m.h5", "m_3.h5", "m_4.h5"]), (9, ["m.h5", *(f"m_{one}.h5" for one in range(5))]),
])  # fmt: skip
def test_newest_checkpoints_are_kept(history: int, kept: list[str], tmp_path: Path) -> None:
    run_of(tmp_path, history=history)
    assert names(tmp_path) == kept


@pytest.mark.parametrize("minibatch, name", [(0, "m_4_1.h5"), (1, "m_4_2.h5")])
def test_interrupted_run_is_saved_with_the_minibatches_that_were_done(
    minibatch: int, name: str, tmp_path: Path
) -> None:
    run_of(tmp_path, Interrupting(4, minibatch), epochs=9, epoch_freq=2, history=3)
    assert names(tmp_path) == ["m.h5", "m_1.h5", "m_3.h5", name]
    assert (tmp_path / "m.h5").readlink() == Path(name)
    assert load_state(tmp_path / "m_3.h5")["epoch_index"] == 4
    assert load_state(tmp_path / name)["epoch_index"] == 4
    assert load_state(tmp_path / name)["trainsignal"]["minibatch"] == minibatch + 1


class InterruptedAt(Callback):
    """Raises KeyboardInterrupt at one hook of the second epoch."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        vars(self)[hook] = self.interrupt

    def interrupt(self, callback_data: Any, model: Any, epoch: int = 1, minibatch: int = 1) -> None:
        if (epoch, minibatch) == (1, 1):
            raise KeyboardInterrupt


@pytest.mark.parametrize("hook, expected", [
    ("on_epoch_begin", (2, 1, 0)), ("on_minibatch_begin", (2, 1, 0)), ("on_minibatch_end", (4, 1, 2)),
    ("on_epoch_end", (4, 2, 0)), ("on_train_end", (4, 2, 0)),
])  # fmt: skip
def test_what_is_saved_at_an_interrupt_is_a_position_between_two_minibatches(
    hook: str, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    """Amid a minibatch the last whole checkpoint stays: nobody knows what the model has learned of it."""
    run_of(tmp_path, InterruptedAt(hook), epochs=2)
    saved = load_state(tmp_path / "m.h5")["trainsignal"]
    assert (saved["minibatches_done"], saved["epoch"], saved["minibatch"]) == expected


def test_run_interrupted_amid_its_first_minibatches_is_saved_for_there_is_no_other_checkpoint(
    tmp_path: Path,
) -> None:
    class Amid(Callback):
        def on_minibatch_begin(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            if minibatch == 1:
                raise KeyboardInterrupt

    run_of(tmp_path, Amid())
    assert load_state(tmp_path / "m.h5")["trainsignal"]["minibatches_done"] == 2


def test_run_that_ends_by_itself_is_not_saved_once_more(tmp_path: Path) -> None:
    callbacks = run_of(tmp_path, epochs=3, epoch_freq=2)
    assert [one.epoch for one in callbacks.run.checkpoints] == [1]


@pytest.mark.parametrize("every, expected", [
    (None, ["m_0", "m_1"]), (1, ["m_0_1", "m_0_2", "m_0", "m_1_1", "m_1_2", "m_1"]),
    (2, ["m_0_2", "m_0", "m_1_2", "m_1"]), (5, ["m_0", "m_1"]),
])  # fmt: skip
def test_checkpoints_within_epochs_come_every_nth_minibatch(
    every: int | None, expected: list[str], tmp_path: Path
) -> None:
    callbacks = run_of(tmp_path, epochs=2, history=20, every=every)
    assert [Path(one.path).stem for one in callbacks.run.checkpoints] == expected


@pytest.mark.parametrize("every", ["10s", timedelta(seconds=10)], ids=str)
def test_checkpoints_within_epochs_come_after_each_interval(every: Any, tmp_path: Path) -> None:
    clock = FakeClock()

    class Slow(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            clock.now += 6

    callbacks = run_of(tmp_path, Slow(), epochs=3, history=20, every=every, epoch_freq=None, clock=clock)
    assert [Path(one.path).stem for one in callbacks.run.checkpoints] == ["m_0_2", "m_1_2", "m_2_2"]


def test_interval_begins_anew_with_each_run(tmp_path: Path) -> None:
    clock = FakeClock()
    saving = SerializeModelCallback(tmp_path / "m.h5", None, every="10s", clock=clock)
    for pause_s in (100, 3):
        model = tiny_model()
        callbacks = quiet(model)
        callbacks.callbacks = [saving]
        callbacks.bus.subscribe("minibatch_end", lambda: setattr(clock, "now", clock.now + 3), first=True)
        clock.now += pause_s
        fit(model, callbacks, 1)  # takes 6 s
        assert callbacks.run.checkpoints == []


def test_resumed_run_that_is_interrupted_before_it_is_as_it_was_keeps_its_checkpoint(tmp_path: Path) -> None:
    class Early(Callback):
        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            raise KeyboardInterrupt

    run_of(tmp_path, Interrupting(1, 0), epochs=3)
    before = (tmp_path / "m.h5").read_bytes()
    model = tiny_model()
    callbacks = quiet(model, resume=tmp_path / "m.h5")
    callbacks.callbacks = [SerializeModelCallback(tmp_path / "m.h5"), Early()]
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks, 3)
    assert (tmp_path / "m.h5").read_bytes() == before


def test_everything_else_at_the_moment_has_run_before_it_is_saved(tmp_path: Path) -> None:
    class Counting(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.epochs = 0

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            self.epochs += 1

    model = tiny_model()
    callbacks = quiet(model, save_path=tmp_path / "m.h5")
    counting = Counting()
    callbacks.add_callback(counting)
    seen: list[bool] = []
    callbacks.bus.subscribe("epoch_end", lambda: seen.append((tmp_path / "m.h5").exists()))
    fit(model, callbacks, 1)
    assert seen == [False]
    assert load_state(tmp_path / "m.h5")["trainsignal"]["callbacks"]["Counting"] == {"epochs": 1}


def test_run_that_fails_is_not_saved_once_more(tmp_path: Path) -> None:
    class Failing(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_of(tmp_path, Failing())
    assert names(tmp_path) == []


def test_run_that_is_interrupted_before_its_first_minibatch_is_not_saved(tmp_path: Path) -> None:
    class Early(Callback):
        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            raise KeyboardInterrupt

    callbacks = run_of(tmp_path, Early())
    assert callbacks.run.exit_reason == "interrupted"
    assert names(tmp_path) == []


def test_archive_is_published_before_each_checkpoint(tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = quiet(model, output_file=tmp_path / "run.h5", save_path=tmp_path / "m.h5")
    done: list[int] = []

    def look() -> None:
        with h5py.File(str(tmp_path / "run.h5")) as archive:
            done.append(int(sum(archive["cost/train"][:] > 0)))

    callbacks.bus.subscribe("checkpoint_saved", look)
    fit(model, callbacks, 3)
    assert done == [2, 4, 6]


@pytest.mark.parametrize("every", [0, -1, 1.5, True, [2]], ids=repr)
def test_number_that_is_no_frequency_within_epochs_is_refused_with_the_argument_and_what_may_be_given(
    every: Any, tmp_path: Path
) -> None:
    with pytest.raises(FrequencyError) as caught:
        quiet(save_path=tmp_path / "m.h5", checkpoint_every=every)
    assert str(caught.value) == (
        f"every={every!r} (checkpoint_every of Callbacks): expected a number of minibatches, at least 1, or "
        "an interval of time such as '30m'"
    )


@pytest.mark.parametrize("every", [0, -1, "soon", True], ids=repr)
def test_interval_or_frequency_that_is_none_is_refused(every: Any, tmp_path: Path) -> None:
    with pytest.raises(FrequencyError):
        SerializeModelCallback(tmp_path / "m.h5", every=every)


@pytest.mark.parametrize("options", [{"history": -1}, {"history": 1.5}, {"history": True}], ids=repr)
def test_history_that_is_no_count_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no number of checkpoints"):
        SerializeModelCallback(tmp_path / "m.h5", **options)


def test_suffix_without_a_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.txt"):
        SerializeModelCallback(tmp_path / "m.txt")
