"""`StoppingCallback`: what callbacks have in common that vote to stop the run because of what they saw."""

from __future__ import annotations

from typing import Any, ClassVar

from trainsignal.callback import Callback
from trainsignal.run_link import Boundary
from trainsignal.shared_data import SharedData


class StoppingCallback(Callback):
    """Votes to stop, and again where the run is resumed from a checkpoint that was saved after the vote.

    Attributes:
        stops_at: the boundary at which the run is to stop.
        stop_reason: what it last voted for in this run; None: it has not voted.
    """

    stops_at: ClassVar[Boundary] = "epoch"
    stop_reason: str | None = None

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        """Forget the vote of an earlier run."""
        self.stop_reason = None

    def stop(self, reason: str) -> None:
        """Vote to stop."""
        self.stop_reason = reason
        self.request_stop(reason, at=self.stops_at)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned, and repeat a vote that is in it."""
        super().load_state_dict(state)
        reason, self.stop_reason = self.stop_reason, None
        if reason is not None and self.still_stops():
            self.stop(reason)

    def still_stops(self) -> bool:
        """Return whether the vote holds in the resumed run, which may have been made with other arguments."""
        return True
