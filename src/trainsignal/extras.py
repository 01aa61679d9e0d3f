"""Packages that only some parts need: imported when they are used, and named when they are missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from typing import Any

from trainsignal.errors import MissingPackageError


def require(module: str, extra: str, user: str, *, at_least: str | None = None) -> Any:
    """Return the imported `module`.

    Args:
        module: dotted name.
        extra: extra of trainsignal that installs it.
        user: who needs it, for the message.
        at_least: the oldest version that will do, such as "2.2"; None: any.

    Raises:
        MissingPackageError: it is not installed, or older than that.
    """
    package = module.partition(".")[0]
    remedy = f'Install it with: pip install "trainsignal[{extra}]"'
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(f"{user} needs {package}. {remedy} ({error})") from error
    found = _version(package, imported)
    if at_least is not None and found is not None and _numbers(found) < _numbers(at_least):
        raise MissingPackageError(f"{user} needs {package} {at_least} or later, not {found}. {remedy}")
    return imported


def _version(package: str, imported: Any) -> str | None:
    """Return the version of a package; None where it does not tell."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # it is installed under another name
        told: str | None = getattr(imported, "__version__", None)
        return told


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers of a version: (2, 13, 0) for "2.13.0+cpu"."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in release.group().split(".")) if release else ()
