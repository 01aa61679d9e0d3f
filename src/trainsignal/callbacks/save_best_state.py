"""`SaveBestStateCallback`: the model at its best evaluation loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanSerialize
from trainsignal.callback import Callback
from trainsignal.checkpoint import CheckpointHistory
from trainsignal.improvement import Improvement
from trainsignal.run_link import run_of
from trainsignal.saving import save_and_tell
from trainsignal.shared_data import SharedData

_LOWER = Improvement("min")


class SaveBestStateCallback(Callback):
    """Saves the model whenever the evaluation loss is lower than ever before in this run.

    A loss of NaN is never the best.

    Attributes:
        best_cost: the lowest loss so far of which the model was saved; None before the first.
    """

    reads = (keys.LOSS,)
    needs = (CanSerialize,)
    only_first = True

    def __init__(self, path: str | Path) -> None:
        """Store where to save; the suffix chooses the format.

        Raises:
            ConfigurationError: no format has this suffix.
        """
        super().__init__()
        self.path = path
        self.best_cost: float | None = None
        self._was_free = False
        self._checkpoint = CheckpointHistory(path)  # refuses what cannot work, at the earliest moment

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        run = run_of(self)
        run.claim_file(self.path, f"{type(self).__name__}(path)", self)
        self.best_cost = None
        self._checkpoint = CheckpointHistory(self.path)
        self._was_free = not run.is_resumed and not self._checkpoint.path.exists()

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        loss = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if loss is None or not _LOWER.is_better(float(loss["cost"]), self.best_cost):
            return
        state = model.serialize(keep_states=True)
        if save_and_tell(self, callback_data, lambda: self._checkpoint.save(state, epoch)):
            self.best_cost = float(loss["cost"])

    def state_dict(self) -> dict[str, Any]:
        """Return the best loss, and which file is this run's."""
        is_ours = self._checkpoint.has_any or self._was_free  # what is saved there later is ours as well
        owned = str(self._checkpoint.path) if is_ours else None
        return {"best_cost": self.best_cost, "owned": owned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with both; the file may have been moved along with the checkpoint."""
        self.best_cost = state["best_cost"]
        path, start = self._checkpoint.path, run_of(self).resumed_from
        is_beside = start is not None and start.parent == path.parent
        owned = None if state["owned"] is None else Path(state["owned"])
        if owned is not None and (owned == path or (is_beside and owned.name == path.name)):
            self._checkpoint.adopt([], path)
