from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.errors import ConfigurationError, HandlerError, WiringError
from trainsignal.shared_data import SeriesSubscription, SharedData, Stamp


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, Stamp]] = []

    def __call__(self, value: Any, stamp: Stamp) -> None:
        self.heard.append((value, stamp))

    @property
    def values(self) -> list[Any]:
        return [value for value, _ in self.heard]


@pytest.fixture
def shared() -> SharedData:
    return SharedData()


@pytest.mark.parametrize("key", ["cost/loss", "/cost/loss", "cost//loss", "./cost/loss/"])
def test_any_spelling_of_the_path_reaches_a_series_that_is_made_later(shared: SharedData, key: str) -> None:
    listener = Listener()
    shared.subscribe(key, listener)
    shared.create_series("cost/loss", 3)
    shared["cost/loss"][0] = 1.0
    shared["/cost"]["loss"][1] = 2.0
    assert listener.values == [1.0, 2.0]


def test_the_stamp_is_the_position_at_the_assignment() -> None:
    position = Stamp(0, 0)
    shared = SharedData(position=lambda: position)
    listener = Listener()
    series = shared.create_series("x", 3)
    shared.subscribe("x", listener)
    position = Stamp(epoch=2, minibatch=17)
    series[0] = 1.0
    assert listener.heard == [(1.0, Stamp(2, 17))]


def test_without_a_position_everything_is_stamped_zero(shared: SharedData) -> None:
    listener = Listener()
    shared.create_series("x", 3)
    shared.subscribe("x", listener)
    shared["x"][0] = 1.0
    assert listener.heard == [(1.0, Stamp(0, 0))]


def test_nobody_is_told_of_a_read_of_a_creation_or_of_another_series(shared: SharedData) -> None:
    listener = Listener()
    shared.subscribe("x", listener)
    shared.create_dataset("x", data=np.ones(3))
    shared.create_series("y", 3)[0] = 1.0
    assert shared["x"][0] == 1.0
    np.testing.assert_array_equal(shared["x"][:], 1)
    assert listener.heard == []


def test_handlers_are_called_in_the_order_in_which_they_subscribed(shared: SharedData) -> None:
    order: list[str] = []
    shared.create_series("x", 3)
    shared.subscribe("x", lambda value, stamp: order.append("first"))
    shared.subscribe("x", lambda value, stamp: order.append("second"))
    shared["x"][0] = 1.0
    assert order == ["first", "second"]


def test_each_handler_has_a_copy_of_its_own(shared: SharedData) -> None:
    listener = Listener()

    def spoil(value: Any, stamp: Stamp) -> None:
        value[:] = -1

    series = shared.create_series("x", 3, columns=(2,))
    shared.subscribe("x", spoil)
    shared.subscribe("x", listener)
    series[0] = [1.0, 2.0]
    series[1] = [3.0, 4.0]
    np.testing.assert_array_equal(listener.values, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(series[:2], [[1, 2], [3, 4]])


@pytest.mark.parametrize(("dtype", "kind"), [("f4", float), ("f8", float), ("g", float), ("i8", int)])
def test_one_number_comes_as_pythons_own(shared: SharedData, dtype: str, kind: type) -> None:
    listener = Listener()
    shared.create_series("x", 3, dtype=dtype)
    shared.subscribe("x", listener)
    shared["x"][0] = 3
    assert type(listener.values[0]) is kind


def test_a_cancelled_handler_is_not_called_again_not_even_in_the_same_round(shared: SharedData) -> None:
    listener = Listener()
    series = shared.create_series("x", 3)
    ending: list[SeriesSubscription] = []
    shared.subscribe("x", lambda value, stamp: ending[0].cancel())
    ending.append(shared.subscribe("x", listener))
    series[0] = 1.0
    series[1] = 2.0
    ending[0].cancel()
    assert listener.heard == []


def test_the_with_block_ends_the_subscription(shared: SharedData) -> None:
    listener = Listener()
    series = shared.create_series("x", 3)
    with shared.subscribe("x", listener):
        series[0] = 1.0
    series[1] = 2.0
    assert listener.values == [1.0]


def test_one_handler_subscribed_twice_is_called_twice_and_cancelled_one_by_one(shared: SharedData) -> None:
    listener = Listener()
    series = shared.create_series("x", 3)
    first = shared.subscribe("x", listener)
    shared.subscribe("x", listener)
    series[0] = 1.0
    first.cancel()
    series[1] = 2.0
    assert listener.values == [1.0, 1.0, 2.0]


def test_an_exception_passes_with_a_note_and_the_value_is_stored(shared: SharedData) -> None:
    def fail(value: float, stamp: Stamp) -> None:
        raise ZeroDivisionError

    series = shared.create_series("x", 3)
    shared.subscribe("x", fail)
    with pytest.raises(ZeroDivisionError) as caught:
        series[0] = 1.0
    assert any("fail handled 'x' at epoch 0, minibatch 0" in note for note in caught.value.__notes__)
    assert series[0] == 1.0


def test_an_object_without_a_name_is_named_by_its_repr(shared: SharedData) -> None:
    class Failing:
        def __call__(self, value: float, stamp: Stamp) -> None:
            raise ZeroDivisionError

        def __repr__(self) -> str:
            return "<the failing one>"

    series = shared.create_series("x", 3)
    shared.subscribe("x", Failing())
    with pytest.raises(ZeroDivisionError) as caught:
        series[0] = 1.0
    assert "while <the failing one> handled 'x'" in caught.value.__notes__[0]


def test_a_handler_may_write_another_series_and_read_this_one(shared: SharedData) -> None:
    series, best = shared.create_series("x", 3), shared.create_series("best", 1)

    def keep_best(value: float, stamp: Stamp) -> None:
        best[0] = float(np.nanmin(series[:]))

    shared.subscribe("x", keep_best)
    for row, value in enumerate([3.0, 1.0, 2.0]):
        series[row] = value
    assert best[0] == 1.0


def test_the_subscription_follows_the_path_not_the_object(shared: SharedData) -> None:
    listener = Listener()
    series = shared.create_series("x", 3)
    shared.subscribe("x", listener)
    series[0] = 1.0
    shared.move("x", "y")
    series[1] = 2.0
    shared["x"] = shared.create_series("z", 3)
    shared["z"][0] = 3.0
    del shared["x"]
    shared["z"][1] = 4.0
    assert listener.values == [1.0, 3.0]


def test_a_subscription_to_a_group_is_refused(shared: SharedData) -> None:
    listener = Listener()
    shared.create_group("cost")
    with pytest.raises(WiringError, match="'cost' is a group"):
        shared.subscribe("cost", listener)
    del shared["cost"]
    shared.create_series("cost", 3)[0] = 1.0
    assert listener.heard == []


def test_a_path_below_a_dataset_is_never_told_of(shared: SharedData) -> None:
    listener = Listener()
    series = shared.create_series("x", 3)
    shared.subscribe("x/y", listener)
    series[0] = 1.0
    assert listener.heard == []


@pytest.mark.parametrize("key", ["", "/", "./"])
def test_a_path_that_names_nothing_is_refused(shared: SharedData, key: str) -> None:
    with pytest.raises(ConfigurationError, match="names no series"):
        shared.subscribe(key, Listener())


def test_what_cannot_be_called_is_refused(shared: SharedData) -> None:
    with pytest.raises(HandlerError, match="3 is not callable"):
        shared.subscribe("x", 3)  # type: ignore[arg-type]  # what is tested


def test_two_dots_are_a_name_like_any_other_as_in_hdf5(shared: SharedData) -> None:
    assert shared.subscribe("/a/../b", Listener()).key == "a/../b"
