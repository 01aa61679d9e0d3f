"""Every code block of the README runs, in order, in an empty folder."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.redis_server import RedisServer

README = Path(__file__).parent.parent / "README.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_code_block_is_python_or_a_list_of_commands() -> None:
    languages = {language for language, _ in FENCE.findall(README.read_text("utf-8"))}

    assert languages == {"python", "bash"}


def run_commands(block: str) -> str:
    """Return what the commands of a block print, run by a shell that ends at the first one that fails."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-e", "-c", block]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PATH": programs}
    ).stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """Return what the blocks printed, the names that they left, and the folder in which they ran."""
    folder = tmp_path_factory.mktemp("readme")
    server = RedisServer(folder / "redis")
    server.start()
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        for language, written in FENCE.findall(README.read_text("utf-8")):
            block = written.replace("redis://localhost:6379", server.url)
            if language == "python":
                exec(compile(block, str(README), "exec"), names)
            else:
                printed.write(run_commands(block))
    yield printed.getvalue(), names, folder
    server.stop()


def test_handler_of_every_second_epoch_and_of_the_series_were_called(
    ran: tuple[str, dict[str, Any], Path],
) -> None:
    printed = ran[0]

    assert [int(one) for one in re.findall(r"^epoch (\d+): loss", printed, re.MULTILINE)] == [1, 3]
    assert [int(one) for one in re.findall(r"^(\d+) 0\.\d+$", printed, re.MULTILINE)] == [0, 1, 2, 3]


def test_neon_callback_wrote_its_dataset(ran: tuple[str, dict[str, Any], Path]) -> None:
    assert (ran[2] / "best.h5").exists()
    assert "run          stopped by" not in ran[0].partition("closed:")[0]


def test_hand_written_loop_was_recorded(ran: tuple[str, dict[str, Any], Path]) -> None:
    with h5py.File(str(ran[2] / "sgd.h5")) as archive:
        assert archive["cost/train"].shape == (135,)
        assert archive["config"].attrs["exit_reason"] == "completed"


def test_own_callback_stopped_the_run(ran: tuple[str, dict[str, Any], Path]) -> None:
    run = ran[1]["callbacks"].run

    assert "closed: stopped" in ran[0]
    assert run.votes[0].author == "StopBelow"
    assert run.epochs_complete < 20


def test_archive_of_the_first_run_is_complete(ran: tuple[str, dict[str, Any], Path]) -> None:
    with h5py.File(str(ran[2] / "run.h5")) as archive:
        assert archive["config"].attrs["exit_reason"] == "completed"
        assert archive["cost/loss"].shape == (4,)


def test_run_that_was_started_again_went_on(ran: tuple[str, dict[str, Any], Path]) -> None:
    assert ran[1]["survivor"].run.is_resumed
    with h5py.File(str(ran[2] / "long.h5")) as archive:
        assert archive["config"].attrs["resumed_at_minibatches"].tolist() == [90]
        assert archive["cost/loss"].shape == (4,)
        assert not np.isnan(archive["cost/loss"][:]).any()
        assert not np.isnan(archive["cost/train"][:]).any()


def test_the_commands_have_left_their_pages_and_tables(ran: tuple[str, dict[str, Any], Path]) -> None:
    folder = ran[2]

    assert (folder / "run.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert (folder / "comparison.html").exists()
    assert (folder / "run.csv").read_text("utf-8").startswith("series,row,epoch")
    assert "completed" in ran[0]


def test_run_was_heard_elsewhere(ran: tuple[str, dict[str, Any], Path]) -> None:
    heard = re.findall(r"^far away, epoch (\d): loss 0\.\d+$", ran[0], re.MULTILINE)

    assert heard == ["0", "1", "2", "3"]
