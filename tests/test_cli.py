"""The `trainsignal` command."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import h5py
import pytest

import trainsignal
from trainsignal import cli
from trainsignal.checkpoint import load_state


def test_demo_trains_keeps_its_files_and_tells_how_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    status = cli.main(["demo", "--no_progress_bar"])

    printed = capsys.readouterr().out
    assert status == 0
    for words in ("run          completed", "epochs       12 of 12", "best loss", "best Accuracy",
                  "LossCallback", "demo-run/digits.h5", "demo-run/best.h5"):  # fmt: skip
        assert words in printed
    right = float(printed.rpartition("held out")[2].split()[0])
    assert right >= 95
    with h5py.File(str(tmp_path / "demo-run" / "digits.h5")) as archive:
        assert archive["cost/loss"].shape == (12,)
    assert load_state(tmp_path / "demo-run" / "checkpoint.h5")["epoch_index"] == 12


def test_demo_takes_neons_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli.main(["demo", "-e", "2", "-o", "mine.h5"]) == 0

    assert (tmp_path / "mine.h5").exists()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("[")[0].strip() for line in lines[:2]] == ["Epoch 0", "Epoch 1"]


def test_error_of_ours_is_one_line_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli.main(["demo", "-o", "missing/run.h5"]) == 1

    error = capsys.readouterr().err
    assert error.startswith("trainsignal demo: cannot write the archive")
    assert "mkdir -p" in error


@pytest.mark.parametrize(
    "arguments", [[], ["dmo"], ["demo", "-eval", "0"]], ids=["none", "misspelt", "option"]
)
def test_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_missing_scikit_learn_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "trainsignal.demo", raising=False)
    monkeypatch.delattr(importlib.import_module("trainsignal"), "demo", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)

    assert cli.main(["demo"]) == 1

    assert "pip install 'trainsignal[demo]'" in capsys.readouterr().err


def test_ctrl_c_says_that_what_was_done_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainsignal import demo

    def interrupted(arguments: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "main", interrupted)

    assert cli.main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_model_that_is_trained_already_is_evaluated_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.main(["demo", "-e", "1", "--no_progress_bar"])
    first = capsys.readouterr().out

    assert cli.main(["demo", "-e", "1", "--no_progress_bar", "--model_file", "demo-run/checkpoint.h5"]) == 0

    second = capsys.readouterr().out
    assert "stopped by loop: the loop ended after 0 of 1 epochs" in second
    assert second.splitlines()[-1] == first.splitlines()[-1]


def test_another_module_that_is_missing_is_not_taken_for_scikit_learn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "trainsignal.demo", raising=False)
    monkeypatch.delattr(importlib.import_module("trainsignal"), "demo", raising=False)
    monkeypatch.setitem(sys.modules, "trainsignal.arguments", None)

    with pytest.raises(ModuleNotFoundError, match="arguments"):
        cli.main(["demo"])


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])

    assert capsys.readouterr().out == f"trainsignal {trainsignal.__version__}\n"
