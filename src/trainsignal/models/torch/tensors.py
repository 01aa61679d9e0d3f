"""Tensors as NumPy arrays and back, and moving them to where a module is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from trainsignal.abilities import Array
from trainsignal.checkpoint.bits import INTEGER_NAMES, NUMPY_NAMES, bits, type_and_integers
from trainsignal.checkpoint.tree import is_array, is_mapping, is_sequence
from trainsignal.models.torch.framework import torch

_NUMPY_TYPES: Final = frozenset(getattr(torch, name) for name in NUMPY_NAMES if hasattr(torch, name))


def host_values(tensor: Any) -> Array:
    """Return the numbers of a tensor for computing with them; may share its memory.

    Numbers of types that NumPy lacks, such as bfloat16, become float32.
    """
    plain = tensor.detach().to("cpu").resolve_conj().resolve_neg()
    array: Array = (plain if plain.dtype in _NUMPY_TYPES else plain.float()).numpy()
    return array


def check_holds_numbers(tensor: Any) -> None:
    """Refuse a tensor that holds no plain numbers.

    Raises:
        TypeError: it is sparse, quantized, on the meta device, or not initialized yet.
    """
    if torch.nn.parameter.is_lazy(tensor):
        raise TypeError("a parameter that is not initialized yet: call the module once before")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise TypeError(f"a tensor of layout {tensor.layout} and {tensor.dtype} on {tensor.device}")


def exact_copy(tensor: Any) -> Any:
    """Return the numbers of a tensor for a checkpoint: a new array, or `bits` of a type that NumPy lacks."""
    plain = tensor.detach().to("cpu", copy=True).resolve_conj().resolve_neg()
    if plain.dtype in _NUMPY_TYPES:
        return plain.numpy()
    name = str(plain.dtype).removeprefix("torch.")
    integers = getattr(torch, INTEGER_NAMES[plain.itemsize])
    return bits(name, plain.contiguous().view(integers).numpy())


def tensor_of(array: Array) -> Any:
    """Return a new tensor of what `exact_copy` made an array of."""
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))


def tensor_of_bits(value: Mapping[str, Any]) -> Any:
    """Return a new tensor of what `exact_copy` made bits of.

    Raises:
        TypeError: this PyTorch has no such type.
    """
    name, integers = type_and_integers(value)
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"numbers of the type {name!r}, which PyTorch {torch.__version__} has not")
    return tensor_of(integers).view(dtype)


def moved(value: Any, device: Any) -> Any:
    """Return tensors and arrays, alone or in lists, tuples and dicts, as tensors on a device.

    Args:
        value: other values are left alone, but for those that have a method `to` as tensors have.
        device: None: where they are.
    """
    if is_array(value):
        value = torch.as_tensor(value)
    if hasattr(value, "to"):
        is_there = device is None or getattr(value, "device", None) == device
        return value if is_there else value.to(device)
    if is_mapping(value):
        return {key: moved(child, device) for key, child in value.items()}
    if is_sequence(value):
        kind = cast("Any", type(value))
        children = (moved(child, device) for child in value)
        return kind(*children) if hasattr(kind, "_fields") else kind(children)  # _fields: a named tuple
    return value


def device_of(module: Any) -> Any:
    """Return the device of a module's first parameter or buffer; None where it has neither."""
    tensors: Iterator[Any] = itertools.chain(module.parameters(), module.buffers())
    for first in tensors:
        return first.device
    return None
