"""Packages that only some callbacks need: imported when they are used, and named when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from trainsignal.errors import ConfigurationError


def require(module: str, extra: str, user: str) -> Any:
    """Return the imported `module`.

    Args:
        module: dotted name.
        extra: extra of trainsignal that installs it.
        user: who needs it, for the message.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{user} needs {module.partition('.')[0]}. "
            f'Install it with: pip install "trainsignal[{extra}]" ({error})'
        ) from error
