"""Where the moments of a run lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsignal.report.timeline import AXES, Timeline

NAN = np.nan


def timeline(minibatches: list[float], seconds: list[float] | None = None) -> Timeline:
    return Timeline(np.array(minibatches, float), np.array(seconds or [NAN] * len(minibatches), float))


@pytest.mark.parametrize(
    ("minibatches", "done", "epochs"),
    [
        ([0, 32, 63], 32, 1),
        ([0, 32, 63], 16, 0.5),
        ([0, 32, 63], 63, 2),
        ([0, 10, 20], 25, 2.5),
        ([0, 0, 31], 31, 2),
        ([0, 0, 31], 0, 1),
        ([0, 10, 10, 20], 10, 1),
        ([0, 10, 10, 20], 15, 2.5),
        ([0, 10, 10], 20, 2),
        ([0], 5, 0),
        ([0, 0], 5, 0),
    ],
)
def test_minibatches_lie_within_their_epochs(minibatches: list[float], done: float, epochs: float) -> None:
    assert timeline(minibatches).epochs_at(np.array([done], float)).tolist() == [epochs]


@given(st.lists(st.integers(0, 50), max_size=6), st.lists(st.integers(0, 400), min_size=2))
def test_later_minibatches_never_lie_earlier(lengths: list[int], done: list[int]) -> None:
    moments = timeline([0, *np.cumsum(lengths).tolist()]).epochs_at(np.sort(np.array(done, float)))

    assert (np.diff(moments) >= 0).all()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.lists(st.integers(0, 400), min_size=1))
def test_minibatches_are_found_again_from_their_moments(lengths: list[int], done: list[int]) -> None:
    epochs = timeline([0, *np.cumsum(lengths).tolist()])
    minibatches = np.array(done, float)

    places = epochs.places(epochs.epochs_at(minibatches), "minibatch")

    np.testing.assert_allclose(places, minibatches, atol=1e-9)


def test_on_the_axis_of_epochs_moments_are_where_they_are() -> None:
    moments = np.array([0.5, 7])
    assert timeline([0, 10]).places(moments, "epoch") is moments


def test_on_the_axis_of_minibatches_epochs_are_as_long_as_they_were() -> None:
    places = timeline([0, 10, 40]).places(np.array([0.5, 1.5, 3]), "minibatch")

    assert places.tolist() == [5, 25, 70]


def test_seconds_are_between_those_that_were_noted_and_go_on_at_the_last_pace() -> None:
    places = timeline([0, 10, 20, 30], [0, 4, NAN, 20]).places(np.array([0.5, 2, 3, 4]), "time")

    assert places.tolist() == [2, 12, 20, 28]


@pytest.mark.parametrize("seconds", [[NAN, NAN], [0, NAN]])
def test_where_no_two_moments_are_noted_places_are_unknown(seconds: list[float]) -> None:
    places = timeline([0, 10], seconds).places(np.array([0.0, 0.5]), "time")

    assert np.isnan(places).all()


def test_the_axes_are_the_three() -> None:
    assert AXES == ("epoch", "minibatch", "time")
