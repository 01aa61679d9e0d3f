"""Hypothesis strategies that several tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from trainsignal.frequency import Frequency

LARGEST = 12
"""Frequencies and listed indices stay below about this, so that they meet within a few dozen times."""

periods: st.SearchStrategy[Any] = st.one_of(
    st.integers(1, LARGEST),
    st.integers(1, LARGEST).map(np.int64),
    st.integers(1, LARGEST).map(np.uint8),
)
"""Every nth time: Python's and NumPy's integers."""

_index = st.integers(0, 2 * LARGEST)
index_lists: st.SearchStrategy[Any] = st.one_of(
    st.lists(_index, max_size=5, unique=True),
    st.lists(_index, max_size=5, unique=True).map(tuple),
    st.sets(_index, max_size=5),
    st.lists(_index.map(np.int32), max_size=5, unique=True),
    st.lists(_index, max_size=5, unique=True).map(lambda indices: np.array(indices, dtype=np.int64)),
    st.builds(range, _index, _index),
)
"""At these times: every collection of 0-based indices."""

frequencies: st.SearchStrategy[Frequency] = st.one_of(st.none(), periods, index_lists)


def naive_fires(frequency: Any, time: int) -> bool:
    """Return whether a frequency fires, by neon's rule as its documentation words it: the long way round."""
    if frequency is None:
        return False
    if isinstance(frequency, (int, np.integer)):
        return time in range(int(frequency) - 1, time + 1, int(frequency))
    return any(int(index) == time for index in frequency)
