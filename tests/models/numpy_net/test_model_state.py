from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support import neon_reference
from trainsignal.errors import CheckpointError
from trainsignal.models.numpy_net import Affine, ArrayIterator, Gaussian, Model
from trainsignal.models.numpy_net.model_state import read_state


def state(**changes: Any) -> dict[str, Any]:
    model = Model([Affine(2, Gaussian())])
    model.initialize(ArrayIterator(np.ones((2, 3))))
    return model.serialize() | changes


def test_state_is_read_in_parts() -> None:
    saved = read_state(state(epoch_index=4))
    assert len(saved.layers) == 1
    assert saved.input_shape == 3
    assert saved.epoch_index == 4


def test_generator_continues_where_the_saved_one_was() -> None:
    rng = np.random.RandomState(5)
    rng.normal(size=3)
    saved = read_state(state(backend={"rng_state": rng.get_state()}))
    np.testing.assert_array_equal(saved.rng.normal(size=4), rng.normal(size=4))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [(64, 64), ((1, 8, 8), (1, 8, 8)), ([1, 8, 8], (1, 8, 8)), (np.int64(64), 64), (None, None)],
)
def test_shape_of_a_sample_comes_as_number_or_tuple(shape: Any, expected: Any) -> None:
    assert read_state(state(train_input_shape=shape)).input_shape == expected


def test_description_has_no_position() -> None:
    saved = read_state(neon_reference.mlp().get_description())
    assert saved.epoch_index is None
    assert saved.input_shape is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"model": {}},
        state(model={"config": {"layers": None}}),
        state(epoch_index="four"),
        state(epoch_index=1.5),
        state(train_input_shape="64"),
        state(train_input_shape=(1, "8")),
        state(backend={}),
        state(backend={"rng_state": ("MT19937", np.zeros(3, np.uint32), 0, 0, 0.0)}),
        state(backend={"rng_state": None}),
    ],
    ids=[
        "empty",
        "no_layers",
        "layers_none",
        "epoch_text",
        "epoch_fraction",
        "shape_text",
        "shape_with_text",
        "no_random_state",
        "random_state_too_short",
        "random_state_none",
    ],
)
def test_what_is_no_models_state_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"not the state of a model .*Model\.serialize\(\)"):
        read_state(wrong)
