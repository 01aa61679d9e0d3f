"""`StopOnNaNCallback`: stop when the training cost is no number any more."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from trainsignal.frequency import Frequency
from trainsignal.run_link import Boundary, run_of
from trainsignal.shared_data import SharedData
from trainsignal.stopping import StoppingCallback


class StopOnNaNCallback(StoppingCallback):
    """Stops at the next minibatch boundary when the cost of a minibatch is NaN or infinite.

    The reason says which, and where: "cost is nan at epoch 3, minibatch 17", both 0-based. A minibatch of
    which the loop told no cost is passed over. A cost that is still on a device is fetched for the look:
    with `minibatch_freq=100` that waits for the device at each 100th minibatch only, and NaN, which stays
    once it is in the parameters, is found so much later.
    """

    stops_at: ClassVar[Boundary] = "minibatch"

    def __init__(self, minibatch_freq: Frequency = 1) -> None:
        """Store when to look."""
        super().__init__(minibatch_freq=minibatch_freq)

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        cost = run_of(self).cost
        if cost is None or math.isfinite(cost) or self.stop_reason is not None:
            return
        self.stop(f"cost is {cost} at epoch {epoch}, minibatch {minibatch}")
