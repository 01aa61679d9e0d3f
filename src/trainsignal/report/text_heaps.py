"""The heaps in which HDF5 keeps texts: one kind of damage to them is looked for before HDF5 reads any.

HDF5 2.0 goes on for ever at an entry of length zero, and no signal ends that: it walks a heap from entry to
entry, each by its length. Source: HDF5 file format specification, "Global Heap" (III.E).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

_SIGNATURE: Final = b"GCOL\x01\0\0\0"
_HEADER_BYTES: Final = 16
"""Of a heap: signature and size; of an entry: index, count of references, reserved, and size."""

_ALIGNMENT: Final = 8
_BLOCK_BYTES: Final = 2**24


def check_text_heaps(stream: BinaryIO) -> None:
    """Refuse an HDF5 file with a heap that cannot be walked to its end.

    Args:
        stream: the file, which can seek.

    Raises:
        ValueError: there is such a heap.
        OSError: it cannot be read.
    """
    for place in _heaps(stream):
        stream.seek(place + len(_SIGNATURE))
        size = int.from_bytes(stream.read(8), "little")
        stream.seek(place)
        heap = stream.read(min(size, _BLOCK_BYTES))
        at = _HEADER_BYTES
        while at + _HEADER_BYTES <= len(heap):
            length = _entry_length(heap, at)
            if not length:
                raise ValueError("the texts in it are damaged")
            at += length


def _entry_length(heap: bytes, at: int) -> int:
    """Return the bytes from an entry to the next one; the entry 0 is what is free."""
    index = int.from_bytes(heap[at : at + 2], "little")
    size = int.from_bytes(heap[at + 8 : at + _HEADER_BYTES], "little")
    return size if index == 0 else _HEADER_BYTES + -(-size // _ALIGNMENT) * _ALIGNMENT


def _heaps(stream: BinaryIO) -> Iterator[int]:
    """Yield where heaps begin."""
    begin, rest = 0, b""
    stream.seek(0)
    while block := stream.read(_BLOCK_BYTES):
        after = stream.tell()
        window = rest + block
        found = window.find(_SIGNATURE)
        while found >= 0:
            if (begin + found) % _ALIGNMENT == 0:
                yield begin + found
            found = window.find(_SIGNATURE, found + 1)
        rest = window[-len(_SIGNATURE) + 1 :]
        begin = after - len(rest)
        stream.seek(after)
