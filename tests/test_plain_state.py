from __future__ import annotations

import random
import tracemalloc
from collections import Counter, deque
from typing import Any

import numpy as np
import pytest

from trainsignal.plain_state import (
    changed_attributes,
    forget_constants,
    lost_attributes,
    note_constants,
    plain_attributes,
    set_attributes,
)


class Thing:
    """An object with attributes, such as a callback."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


def begun(thing: Thing, **begun_with: Any) -> Thing:
    """Return the thing after its run has begun, which sets some attributes."""
    vars(thing).update(begun_with)
    note_constants(thing)
    return thing


def test_what_never_changed_is_no_state() -> None:
    thing = begun(Thing(patience=3, weights=np.ones(2), model=object()))
    assert changed_attributes(thing) == {}


def test_what_was_set_since_the_run_began_is_state() -> None:
    thing = begun(Thing(patience=3, best=1.0), epochs=4, best=2.0)
    vars(thing).update(later="new", best=3.0)
    assert changed_attributes(thing) == {"best": 3.0, "later": "new"}


def test_what_was_set_to_something_that_cannot_be_held_is_lost() -> None:
    thing: Any = begun(Thing(file=object(), seen=[], kept=object()))
    thing.file = object()
    thing.seen.append(object())
    thing.late = object()
    thing.fine = 1
    assert lost_attributes(thing) == ["file", "seen", "late"]


def test_all_plain_attributes_are_told_as_they_are_now() -> None:
    thing = begun(Thing(patience=3, weights=np.zeros(2), file=object()))
    told = plain_attributes(thing)
    vars(thing)["weights"][:] = 1
    assert told.keys() == {"patience", "weights"}
    np.testing.assert_array_equal(told["weights"], 0)


def test_longest_length_of_a_deque_is_that_of_now() -> None:
    thing: Any = Thing(window=deque(maxlen=3))
    set_attributes(thing, {"window": deque([1, 2], maxlen=2)})
    assert (list(thing.window), thing.window.maxlen) == ([1, 2], 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda thing: thing.seen.append(1),
        lambda thing: thing.seen.insert(0, thing.seen.pop()),
        lambda thing: setattr(thing, "seen", tuple(thing.seen)),
        lambda thing: setattr(thing, "seen", [1.0, 2, "3"]),
        lambda thing: setattr(thing, "seen", [True, 2, "3"]),
        lambda thing: setattr(thing, "seen", [1, 2, 3]),
        lambda thing: setattr(thing, "seen", {1: 2}),
        lambda thing: setattr(thing, "seen", None),
    ],
    ids=["longer", "reordered", "tuple", "float", "bool", "number", "dict", "none"],
)
def test_any_change_of_a_value_makes_it_state(change: Any) -> None:
    thing: Any = begun(Thing(seen=[1, 2, "3"]))
    change(thing)
    assert changed_attributes(thing) == {"seen": thing.seen}


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.__setitem__((0, 0), 1),
        lambda array: array.resize((3, 2), refcheck=False),
        lambda array: setattr(array, "dtype", np.int32),
    ],
    ids=["value", "shape", "dtype"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")
def test_any_change_of_an_array_makes_it_state(change: Any) -> None:
    thing: Any = begun(Thing(weights=np.zeros((2, 3), np.float32)))
    change(thing.weights)
    assert changed_attributes(thing).keys() == {"weights"}


def test_generator_that_was_drawn_from_is_state() -> None:
    thing: Any = begun(Thing(generator=np.random.default_rng(1), other=random.Random(1)))
    thing.generator.random()
    assert changed_attributes(thing).keys() == {"generator"}


def test_value_that_cannot_be_held_is_left_out() -> None:
    thing = begun(Thing())
    vars(thing).update(file=object(), extended=np.zeros(2, np.longdouble), good=1)
    assert changed_attributes(thing) == {"good": 1}


def test_what_is_no_attribute_name_is_left_out() -> None:
    thing = begun(Thing())
    vars(thing)["trainsignal run"] = 7
    assert changed_attributes(thing) == {}


def test_without_a_begin_everything_plain_is_state() -> None:
    assert changed_attributes(Thing(patience=3)) == {"patience": 3}


def test_attribute_that_was_left_alone_at_the_begin_only_once_is_state() -> None:
    thing = begun(Thing(count=0), count=5)
    vars(thing)["count"] = 0
    assert changed_attributes(thing) == {"count": 0}


def test_notes_are_forgotten_after_the_run_and_leave_nothing() -> None:
    thing = begun(Thing(a=1))
    forget_constants(thing)
    assert vars(thing) == {"a": 1}
    forget_constants(thing)


def test_large_array_is_not_copied_to_be_looked_at() -> None:
    thing = begun(Thing(images=np.zeros(2**22)))
    tracemalloc.start()
    try:
        assert changed_attributes(thing) == {}
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_attributes_are_set() -> None:
    thing: Any = Thing(count=1)
    set_attributes(thing, {"count": 2, "new": [1]})
    assert (thing.count, thing.new) == (2, [1])


def test_property_of_the_class_is_set_by_its_setter() -> None:
    class Checked(Thing):
        heard: list[int]

        @property
        def rate(self) -> int:
            return 0

        @rate.setter
        def rate(self, value: int) -> None:
            self.heard = [value]

    thing = Checked()
    set_attributes(thing, {"rate": 3})
    assert thing.heard == [3]


def test_array_is_filled_so_that_others_who_hold_it_see_it() -> None:
    array = np.zeros(2)
    set_attributes(Thing(a=array), {"a": np.ones(2)})
    np.testing.assert_array_equal(array, [1, 1])


def _read_only() -> Any:
    array = np.zeros(2)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "there", [np.zeros(3), np.zeros(2, np.float32), _read_only(), None, [0, 0]],
    ids=["shape", "dtype", "read-only", "none", "list"],
)  # fmt: skip
def test_array_that_cannot_be_filled_is_replaced(there: Any) -> None:
    thing: Any = Thing(a=there)
    set_attributes(thing, {"a": np.ones(2)})
    np.testing.assert_array_equal(thing.a, [1, 1])
    assert thing.a is not there


def test_dict_is_filled_and_keeps_its_class() -> None:
    counts: Counter[str] = Counter("x")
    set_attributes(Thing(counts=counts), {"counts": {"a": 2}})
    assert counts == Counter("aa")


def test_dict_is_replaced_by_what_is_none() -> None:
    thing: Any = Thing(best={"a": 1})
    set_attributes(thing, {"best": None})
    assert thing.best is None


def test_generator_is_put_back_so_that_others_who_hold_it_see_it() -> None:
    for kind in (random.Random, np.random.RandomState, np.random.default_rng):
        there, saved = kind(1), kind(2)
        thing = Thing(generator=there)
        set_attributes(thing, {"generator": saved})
        assert vars(thing)["generator"] is there
        assert there.random() == kind(2).random()


def test_generator_is_replaced_by_one_of_another_kind() -> None:
    thing: Any = Thing(generator=random.Random(1))
    set_attributes(thing, {"generator": np.random.RandomState(2)})
    assert thing.generator.random() == np.random.RandomState(2).random()


def test_thing_takes_its_own_state() -> None:
    thing: Any = begun(Thing(best={}, last=deque(), weights=np.zeros(2), generator=random.Random(1)))
    thing.best["a"] = 1
    thing.last.append(2)
    thing.weights[:] = 3
    thing.generator.random()
    state = thing.generator.getstate()

    set_attributes(thing, changed_attributes(thing))

    assert (thing.best, thing.last) == ({"a": 1}, deque([2]))
    np.testing.assert_array_equal(thing.weights, [3, 3])
    assert thing.generator.getstate() == state
