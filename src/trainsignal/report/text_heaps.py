"""The heaps in which HDF5 keeps texts: walked before HDF5 reads any, for one kind of damage and for sizes.

HDF5 2.0 goes on for ever at an entry of length zero, and no signal ends that: it walks a heap from entry to
entry, each by its length. Source: HDF5 file format specification, "Global Heap" (III.E).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np

_SIGNATURE: Final = b"GCOL\x01\0\0\0"
_HEADER_BYTES: Final = 16
"""Of a heap: signature and size; of an entry: index, count of references, reserved, and size."""

_ALIGNMENT: Final = 8
"""Of heaps in the file, and of entries in a heap; as long as the signature."""

MOST_TEXTS: Final = 2**20
"""Over all heaps of a file; more would take minutes to walk."""

_BLOCK_BYTES: Final = 2**20
"""Searched at once, so that the bytes are still at hand when they are."""


def longest_text(stream: BinaryIO) -> int:
    """Return the bytes of the longest text of an HDF5 file, having found that HDF5 can read all of them.

    Args:
        stream: the file, which can seek.

    Raises:
        ValueError: there is a heap that cannot be walked to its end, or there are too many texts.
        OSError: it cannot be read.
    """
    longest = 0
    sizes = itertools.chain.from_iterable(_texts(stream, place) for place in _heaps(stream))
    for count, size in enumerate(sizes):
        if count >= MOST_TEXTS:
            raise ValueError(f"there are more than {MOST_TEXTS:,} texts in it")
        longest = max(longest, size)
    return longest


def _texts(stream: BinaryIO, place: int) -> Iterator[int]:
    """Yield the bytes of each text in the heap that begins at `place`; of what is free, 0.

    Raises:
        ValueError: there is an entry without a length.
        OSError: it cannot be read.
    """
    stream.seek(place + len(_SIGNATURE))
    end = place + int.from_bytes(stream.read(8), "little")
    at = place + _HEADER_BYTES
    while at + _HEADER_BYTES <= end:
        stream.seek(at)
        header = stream.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:  # the file ends before the heap does, as what is none may
            return
        index, size = int.from_bytes(header[:2], "little"), int.from_bytes(header[8:], "little")
        length = _HEADER_BYTES + -(-size // _ALIGNMENT) * _ALIGNMENT if index else size
        if not length:
            raise ValueError("the texts in it are damaged")
        yield size if index else 0
        at += length


def _heaps(stream: BinaryIO) -> Iterator[int]:
    """Yield where heaps begin."""
    signature = np.frombuffer(_SIGNATURE, np.uint64)
    begin = 0
    stream.seek(0)
    while block := stream.read(_BLOCK_BYTES):
        after = stream.tell()
        words = np.frombuffer(block, np.uint64, len(block) // _ALIGNMENT)
        for word in np.flatnonzero(words == signature).tolist():
            yield begin + word * _ALIGNMENT
        begin = after
        stream.seek(after)
