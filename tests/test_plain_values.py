from __future__ import annotations

import enum
import random
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import trees
from trainsignal.checkpoint import load_state, save_state
from trainsignal.checkpoint.tree import make_plain
from trainsignal.plain_values import KIND, LONGEST_KEY, NotPlainError, decode, encode, fingerprint

_hashable = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary())
_keys = st.one_of(_hashable, st.just(KIND), st.text(min_size=LONGEST_KEY + 1), st.tuples(_hashable))


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, max_size=3)
    return st.one_of(
        lists,
        lists.map(tuple),
        st.builds(deque, lists, st.none() | st.integers(0, 4)),
        st.dictionaries(_keys, children, max_size=3),
    )


_leaves = st.one_of(trees.leaves, st.sets(_hashable, max_size=3), st.frozensets(_hashable, max_size=3))
plain_values = st.recursive(_leaves, _containers, max_leaves=8)


@given(plain_values)
def test_every_plain_value_comes_back_as_it_was(value: Any) -> None:
    assert_equal(decode(encode(value)), value)


@given(plain_values)
def test_every_plain_value_can_be_held_by_a_checkpoint(value: Any) -> None:
    assert_equal(decode(make_plain(encode(value))), value)


def assert_equal(left: Any, right: Any) -> None:
    """Fail unless types and values agree, within containers too."""
    assert type(left) is type(right)
    if isinstance(right, dict):
        assert [*map(repr, left)] == [*map(repr, right)]
        for one, other in zip(left.values(), right.values(), strict=True):
            assert_equal(one, other)
    elif isinstance(right, deque):
        assert left.maxlen == right.maxlen
        assert_equal([*left], [*right])
    elif isinstance(right, set | frozenset):
        assert left == right
        assert sorted(map(repr, left)) == sorted(map(repr, right))
    elif isinstance(right, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    else:
        trees.assert_same(left, right)


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".pkl"])
def test_every_kind_goes_through_every_format(suffix: str, tmp_path: Path) -> None:
    value = {
        "deque": deque([1, (2.5, None)], maxlen=3), "set": {1, "a"}, "frozen": frozenset([b"x"]),
        "keys": {1: "int", (2, "b"): "tuple", None: "none", "x" * (LONGEST_KEY + 1): "long"},
        "array": np.arange(6, dtype="i2").reshape(2, 3), "text": np.array(["ä", "b"]),
        "scalar": np.float16(0.5), KIND: "a key of ours", "large": 2**200, "nan": float("nan"),
        "surrogate": "\ud800",
    }  # fmt: skip
    save_state(encode(value), tmp_path / f"state{suffix}")
    assert_equal(decode(load_state(tmp_path / f"state{suffix}", trust_pickle=True)), value)


def test_key_of_any_length_can_be_held(tmp_path: Path) -> None:
    value = {"x" * 10_000: {"y" * 10_000: 1}}
    save_state(encode(value), tmp_path / "state.h5")
    assert decode(load_state(tmp_path / "state.h5")) == value


def _drawn(generator: Any) -> list[float]:
    if isinstance(generator, random.Random):
        return [generator.random(), generator.gauss(0, 1)]
    return [float(generator.random()), float(generator.standard_normal())]


GENERATORS = [
    random.Random(3),
    np.random.default_rng(3),
    np.random.Generator(np.random.MT19937(3)),
    np.random.Generator(np.random.Philox(3)),
    np.random.Generator(np.random.SFC64(3)),
    np.random.Generator(np.random.PCG64DXSM(3)),
    np.random.RandomState(3),
    np.random.RandomState(np.random.PCG64(3)),
]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda one: str(one).split(" at ")[0])
def test_generator_comes_back_with_the_numbers_that_follow(generator: Any, tmp_path: Path) -> None:
    _drawn(generator)  # so that a Gaussian number is kept for the next time
    if isinstance(generator, random.Random):
        generator.gauss(0, 1)
    save_state(encode({"generator": generator}), tmp_path / "state.h5")
    back = decode(load_state(tmp_path / "state.h5"))["generator"]
    assert type(back) is type(generator)
    assert _drawn(back) == _drawn(generator)


