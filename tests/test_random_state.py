from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainsignal.checkpoint import load_state, save_state
from trainsignal.plain_values import decode, encode
from trainsignal.random_state import capture, restore


class Framework:
    """A model whose framework has a random generator of its own."""

    def __init__(self) -> None:
        self.state = 5

    def get_random_state(self) -> int:
        return self.state

    def set_random_state(self, state: int) -> None:
        self.state = state


def draw() -> list[float]:
    """Return numbers of both generators, an odd number of Gaussian ones, of which one is kept for later."""
    return [random.random(), random.gauss(0, 1), np.random.random(), np.random.standard_normal()]


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(4)
    np.random.seed(4)


@pytest.mark.parametrize("drawn_before", [0, 1], ids=["fresh", "amid a pair of Gaussian numbers"])
def test_same_numbers_follow(drawn_before: int, tmp_path: Path) -> None:
    for _ in range(drawn_before):
        draw()
    save_state(encode(capture(object())), tmp_path / "state.h5")
    expected = draw()
    draw()
    restore(decode(load_state(tmp_path / "state.h5")), object())
    assert draw() == expected


def test_state_does_not_change_when_numbers_are_drawn() -> None:
    states = capture(object())
    expected = draw()
    restore(states, object())
    assert draw() == expected


def test_generators_of_the_models_framework_count_too() -> None:
    model = Framework()
    states = capture(model)
    model.state = 6
    restore(states, model)
    assert model.state == 5


@pytest.mark.parametrize(
    "before, after", [(object(), Framework()), (Framework(), object())], ids=["new", "gone"]
)
def test_model_that_had_or_has_no_generators_is_left_alone(before: Any, after: Any) -> None:
    states = capture(before)
    expected = draw()
    restore(states, after)
    assert draw() == expected
    assert getattr(after, "state", 5) == 5
