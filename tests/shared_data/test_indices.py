from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.shared_data.indices import normal_index


@pytest.mark.parametrize(
    ("index", "ndim", "expected"),
    [
        (np.float32(3), 1, 3),
        (3.0, 1, 3),
        (np.int16(-3), 1, -3),
        (2.5, 1, 2.5),
        (np.inf, 1, np.inf),
        (slice(np.float32(1), None, 2.0), 1, slice(1, None, 2)),
        ((3.0, slice(None)), 2, 3),
        ((3, slice(None), slice(None)), 3, 3),
        ((3, slice(None)), 1, (3, slice(None))),  # too many axes: for h5py to refuse
        ((3, slice(0, 2.0)), 2, (3, slice(0, 2))),
        ((slice(None), np.float32(1)), 2, (slice(None), 1)),
        ((3,), 1, (3,)),
        ((), 0, ()),
        (..., 1, ...),
        ("field", 1, "field"),
    ],
    ids=repr,
)
def test_whole_numbers_become_integers_and_whole_rows_their_number(
    index: Any, ndim: int, expected: Any
) -> None:
    normal = normal_index(index, ndim)
    assert repr(normal) == repr(expected)


def test_a_truth_value_is_no_row_number() -> None:
    assert normal_index(True, 1) is True
    assert normal_index(np.True_, 1) is np.True_
