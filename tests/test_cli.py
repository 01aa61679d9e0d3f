"""The `trainsignal` command."""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

import trainsignal
from trainsignal import cli
from trainsignal.checkpoint import load_state
from trainsignal.remote import command_line
from trainsignal.report.pages import live, static
from trainsignal.report.records import Run

NEON = Path(__file__).parent / "data" / "neon"


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
    "arguments",
    [
        [],
        ["dmo"],
        ["demo", "-eval", "0"],
        ["info"],
        ["info", "run.h5", "--charts"],
        ["export", "run.h5"],
        ["report", "run.h5", "--axis", "hour"],
        ["view", "run.h5", "--port", "65536"],
        ["view", "run.h5", "--port", "-1"],
    ],
    ids=["none", "misspelt", "option", "no file", "unknown option", "no target", "axis", "port", "sign"],
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


def neon_values(name: str, key: str) -> list[float]:
    with h5py.File(str(NEON / name)) as archive:
        values: list[float] = archive[key][()].tolist()
    return values


def test_info_shows_an_archive(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")

    assert cli.main(["info", str(NEON / "mlp.h5")]) == 0

    lines = capsys.readouterr().out.splitlines()
    losses = neon_values("mlp.h5", "cost/loss")
    assert lines[0].split() == ["run", "mlp"]
    assert ["cost/loss", f"{losses[-1]:.6g}"] in [line.split()[:2] for line in lines]
    assert max(len(line) for line in lines if line[:1] in "┌│└") <= 70
    assert "┌" in "".join(lines)


def test_info_shows_several_archives_under_names_that_tell_them_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / folder / "run.h5" for folder in ("adam", "sgd")]
    for path, source in zip(paths, ("mlp.h5", "multicost.h5"), strict=True):
        path.parent.mkdir()
        shutil.copy(NEON / source, path)
    adam, sgd = map(str, paths)

    assert cli.main(["info", "--no-charts", adam, sgd, adam]) == 0

    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("run ")] == [
        "adam/run", "sgd/run",
    ]  # fmt: skip
    assert "┌" not in printed


@pytest.mark.skipif(sys.platform == "win32", reason="the root is another thing there")
def test_what_has_no_name_and_what_leads_nowhere_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = tmp_path / "loop.h5"
    loop.symlink_to(loop)

    assert cli.main(["report", "/", str(NEON / "mlp.h5")]) == 1
    assert capsys.readouterr().err.startswith("trainsignal report: '/' is a folder")
    assert cli.main(["report", str(loop)]) == 1
    assert "is a link that leads nowhere" in capsys.readouterr().err


def test_one_archive_by_two_names_is_read_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS", str(NEON))
    (tmp_path / "link.h5").symlink_to(NEON / "mlp.h5")

    cli.main(["info", "--no-charts", "$RUNS/mlp.h5", str(NEON / "mlp.h5"), str(tmp_path / "link.h5")])

    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line[:4] == "run "] == ["mlp"]


def test_a_name_with_a_dollar_is_filled_in_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(NEON / "mlp.h5", tmp_path / "$HOME.h5")
    monkeypatch.setenv("FILE", str(tmp_path / "$HOME.h5"))

    assert cli.main(["info", "--no-charts", "$FILE"]) == 0


