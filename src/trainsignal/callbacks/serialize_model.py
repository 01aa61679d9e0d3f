"""`SerializeModelCallback`: checkpoints at regular epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainsignal.abilities import CanSerialize
from trainsignal.callback import Callback
from trainsignal.checkpoint import CheckpointHistory
from trainsignal.frequency import Frequency
from trainsignal.run_link import ExitReason, run_of
from trainsignal.saving import save_and_tell
from trainsignal.shared_data import SharedData


class SerializeModelCallback(Callback):
    """Saves the model, with its optimizer's state, and keeps the newest `history` checkpoints.

    A run that is interrupted or preempted is saved once more, so that nothing of it is lost.
    """

    needs = (CanSerialize,)

    def __init__(self, save_path: str | Path, epoch_freq: Frequency = 1, history: int = 1) -> None:
        """Store where and when to save.

        Args:
            save_path: its suffix chooses the format. With `history` above 1, epoch 7 is saved as
                `<stem>_7<suffix>` and `save_path` is a link to the newest.
            epoch_freq: save every nth epoch.
            history: how many checkpoints to keep.

        Raises:
            ConfigurationError: no format has this suffix, or `history` is no count.
        """
        super().__init__(epoch_freq=epoch_freq)
        self.save_path = save_path
        self.history = history
        CheckpointHistory(save_path, history)  # refuses what cannot work, at the earliest moment

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        run_of(self).claim_file(self.save_path, f"{type(self).__name__}(save_path)")
        self._checkpoints = CheckpointHistory(self.save_path, self.history)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        self._save(callback_data, model, epoch)

    def on_run_closed(
        self, callback_data: SharedData, model: Any, reason: ExitReason, error: BaseException | None
    ) -> None:
        run = run_of(self)
        has_trained = run.minibatches_complete + run.epoch_minibatches > 0
        if has_trained and reason in ("interrupted", "preempted"):
            self._save(callback_data, model, run.epoch)

    def _save(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        state = model.serialize(keep_states=True)
        save_and_tell(self, callback_data, lambda: self._checkpoints.save(state, epoch))
