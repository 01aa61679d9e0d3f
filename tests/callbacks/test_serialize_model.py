from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.support.runs import fit, quiet, tiny_model
from trainsignal import Callback, Callbacks, SerializeModelCallback
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError


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


@pytest.mark.parametrize("minibatch, epoch_index", [(0, 4), (1, 4)])
def test_interrupted_run_is_saved_under_the_epoch_that_it_was_in(
    minibatch: int, epoch_index: int, tmp_path: Path
) -> None:
    run_of(tmp_path, Interrupting(4, minibatch), epochs=9, epoch_freq=2, history=3)
    assert names(tmp_path) == ["m.h5", "m_1.h5", "m_3.h5", "m_4.h5"]
    assert load_state(tmp_path / "m_3.h5")["epoch_index"] == 4
    assert load_state(tmp_path / "m_4.h5")["epoch_index"] == epoch_index


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


@pytest.mark.parametrize("options", [{"history": -1}, {"history": 1.5}, {"history": True}], ids=repr)
def test_history_that_is_no_count_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no number of checkpoints"):
        SerializeModelCallback(tmp_path / "m.h5", **options)


def test_suffix_without_a_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.txt"):
        SerializeModelCallback(tmp_path / "m.txt")
