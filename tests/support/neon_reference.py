"""neon's reference data, and the networks that it was computed with, starting from neon's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    Conv,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    Model,
    Pooling,
    Rectlin,
    Softmax,
)

NEON_DATA = Path(__file__).parents[1] / "data" / "neon"

Arrays = dict[str, npt.NDArray[Any]]


def arrays(scenario: str) -> Arrays:
    """Return all arrays of a scenario ("mlp") by name."""
    with np.load(NEON_DATA / f"{scenario}.npz") as archive:
        return {name: archive[name] for name in archive.files}


def data_set(reference: Arrays, part: str, **kwargs: Any) -> ArrayIterator:
    """Return the scenario's "train" or "valid" set in batches of 32."""
    return ArrayIterator(reference[f"X_{part}"], reference[f"y_{part}"], nclass=10, name=part, **kwargs)


def mlp(bias: float = 0.01) -> Model:
    """Return the scenarios' MLP, not yet initialized."""
    init = Gaussian(scale=0.1)
    return Model(
        [
            Affine(nout=32, init=init, bias=Constant(bias), activation=Rectlin()),
            Affine(nout=10, init=init, bias=Constant(bias), activation=Softmax()),
        ]
    )


def convbn() -> Model:
    """Return the network of the scenario "convbn", not yet initialized."""
    init = Gaussian(scale=0.1)
    return Model(
        [
            Conv((3, 3, 8), init=init, padding=1, batch_norm=True, activation=Rectlin()),
            Pooling(2),
            Conv((3, 3, 12), init=init, padding=1, batch_norm=True, activation=Rectlin()),
            Affine(nout=32, init=init, batch_norm=True, activation=Rectlin()),
            Affine(nout=10, init=init, bias=Constant(0), activation=Softmax()),
        ]
    )


def deconv() -> Model:
    """Return the network of the scenario "deconv", not yet initialized."""
    init = Gaussian(scale=0.1)
    return Model(
        [
            Conv((3, 3, 6), init=init, padding=1, activation=Rectlin()),
            Conv((3, 3, 8), init=init, padding=1, strides=2, activation=Rectlin()),
            Conv((3, 3, 10), init=init, activation=Rectlin()),
            Affine(nout=10, init=init, bias=Constant(0), activation=Softmax()),
        ]
    )


def searched_set(reference: Arrays) -> ArrayIterator:
    """Return the images that neon's Deconv searched, in its batches of 32, as a data set of their own."""
    batches = [reference[f"deconv_inputs/batch{batch}"] for batch in range(5)]
    return ArrayIterator(np.concatenate(batches, axis=1).T, None, lshape=(1, 8, 8), name="searched")


def trained_deconv(reference: Arrays) -> Model:
    """Return the network of the scenario "deconv" as it was when neon visualized it."""
    model = deconv()
    model.initialize(searched_set(reference), GeneralizedCost(CrossEntropyMulti()))
    set_params(model, reference, "w_final")
    return model


def initialized_mlp(reference: Arrays) -> Model:
    """Return the scenarios' MLP with neon's first weights."""
    model = mlp()
    model.initialize(data_set(reference, "train"), GeneralizedCost(CrossEntropyMulti()))
    set_params(model, reference, "w_init")
    return model


def set_params(model: Model, reference: Arrays, moment: str) -> None:
    """Set the parameters to neon's at `moment` ("w_init", "w_epoch03")."""
    for position, attribute, values in _params(reference, moment):
        getattr(model.layers.layers[position], attribute)[...] = values


def assert_params_equal(model: Model, reference: Arrays, moment: str, atol: float) -> None:
    """Assert that the parameters are neon's at `moment`."""
    for position, attribute, values in _params(reference, moment):
        layer = model.layers.layers[position]
        np.testing.assert_allclose(getattr(layer, attribute), values, rtol=0, atol=atol, err_msg=str(layer))


def _params(reference: Arrays, moment: str) -> list[tuple[int, str, npt.NDArray[Any]]]:
    found = []
    for name, values in reference.items():
        if name.startswith(f"{moment}/"):
            position, _, attribute = name.removeprefix(f"{moment}/").split(".")
            found.append((int(position), attribute, values))
    assert found, f"no parameters at {moment!r}"
    return found
