"""States as checkpoints hold them: what makes them, and what says that two are the same to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

_DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.unicode_string_dtypes(),
    hnp.byte_string_dtypes(),
)

arrays = hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=3))
scalars = _DTYPES.flatmap(hnp.from_dtype)
keys = st.one_of(
    st.text(), st.integers(), st.sampled_from(["", ".", "..", "a/b", "$array", "W.npy", "0", "[0]"])
)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), arrays, scalars
)


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, max_size=4)
    return st.one_of(lists, lists.map(tuple), st.dictionaries(keys, children, max_size=4))


states: st.SearchStrategy[Any] = st.recursive(leaves, _containers, max_leaves=12)


def assert_same(left: Any, right: Any, *, native_order: bool = False) -> None:
    """Fail unless types, dtypes, shapes, order of keys and all bits agree (NaN is NaN).

    Args:
        left: one state.
        right: the other.
        native_order: the byte order in memory may differ.
    """
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        assert [type(key) for key in left] == [type(key) for key in right]
        for key in left:
            assert_same(left[key], right[key], native_order=native_order)
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other, native_order=native_order)
    elif isinstance(left, np.ndarray | np.generic):
        _assert_same_array(np.asarray(left), np.asarray(right), native_order=native_order)
    else:
        assert repr(left) == repr(right)  # 0.0 is not -0.0


def _assert_same_array(
    left: np.ndarray[Any, Any], right: np.ndarray[Any, Any], *, native_order: bool
) -> None:
    if native_order:
        left, right = left.astype(left.dtype.newbyteorder("=")), right.astype(right.dtype.newbyteorder("="))
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    if left.dtype.kind in "fc":
        np.testing.assert_array_equal(left, right, strict=True)
        parts = (
            [(left.real, right.real), (left.imag, right.imag)] if left.dtype.kind == "c" else [(left, right)]
        )
        for one, other in parts:  # which also tells 0.0 from -0.0
            numbers = ~np.isnan(one)
            assert np.array_equal(np.signbit(one)[numbers], np.signbit(other)[numbers])
    else:
        assert left.tobytes() == right.tobytes()
