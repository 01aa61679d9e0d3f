"""What runs are called where several are shown together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each archive: that of its file, without the suffix.

    Those of one name take as many of their folders in front as tell them apart: "adam/run" and "sgd/run".
    Files that differ in the suffix alone keep it.

    Args:
        paths: of different archives.
    """
    whole = [path.absolute().as_posix() for path in paths]
    plain = [path.absolute().with_suffix("").as_posix() for path in paths]
    stems = [_shortest(one, plain) for one in plain]
    return [
        stem if stems.count(stem) == 1 else _shortest(path, whole)
        for stem, path in zip(stems, whole, strict=True)
    ]


def _shortest(path: str, paths: Sequence[str]) -> str:
    """Return the fewest last parts of a path that no other path ends in."""
    parts = path.split("/")
    others = [other for other in paths if other != path]
    for count in range(1, len(parts)):
        tail = "/".join(parts[-count:])
        if not any(f"/{other}".endswith(f"/{tail}") for other in others):
            return tail
    return path
