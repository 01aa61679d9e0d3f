from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from trainsignal.config_file import read_words
from trainsignal.errors import ConfigurationError

PARSER = argparse.ArgumentParser()
OPTIONS: Mapping[str, argparse.Action] = {
    f"--{action.dest}": action
    for action in [
        PARSER.add_argument("--epochs"),
        PARSER.add_argument("--layers", nargs="+"),
        PARSER.add_argument("--quiet", action="store_true"),
        PARSER.add_argument("--verbose", action="count"),
        PARSER.add_argument("--config"),
    ]
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("epochs = 3", ["--epochs=3"]),
        ("epochs: 3", ["--epochs=3"]),
        ("epochs=3  # or four", ["--epochs=3"]),
        ("# epochs = 3", []),
        ("", []),
        ("layers = [2, 3]", ["--layers", "2", "3"]),
        ("quiet", ["--quiet"]),
        ("quiet = true", ["--quiet"]),
        ("quiet = False", []),
        ("verbose = 2", ["--verbose", "--verbose"]),
        ("verbose = 0", []),
    ],
)
def test_line_becomes_words(line: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "run.cfg").write_text(f"{line}\n")

    assert read_words(tmp_path / "run.cfg", OPTIONS) == words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epoch = 3", "no option named 'epoch'. Did you mean 'epochs'"),
        (b"zzz = 3", "no option named 'zzz'. Options are epochs, layers, quiet, verbose."),
        (b"config = other.cfg", "no option named 'config'. Options are epochs"),
        (b"quiet = perhaps", "quiet = perhaps is neither true nor false"),
        (b"= 3", "Write lines `name = value`"),
        (b"\xff\xfe", "Write lines `name = value`"),
    ],
)
def test_line_that_sets_nothing_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "run.cfg").write_bytes(content)

    with pytest.raises(ConfigurationError, match=message):
        read_words(tmp_path / "run.cfg", OPTIONS)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the options in '.*run\.cfg'"):
        read_words(tmp_path / "run.cfg", OPTIONS)


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "configargparse", None)

    with pytest.raises(ConfigurationError, match=r"pip install trainsignal\[cli\]"):
        read_words(tmp_path / "run.cfg", OPTIONS)
