from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.log_output import configure_logging

LOGGER = logging.getLogger("trainsignal")


pytestmark = pytest.mark.usefixtures("restored_logger")


def options(*, log: str | None = None, verbose: int = 1, progress_bar: bool = True) -> argparse.Namespace:
    return argparse.Namespace(log=log, verbose=verbose, progress_bar=progress_bar)


# neon: the threshold is max(10, 40 - 10 * v).
@pytest.mark.parametrize(("verbose", "level"), [(0, 40), (1, 30), (2, 20), (3, 10), (9, 10)])
def test_each_v_lowers_the_threshold(verbose: int, level: int) -> None:
    configure_logging(options(verbose=verbose))

    assert LOGGER.level == level


def test_console_shows_what_is_above_the_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(options())
    logging.getLogger("trainsignal.callbacks").warning("loud")
    logging.getLogger("trainsignal.callbacks").info("quiet")

    shown = capsys.readouterr().err
    assert "trainsignal.callbacks - WARNING - loud" in shown
    assert "quiet" not in shown


@pytest.mark.parametrize(("progress_bar", "on_console"), [(True, False), (False, True)])
def test_console_leaves_warnings_to_the_log_file_beside_a_progress_bar(
    progress_bar: bool, on_console: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(options(log=str(tmp_path / "log.txt"), progress_bar=progress_bar))
    LOGGER.warning("careful")
    LOGGER.error("broken")

    shown = capsys.readouterr().err
    assert ("careful" in shown) is on_console
    assert "broken" in shown
    assert "WARNING - careful" in (tmp_path / "log.txt").read_text()


def test_variables_in_the_name_of_the_log_file_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS", str(tmp_path))

    configure_logging(options(log="$RUNS/log.txt"))

    assert (tmp_path / "log.txt").exists()


def test_second_call_replaces_the_first(tmp_path: Path) -> None:
    other = logging.NullHandler()
    LOGGER.addHandler(other)
    for _ in range(2):
        configure_logging(options(log=str(tmp_path / "log.txt")))
    LOGGER.warning("once")

    assert len(LOGGER.handlers) == 3
    assert other in LOGGER.handlers
    assert (tmp_path / "log.txt").read_text().count("once") == 1


def test_root_logger_is_left_alone() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    configure_logging(options(verbose=3))

    assert (root.level, list(root.handlers)) == before


def test_log_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Name another one with --log"):
        configure_logging(options(log=str(tmp_path / "no" / "log.txt")))
