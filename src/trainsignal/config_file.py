"""Options from a file of lines `name = value`, as words to put before those of the command line.

The file's syntax is ConfigArgParse's, as neon's is: `name = value`, `name: value`, `name` alone for a
flag, comments after # or ;. This is the only file that imports ConfigArgParse, and only once a file is
asked for.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainsignal.errors import ConfigurationError, did_you_mean

_TRUTH = {"true": 1, "yes": 1, "on": 1, "false": 0, "no": 0, "off": 0}
_NOT_IN_FILES = ("config", "help")


def read_words(path: Path, options: Mapping[str, argparse.Action]) -> list[str]:
    """Return the settings of the file at `path` as words of a command line.

    A flag is given where it is true, and n times where it is the number n (`verbose = 2` is -v -v).

    Args:
        path: the file.
        options: what each option string, such as "--epochs", does.

    Raises:
        ConfigurationError: ConfigArgParse is not installed, or the file cannot be read or names no option.
    """
    settings = _read(path)
    return [word for name, value in settings.items() for word in _words(name, value, options)]


def _read(path: Path) -> dict[str, str | list[Any]]:
    try:
        configargparse: Any = importlib.import_module("configargparse")
    except ImportError as error:
        raise ConfigurationError(
            "reading options from a file needs ConfigArgParse. Install it with: pip install trainsignal[cli]"
        ) from error
    try:
        with path.open(encoding="utf-8") as lines:
            return dict(configargparse.DefaultConfigFileParser().parse(lines))
    except (OSError, UnicodeDecodeError, configargparse.ConfigFileParserException) as error:
        raise ConfigurationError(
            f"cannot read the options in {str(path)!r}: {error}. Write lines `name = value`."
        ) from error


def _words(name: str, value: str | list[Any], options: Mapping[str, argparse.Action]) -> list[str]:
    option = f"--{name}"
    if option not in options or name in _NOT_IN_FILES:
        long = [known.removeprefix("--") for known in options if known.startswith("--")]
        known = [one for one in long if one not in _NOT_IN_FILES]
        hint = did_you_mean(name, known) or f" Options are {', '.join(known)}."
        raise ConfigurationError(f"no option named {name!r}.{hint}")
    if isinstance(value, list):
        return [option, *map(str, value)]
    if options[option].nargs == 0:
        return [option] * _times(name, value)
    return [f"{option}={value}"]


def _times(name: str, value: str) -> int:
    """Return how often a flag is given."""
    times = int(value) if value.isdecimal() else _TRUTH.get(value.lower())
    if times is None:
        raise ConfigurationError(f"{name} = {value} is neither true nor false nor a number of times.")
    return times
