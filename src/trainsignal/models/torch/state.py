"""State dicts of a module, its optimizers and schedulers as what a checkpoint holds, and back as they were.

Tensors become NumPy arrays of the same numbers; the structure of each state dict stays PyTorch's own. Loads
nothing: `loading` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from trainsignal.checkpoint.bits import is_bits
from trainsignal.checkpoint.tree import is_array, is_mapping, is_sequence
from trainsignal.errors import CheckpointError
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.tensors import check_holds_numbers, exact_copy, tensor_of, tensor_of_bits
from trainsignal.plain_values import KIND, NotPlainError, decode, encode

_ARRAY: Final = "numpy array, no tensor"
"""The key of a dict that stands for an array that was no tensor."""


class _Encoder:
    """Makes one checkpoint; tensors that are the same part of the same memory become one array."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        """By their place in memory: tensors, held so that no other one gets that place, and their copies."""

    def encoded(self, value: Any, path: str) -> Any:
        """Return `value` as plain values and arrays.

        Raises:
            CheckpointError: it is, or holds, something that no checkpoint can; `path` says where.
        """
        if isinstance(value, torch.Tensor):
            return self._tensor(value, path)
        if is_array(value):
            return {_ARRAY: value.copy()}
        if _is_simple_dict(value):
            return {key: self.encoded(child, f"{path}/{key}") for key, child in value.items()}
        if is_sequence(value) and not hasattr(
            value, "_fields"
        ):  # a named tuple would come back without names
            children = [self.encoded(child, f"{path}/{place}") for place, child in enumerate(value)]
            return children if isinstance(value, list) else tuple(children)
        try:
            return encode(value)
        except NotPlainError as error:
            raise CheckpointError(
                f"{path}: {error}, so that no checkpoint can hold it. Have state_dict() or get_extra_state() "
                "return tensors and plain values."
            ) from error

    def _tensor(self, tensor: Any, path: str) -> Any:
        try:
            check_holds_numbers(tensor)
        except TypeError as error:
            raise CheckpointError(f"{path}: no checkpoint can hold {error}") from error
        place = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
        if place not in self._known:
            self._known[place] = tensor, exact_copy(tensor)
        return self._known[place][1]


def _is_simple_dict(value: Any) -> bool:
    """Return whether it is a dict of which nothing is lost by its items."""
    kind = cast("Any", type(value))
    return (
        kind is dict
        and all(isinstance(key, str | int) and not isinstance(key, bool) for key in value)
        and KIND not in value
    )


def decoded(value: Any, path: str) -> Any:
    """Return what `states_of` was given there.

    Raises:
        CheckpointError: it is damaged, or of a type of numbers that this PyTorch has not; `path` says where.
    """
    try:
        return _decoded(value)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} in the checkpoint cannot be read ({type(error).__name__}: {error})"
        ) from error


def _decoded(value: Any) -> Any:
    """Return what `_Encoder.encoded` was given."""
    if is_array(value):
        return tensor_of(value)
    if is_bits(value):
        return tensor_of_bits(value)
    if is_mapping(value):
        if KIND in value:
            return decode(value)
        if set(value) == {_ARRAY} and is_array(value[_ARRAY]):
            return value[_ARRAY].copy()
        return {key: _decoded(child) for key, child in value.items()}
    if is_sequence(value):
        children = (_decoded(child) for child in value)
        return list(children) if isinstance(value, list) else tuple(children)
    return value


def states_of(module: Any, optimizers: Iterable[Any], schedulers: Iterable[Any]) -> dict[str, Any]:
    """Return the state dicts of all, as plain values and array copies.

    Raises:
        CheckpointError: one holds something that no checkpoint can.
    """
    encoder = _Encoder()
    return {
        "module": encoder.encoded(dict(module.state_dict()), "module"),
        "optimizers": [
            encoder.encoded(one.state_dict(), f"optimizers/{place}") for place, one in enumerate(optimizers)
        ],
        "schedulers": [
            encoder.encoded(one.state_dict(), f"schedulers/{place}") for place, one in enumerate(schedulers)
        ],
    }