class Colour(enum.StrEnum):
    RED = "red"


Pair = namedtuple("Pair", "left right")  # as users have them


class OwnList(list[int]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(), lambda: 0, Path("x"), Colour.RED, Pair(1, 2), OwnList([1]), random.SystemRandom(),
        np.array([object()]), np.array(["2026-11-22"], "M8[D]"), np.zeros(2, "i4,f4"), np.longdouble(1),
        np.clongdouble(1), np.zeros(2, np.longdouble), deque([object()]), {"a": [object()]}, {1: object()},
        {(object(),): 1}, 1j,
    ],
    ids=repr,
)  # fmt: skip
def test_other_values_are_not_plain(value: Any) -> None:
    with pytest.raises(NotPlainError):
        encode(value)


def test_value_that_contains_itself_is_not_plain() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotPlainError, match="in itself"):
        encode(value)


def test_array_of_what_was_encoded_is_a_copy_without_a_class_of_its_own() -> None:
    class Own(np.ndarray[Any, Any]):
        pass

    array = np.zeros(2).view(Own)
    coded = encode([array])
    array[:] = 1
    assert type(coded[0]) is np.ndarray
    np.testing.assert_array_equal(coded[0], [0, 0])


@pytest.mark.parametrize("given", [
    OrderedDict(a=1), OrderedDict({1: 2}), defaultdict(list, a=[1]), defaultdict(int), Counter("aab"),
], ids=str)  # fmt: skip
def test_dict_of_a_common_class_comes_back_as_such(given: Any) -> None:
    found = decode([encode([given])])[0][0]
    assert type(found) is type(given)
    assert found == given
    assert getattr(found, "default_factory", None) is getattr(given, "default_factory", None)


class Registry(dict[str, int]):
    """A dict of somebody's own class."""


@pytest.mark.parametrize("given", [Registry(a=1), defaultdict(lambda: 7, a=1)], ids=["own", "own factory"])
def test_dict_of_another_class_is_held_as_a_dict(given: Any) -> None:
    assert type(decode(encode(given))) is dict
    assert decode(encode(given)) == dict(given)


def test_masked_array_is_not_held_without_its_mask() -> None:
    with pytest.raises(NotPlainError, match="mask"):
        encode(np.ma.masked_array([1, 2], [True, False]))


def test_generator_of_an_unknown_kind_is_refused() -> None:
    coded = encode(np.random.default_rng(1))
    coded["state"]["bit_generator"] = "test"
    with pytest.raises(KeyError):
        decode(coded)


@given(plain_values)
def test_equal_values_share_a_fingerprint(value: Any) -> None:
    assert fingerprint(decode(encode(value))) == fingerprint(value) is not None


@given(plain_values, plain_values)
def test_values_that_a_checkpoint_holds_differently_have_different_fingerprints(one: Any, other: Any) -> None:
    try:
        trees.assert_same(encode(one), encode(other))
    except AssertionError:
        assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize("one, other", [
    ([[1], 2], [[1, 2]]), ([1, 2], [12]), ((), []), ({1: 2}, [1, 2]), ({1}, frozenset({1})), ("1", 1),
    (True, 1), (1, 1.0), (np.zeros(2), np.zeros((2, 1))), (np.zeros(2), np.zeros(2, np.float32)), (b"", ""),
    (deque([1], 2), deque([1], 3)),
], ids=repr)  # fmt: skip
def test_like_values_have_different_fingerprints(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize("value", [object(), [object()], {"a": {1: object()}}, {(object(),)}], ids=str)
def test_other_values_have_no_fingerprint(value: Any) -> None:
    assert fingerprint(value) is None


def test_value_that_contains_itself_has_no_fingerprint() -> None:
    value: list[Any] = []
    value.append(value)
    assert fingerprint(value) is None
