"""The smoothed costs of minibatches: the window over which they are means, and how others read and show them.

Knows the series, not the callbacks that write them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainsignal import keys
from trainsignal.errors import ConfigurationError
from trainsignal.frequency import is_int
from trainsignal.shared_data import SharedData


def window_width(wsz: object) -> int:
    """Return the number of costs to average.

    Raises:
        ConfigurationError: `wsz` is no int of at least 1.
    """
    if not is_int(wsz) or wsz < 1:
        raise ConfigurationError(f"wsz={wsz!r}: expected the number of costs to average, at least 1")
    return int(wsz)


def smoothed_costs(callback_data: SharedData, row: int) -> list[float]:
    """Return the smoothed cost of a minibatch, or those of its branches; none where nobody wrote them.

    Args:
        callback_data: the shared data.
        row: the minibatch, 0-based, over all epochs.
    """
    for key in (keys.TRAIN_COST, keys.MULTICOST_TRAIN):
        try:
            costs = callback_data[key][row]
        except (KeyError, IndexError):  # nobody writes it, or not at this minibatch
            continue
        return [float(cost) for cost in np.atleast_1d(costs)]
    return []


def cost_words(costs: Sequence[float], spec: str) -> str:
    """Return costs as text: "0.45", and of several "(1.23, 0.45)", as neon shows them.

    Args:
        costs: at least one.
        spec: format of each, such as ".2f".
    """
    if len(costs) == 1:
        return format(costs[0], spec)
    return f"({', '.join(format(cost, spec) for cost in costs)})"
