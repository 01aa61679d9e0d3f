"""The parameters of a layer as neon's callbacks know them: tensors, and dicts of arrays to set or save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.models.numpy_net.arrays import Floats
from trainsignal.tensor import HostTensor

if TYPE_CHECKING:
    from trainsignal.models.numpy_net.layers import Layer


class Parameter:
    """An attribute of a layer with an array: a tensor for who asks, and a plain array as `_<name>`.

    The layer computes with the plain one, since NumPy takes up to 1 µs longer for each operation on a
    subclass, a third of a small network's time. Both are the same memory. Assigning puts a copy in its place,
    of the same shape: floating-point numbers with the type that they have, others as float32.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Parameter: ...

    @overload
    def __get__(self, layer: Layer, owner: type) -> HostTensor: ...

    def __get__(self, layer: Layer | None, owner: type) -> HostTensor | Parameter:
        if layer is None:
            return self
        values: Floats | None = vars(layer).get(f"_{self._name}")
        if values is None:
            raise AttributeError(_nothing_yet(layer))
        tensor = values.view(HostTensor)
        tensor.backend = layer.be
        return tensor

    def __set__(self, layer: Layer, values: npt.ArrayLike) -> None:
        array = _checked(layer, self._name, values)
        dtype = array.dtype if array.dtype.kind == "f" else np.float32
        vars(layer)[f"_{self._name}"] = np.array(array, dtype, subok=False)


def set_parameters(layer: Layer, pdict: Mapping[str, Any] | npt.ArrayLike) -> None:
    """Copy values into parameters of a layer, all of them or none.

    Args:
        layer: configured.
        pdict: `{"params": {"W": values}}`, `{"W": values}`, or the values of the one parameter. Beside
            "params" there may be what else a saved layer holds.

    Raises:
        ConfigurationError: the layer has no such parameter, or it has another shape.
        RunStateError: the model is not initialized.
    """
    try:
        parameters = layer.params
    except AttributeError as error:
        raise RunStateError(_nothing_yet(layer)) from error
    if isinstance(pdict, Mapping):
        by_name: Mapping[str, Any] = pdict.get("params", pdict)
    elif len(parameters) == 1:
        by_name = dict.fromkeys(parameters, pdict)
    else:
        raise ConfigurationError(
            f"layer {layer.name!r} has the parameters {', '.join(parameters) or 'none'}: "
            "say whose values are given by a dict of arrays, {'params': {name: values}}."
        )
    arrays = {name: _checked(layer, name, values) for name, values in by_name.items()}
    for name, array in arrays.items():
        parameters[name][...] = array


def saved_parameters(layer: Layer, keep_states: bool = True) -> dict[str, Any]:
    """Return copies of the parameters of a layer and of the optimizer's arrays, as neon saves them.

    Args:
        layer: of any kind; there is nothing to save of one that trains nothing.
        keep_states: False leaves out the optimizer's arrays.

    Returns:
        `params`, arrays by name, and `states`: a list of arrays, or where several parameters are trained a
        list of arrays for each.
    """
    if not layer.states:
        return {}
    saved: dict[str, Any] = {"params": {name: values.copy() for name, values in layer.params.items()}}
    if keep_states:
        states = [[values.copy() for values in arrays] for arrays in layer.states]
        saved["states"] = states[0] if len(states) == 1 else states
    return saved


def _checked(layer: Layer, name: str, values: npt.ArrayLike) -> Floats:
    """Return the values as an array that fits the parameter."""
    there = layer.params.get(name)
    if there is None:
        raise ConfigurationError(
            f"layer {layer.name!r} has no parameter {name!r}; it has {', '.join(layer.params) or 'none'}."
        )
    array = np.asarray(values)
    if array.shape != there.shape:
        raise ConfigurationError(
            f"layer {layer.name!r}: {name} was given values of shape {array.shape}, expected {there.shape}."
        )
    return array


def _nothing_yet(layer: Layer) -> str:
    return f"layer {layer.name!r} has no parameters yet: call model.initialize(dataset) or fit first."
