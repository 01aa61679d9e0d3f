"""What each callback of a run has cost, as its archive notes it."""

from __future__ import annotations

import math
from typing import Final

from trainsignal import keys
from trainsignal.report import attributes
from trainsignal.report.contents import Contents, float64s, is_numeric, written_length
from trainsignal.report.records import CallbackTime

MOST_CALLBACKS: Final = 10_000


def read_callback_times(contents: Contents) -> tuple[CallbackTime, ...]:
    """Return what the callbacks cost, the slowest first."""
    with contents.telling(keys.CALLBACK_TIMES):
        dataset = contents.dataset(keys.CALLBACK_TIMES)
        if dataset is None:
            return ()
        if not is_numeric(dataset) or len(dataset.shape) != 1:
            raise ValueError("it is no row of numbers")
        count = min(written_length(dataset, 0), MOST_CALLBACKS)
        seconds = float64s(contents.read(dataset, (slice(0, count),))).tolist()
        names = attributes.texts(dataset, keys.NAMES, most=contents.most_texts)
        if len(names) != count:
            raise ValueError(f"it has {count} numbers for {len(names)} names")
        failures = attributes.numbers(dataset, keys.FAILURES).tolist()
        if len(failures) != count:  # nobody counted them
            failures = [0.0] * count
        costs = [
            CallbackTime(name, spent, int(failed) if 0 < failed < 2**53 else 0)
            for name, spent, failed in zip(names, seconds, failures, strict=True)
            if math.isfinite(spent)
        ]
        return tuple(sorted(costs, key=lambda one: -one.seconds))
    return ()
