"""Nested dicts with tensors in PyTorch's own file format, for `torch.load(path, weights_only=True)`.

Arrays are tensors there, and numbers of types that NumPy lacks are what they are, so that
`module.load_state_dict(torch.load(path)["module"])` needs nothing of ours. What PyTorch cannot hold, such as
text in arrays, is a dict with the key ".pt kind". No code in a file is ever run. A file that others wrote
is read too, if it holds tensors and plain values.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.bits import (
    INTEGER_NAMES,
    NUMPY_NAMES,
    bits,
    from_bytes,
    is_bits,
    to_bytes,
    type_and_integers,
)
from trainsignal.checkpoint.packing import DamagedError
from trainsignal.checkpoint.tree import is_array, is_mapping, is_scalar, is_sequence
from trainsignal.extras import require

_KIND: Final = ".pt kind"
_LARGEST = 2**63 - 1


def write(state: Any, path: Path) -> None:
    """Write a plain state (`tree.make_plain`) to a new file.

    The file is built in memory first: PyTorch's own writer, on a full disk, raises no OSError.

    Raises:
        MissingPackageError: PyTorch is not installed.
        OSError: the disk is full, or the folder is not writable.
    """
    torch = _torch()
    image = io.BytesIO()
    torch.save(_Writer(torch).converted(state), image)
    path.write_bytes(image.getbuffer())


def read(path: Path) -> Any:
    """Return what the file at `path` holds, on the host.

    Raises:
        MissingPackageError: PyTorch is not installed.
        DamagedError: it is damaged, or holds what no checkpoint can.
        OSError, RuntimeError, zipfile.BadZipFile: it is cut off, or no file of PyTorch's.
    """
    torch = _torch()
    _check_size(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return _Reader(torch, path.stat().st_size).converted(content)
    except (pickle.UnpicklingError, LookupError, AttributeError, AssertionError, struct.error) as error:
        reason = str(error).partition("\n")[0]
        raise DamagedError(f"PyTorch cannot read it ({type(error).__name__}: {reason})") from error


def check() -> None:
    """Refuse where PyTorch is missing.

    Raises:
        MissingPackageError: it is not installed, or too old.
    """
    _torch()


def _torch() -> Any:
    return require("torch", extra="torch", user="a checkpoint in a .pt file", at_least="2.2")


def _check_size(path: Path) -> None:
    """Refuse a file that would take more memory than its size."""
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise DamagedError("its members are compressed, which PyTorch never does")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise DamagedError("its members overlap, or it is cut off")


class _Writer:
    """Converts one state; an array that occurs twice becomes two tensors that share their memory."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._tensors: dict[int, tuple[Array, Any]] = {}
        """By `id`: arrays, held so that no other one gets that `id`, and their tensors."""

    def converted(self, value: Any) -> Any:
        """Return `value` with tensors for arrays."""
        if is_bits(value):
            name, integers = type_and_integers(value)
            return self._tensor(integers).view(getattr(self._torch, name))
        if is_mapping(value):
            if _KIND in value:
                items = [(key, self.converted(child)) for key, child in value.items()]
                return {_KIND: "dict", "items": items}
            return {key: self.converted(child) for key, child in value.items()}
        if is_sequence(value):
            children = (self.converted(child) for child in value)
            return list(children) if isinstance(value, list) else tuple(children)
        if is_array(value):
            return self._tensor(value)
        if is_scalar(value):
            return {_KIND: "scalar", "array": self._tensor(np.asarray(value))}
        if isinstance(value, bytes):
            return {_KIND: "bytes", "array": self._torch.from_numpy(np.array(bytearray(value), np.uint8))}
        if isinstance(value, int) and abs(value) > _LARGEST:
            return {_KIND: "int", "hexadecimal": hex(value)}
        return value

    def _tensor(self, array: Array) -> Any:
        """Return a tensor; a dict for an array of a type that PyTorch lacks."""
        if id(array) not in self._tensors:
            self._tensors[id(array)] = array, self._new_tensor(array)
        return self._tensors[id(array)][1]

    def _new_tensor(self, array: Array) -> Any:
        dtype = array.dtype
        if dtype.isnative and dtype.name in NUMPY_NAMES and hasattr(self._torch, dtype.name):
            return self._torch.from_numpy(array.copy())
        return {_KIND: "array", "dtype": dtype.str, "bytes": self._torch.from_numpy(to_bytes(array))}


class _Reader:
    """Converts back what was in one file.

    Args:
        torch: PyTorch.
        size_bytes: of the file; its tensors may not be larger.
    """

    def __init__(self, torch: Any, size_bytes: int) -> None:
        self._torch = torch
        self._bytes_left = size_bytes
        self._arrays: dict[tuple[Any, ...], Array] = {}

    def converted(self, value: Any) -> Any:
        """Return `value` with arrays for tensors."""
        if isinstance(value, self._torch.Tensor):
            return self._array_or_bits(value)
        if is_mapping(value):
            if _KIND in value:
                return self._special(value)
            return dict(self._items(value.items()))
        if is_sequence(value):
            children = (self.converted(child) for child in value)
            return list(children) if isinstance(value, list) else tuple(children)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise DamagedError(f"it holds a {type(value).__name__}, which no checkpoint can")

    def _items(self, items: Any) -> Iterator[tuple[Any, Any]]:
        for key, child in items:
            if not isinstance(key, str | int):
                raise DamagedError(f"it holds a dict with the key {key!r}, which no checkpoint can")
            yield key, self.converted(child)

    def _special(self, value: Mapping[str, Any]) -> Any:
        """Return what a dict with the key ".pt kind" stands for."""
        match value[_KIND]:
            case "dict":
                return dict(self._items(value["items"]))
            case "scalar":
                return self.converted(value["array"])[()]
            case "bytes":
                return self.converted(value["array"]).tobytes()
            case "int":
                return int(value["hexadecimal"], 16)
            case "array":
                return from_bytes(self.converted(value["bytes"]), value["dtype"])
            case kind:
                raise DamagedError(f"it has an entry of the unknown kind {kind!r}")

    def _array_or_bits(self, tensor: Any) -> Any:
        if tensor.layout != self._torch.strided or tensor.is_quantized or tensor.is_meta:
            raise DamagedError(
                f"it holds a tensor of layout {tensor.layout} and {tensor.dtype} on {tensor.device}, which "
                "no checkpoint can"
            )
        name = str(tensor.dtype).removeprefix("torch.")
        if name in NUMPY_NAMES:
            return self._array(tensor)
        integers = getattr(self._torch, INTEGER_NAMES[tensor.dtype.itemsize])
        return bits(name, self._array(tensor.view(integers)))

    def _array(self, tensor: Any) -> Array:
        """Return a new array; the same one for tensors that are the same part of the same memory."""
        memory = tensor.untyped_storage().data_ptr()
        place = (memory, tensor.storage_offset(), tensor.dtype, tensor.shape, tensor.stride())
        if place not in self._arrays:
            self._bytes_left -= tensor.numel() * tensor.itemsize
            if self._bytes_left < 0:
                raise DamagedError("its tensors would be larger than the file")
            self._arrays[place] = tensor.detach().resolve_conj().resolve_neg().numpy().copy()
        return self._arrays[place]