def drawings_of_report(archives: list[str], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many histograms of each run were read for a report."""
    read: list[int] = []

    def write(runs: Sequence[Run], folder: Path, axis: str) -> Path:
        read.extend(len(run.histograms) for run in runs)
        assert [run.histogram_count for run in runs] == [4] * len(runs)
        return folder

    monkeypatch.setattr(static, "write_report", write)
    assert cli.main(["report", *archives]) == 0
    return read


def test_histograms_are_read_where_one_run_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlp, copy = str(NEON / "mlp.h5"), str(tmp_path / "copy.h5")
    shutil.copy(mlp, copy)

    assert drawings_of_report([mlp, mlp], monkeypatch) == [4]
    assert drawings_of_report([mlp, copy], monkeypatch) == [0, 0]


def test_info_shows_every_series_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(str(tmp_path / "many.h5"), "w") as archive:
        for place in range(50):
            archive[f"metrics/m{place:02}"] = np.ones(2)

    cli.main(["info", "--no-charts", str(tmp_path / "many.h5")])
    short = capsys.readouterr().out
    cli.main(["info", "--no-charts", "--all", str(tmp_path / "many.h5")])
    every = capsys.readouterr().out

    assert short.splitlines()[-1] == "and 10 more series: --all shows them"
    assert every.count("metrics/m") == 50


def test_a_terminal_without_unicode_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding="ascii"))

    assert cli.main(["info", str(NEON / "mlp.h5")]) == 0

    assert b"+----" in stream.getvalue()


@pytest.mark.parametrize("command", ["info", "report", "export"])
def test_what_is_no_archive_is_an_error_of_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.h5").write_bytes(b"nothing of HDF5")
    more = ["-o", str(tmp_path / "out.csv")] if command == "export" else []

    assert cli.main([command, str(tmp_path / "run.h5"), *more]) == 1

    printed = capsys.readouterr()
    assert printed.err.startswith(f"trainsignal {command}: ") and printed.err.count("\n") == 1
    assert "run.h5" in printed.err and printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are another thing there")
def test_a_reader_that_goes_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert cli.main(["info", str(NEON / "mlp.h5")]) == 0
        pipe.write("what Python writes when it exits goes nowhere")


def test_export_writes_the_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"

    assert cli.main(["export", str(NEON / "mlp.h5"), "-o", str(out)]) == 0

    with out.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    costs = [float(line["value"]) for line in lines if line["series"] == "cost/loss"]
    assert costs == pytest.approx(neon_values("mlp.h5", "cost/loss"), rel=1e-7)
    keys = {line["series"] for line in lines}
    assert capsys.readouterr().out == f"{len(keys)} series: {out}\n"


def test_export_writes_the_series_that_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"

    status = cli.main(
        ["export", str(NEON / "mlp.h5"), "-o", str(out), "--series", "cost/loss", "cost/train",
         "--series", "cost/loss"]
    )  # fmt: skip

    assert status == 0
    assert list(json.loads(out.read_text())["series"]) == ["cost/loss", "cost/train"]
    assert capsys.readouterr().out == f"2 series: {out}\n"


class Pages:
    """Takes the place of what draws: keeps what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.options: list[object] = []
        self.viewed: dict[str, object] = {}
        self.opened: list[str] = []
        monkeypatch.setattr(static, "write_report", self._write)
        monkeypatch.setattr(live, "serve", self._serve)
        monkeypatch.setattr(webbrowser, "open", self._open)
        self.browser: bool | Exception = True

    def _write(self, runs: Sequence[Run], folder: Path, axis: str) -> Path:
        self.names = [run.name for run in runs]
        self.options = [folder, axis]
        return folder / "page.html"

    def _serve(self, path: Path, **options: object) -> None:
        self.viewed = {"path": path, **options}

    def _open(self, address: str) -> bool:
        if isinstance(self.browser, Exception):
            raise self.browser
        self.opened.append(address)
        return self.browser


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    return Pages(monkeypatch)


@pytest.mark.parametrize("flags", [[], ["-i"], ["--input"]], ids=["as one types", "as for nvis", "in full"])
def test_report_says_where_the_page_is(
    flags: list[str], pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", *flags, str(NEON / "mlp.h5")]) == 0

    assert pages.names == ["mlp"] and pages.options == [Path(), "epoch"] and pages.opened == []
    assert capsys.readouterr().out == "page.html\n"


def test_report_compares_archives_in_the_order_given(pages: Pages, tmp_path: Path) -> None:
    archives = [str(NEON / f"{name}.h5") for name in ("mlp", "convbn", "mlp")]

    assert cli.main(["report", *archives, "-o", str(tmp_path), "--axis", "time"]) == 0

    assert pages.names == ["mlp", "convbn"] and pages.options == [tmp_path, "time"]


def test_report_writes_the_page_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "x.html"

    assert cli.main(["report", str(NEON / "mlp.h5"), "-o", str(page)]) == 0

    assert page.is_file()
    assert capsys.readouterr().out == f"{page}\n"


def test_report_opens_the_page(pages: Pages, tmp_path: Path) -> None:
    assert cli.main(["report", str(NEON / "mlp.h5"), "-o", str(tmp_path), "--open"]) == 0

    assert pages.opened == [(tmp_path / "page.html").as_uri()]


@pytest.mark.parametrize("answer", [False, webbrowser.Error("no display")], ids=["refused", "raised"])
def test_report_without_a_browser_says_what_to_open(
    answer: bool | Exception, pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.browser = answer

    assert cli.main(["report", str(NEON / "mlp.h5"), "--open"]) == 0

    assert "no browser could be opened: open page.html yourself" in capsys.readouterr().out


def test_report_without_an_archive_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["report"])

    assert caught.value.code == 2
    assert "expected an archive" in capsys.readouterr().err


def test_view_hands_on_what_was_asked_for(pages: Pages) -> None:
    assert (
        cli.main(["view", "runs", "--port", "0", "--host", "0.0.0.0", "--axis", "minibatch", "--open"]) == 0
    )

    del pages.viewed["tell"]
    assert pages.viewed == {
        "path": Path("runs"), "port": 0, "host": "0.0.0.0", "axis": "minibatch", "open_browser": True,
    }  # fmt: skip


def test_view_listens_at_this_machine_alone_unless_told_otherwise(pages: Pages) -> None:
    cli.main(["view", "run.h5"])

    assert pages.viewed["host"] == "127.0.0.1" and pages.viewed["port"] == live.PORT


@pytest.mark.parametrize(
    "command, function",
    [
        (["view", "redis://broker:6379", "--port", "0"], "run_view"),
        (["listen", "redis://broker:6379", "--run", "night"], "run_listen"),
        (["stop", "redis://broker:6379", "--run", "night", "--reason", "enough"], "run_stop"),
    ],
)
def test_a_broker_is_asked_by_what_reaches_one(
    command: list[str], function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(options: argparse.Namespace, tell: Callable[[str], object]) -> None:
        tell(f"{options.path if function == 'run_view' else options.url} was asked")

    monkeypatch.setattr(command_line, function, answer)

    assert cli.main(command) == 0
    assert capsys.readouterr().out == "redis://broker:6379 was asked\n"


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "serve", interrupted)

    assert cli.main(["view", "run.h5"]) == 130
    assert capsys.readouterr() == ("", "")


def test_an_error_that_is_not_ours_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(live, "serve", wrong)

    with pytest.raises(ZeroDivisionError):
        cli.main(["view", "run.h5"])


def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert cli.main(["export", str(NEON / "mlp.h5"), "-o", str(tmp_path / "out.parquet")]) == 1

    assert 'pip install "trainsignal[parquet]"' in capsys.readouterr().err


def test_what_a_subcommand_needs_is_not_imported_before() -> None:
    script = """
import sys
from trainsignal import cli
try:
    cli.main(["--help"])
except SystemExit:
    pass
loaded = [name for name in ("bokeh", "uniplot", "pyarrow", "tensorboard", "sklearn") if name in sys.modules]
assert not loaded, loaded
"""

    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
