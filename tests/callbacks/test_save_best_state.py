from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import quiet
from trainsignal import Callback, Callbacks, SaveBestStateCallback
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError, MissingAbilityError

NAN, INFINITE = float("nan"), float("inf")


class Counted:
    """A model whose state is how many times it was serialized."""

    def __init__(self) -> None:
        self.times = 0

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        assert keep_states
        self.times += 1
        return {"times": self.times}


class Losses(Callback):
    """Writes given losses, one an epoch."""

    writes = ("cost/loss",)

    def __init__(self, *losses: float) -> None:
        super().__init__()
        self.losses = losses

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_series("cost/loss", epochs)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data["cost/loss"][epoch] = self.losses[epoch]


def run_with(saving: SaveBestStateCallback, *losses: float) -> tuple[Callbacks, list[int]]:
    """Run epochs of these losses; return the container and the epochs at which was saved."""
    callbacks = quiet(Counted())
    callbacks.callbacks = [Losses(*losses), saving]
    saved: list[int] = []
    callbacks.bus.subscribe("checkpoint_saved", lambda epoch: saved.append(epoch))
    with callbacks.training(len(losses)) as run:
        list(run.epochs())
    return callbacks, saved


@pytest.mark.parametrize("losses, epochs", [
    ((3, 2, 1), [0, 1, 2]), ((1, 2, 3), [0]), ((2, 2, 1, 1), [0, 2]), ((NAN, 2, NAN, 1), [1, 3]),
    ((NAN, NAN), []), ((INFINITE, 5), [1]), ((-1, -2), [0, 1]), ((0, -0.0), [0]),
], ids=repr)  # fmt: skip
def test_model_is_saved_at_each_strict_improvement(
    losses: tuple[float, ...], epochs: list[int], tmp_path: Path
) -> None:
    saving = SaveBestStateCallback(tmp_path / "best.h5")
    assert run_with(saving, *losses)[1] == epochs
    assert saving.best_cost == (losses[epochs[-1]] if epochs else None)


def test_file_holds_the_state_of_the_best_epoch(tmp_path: Path) -> None:
    run_with(SaveBestStateCallback(tmp_path / "best.h5"), 3, 1, 2)
    assert load_state(tmp_path / "best.h5") == {"times": 2}


def test_second_run_begins_without_a_best_value_and_keeps_the_first_ones_file(tmp_path: Path) -> None:
    saving = SaveBestStateCallback(tmp_path / "best.h5")
    run_with(saving, 1.0)
    assert run_with(saving, 5.0)[1] == [0]
    assert saving.best_cost == 5
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.1.h5", "best.h5"]


def test_checkpoint_is_noted_with_its_path(tmp_path: Path) -> None:
    callbacks, _ = run_with(SaveBestStateCallback(tmp_path / "best.h5"), 2, 1)
    assert [(one.path, one.epoch) for one in callbacks.run.checkpoints] == [
        (str(tmp_path / "best.h5"), 0), (str(tmp_path / "best.h5"), 1),
    ]  # fmt: skip


def test_disk_that_refuses_leaves_the_best_value_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = SaveBestStateCallback(tmp_path / "best.h5")
    tried: list[Any] = []

    original = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if len(tried) == 1:
            raise OSError(28, "No space left on device")
        return original(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    callbacks = quiet(Counted())
    callbacks.callbacks = [Losses(1, 2), saving]
    callbacks.bus.subscribe("epoch_begin", lambda: tried.append(saving.best_cost))
    with callbacks.training(2) as run:
        list(run.epochs())
    assert saving.best_cost == 2
    assert len(run.problems) == 1


def test_state_that_no_checkpoint_can_hold_is_an_error(tmp_path: Path) -> None:
    class Strange(Counted):
        def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
            return {"model": object()}

    callbacks = quiet(Strange())
    callbacks.callbacks = [Losses(1), SaveBestStateCallback(tmp_path / "best.h5")]
    with pytest.raises(OSError, match="object"), callbacks.training(1) as run:
        list(run.epochs())
    assert callbacks.run.exit_reason == "failed"


@pytest.mark.parametrize("name", ["best.txt", "best", "missing/best.h5"])
def test_path_that_cannot_be_written_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="best"):
        SaveBestStateCallback(tmp_path / name)


def test_empty_path_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no suffix"):
        SaveBestStateCallback("")


def test_model_without_a_state_is_refused_before_the_run(tmp_path: Path) -> None:
    callbacks = quiet()
    callbacks.callbacks = [Losses(1), SaveBestStateCallback(tmp_path / "best.h5")]
    with pytest.raises(MissingAbilityError, match="SaveBestStateCallback needs a model with serialize"):
        callbacks.on_train_begin(1)
