"""Which runs are shown together, and what they are called there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trainsignal import files


def distinct_archives(paths: Sequence[Path]) -> list[Path]:
    """Return the paths without those that lead to an archive that came before; none need lead anywhere.

    Raises:
        ConfigurationError: one names a user that is not there.
    """
    once: dict[str, Path] = {}
    for path in paths:
        once.setdefault(os.path.realpath(files.expand(path)), path)
    return list(once.values())


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each archive: that of its file, without the suffix.

    Those of one name take as many of their folders in front as tell them apart: "adam/run" and "sgd/run".
    Files that differ in the suffix alone keep it.

    Args:
        paths: of different archives.
    """
    absolute = [path.absolute() for path in paths]
    whole = [path.as_posix() for path in absolute]
    plain = [(path.parent / path.stem).as_posix() for path in absolute]  # of the root folder, itself
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
