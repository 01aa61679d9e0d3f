from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from trainsignal.arguments import NeonArgparser, add_callback_arguments, callback_args
from trainsignal.errors import ConfigurationError

NEON_DEFAULTS = {
    "eval_freq": None,
    "history": 1,
    "model_file": None,
    "output_file": None,
    "progress_bar": True,
    "save_path": None,
    "serialize": 0,
}
DEFAULTS = NEON_DEFAULTS | {"resume": False, "checkpoint_every": None}
"""neon's, and those of the options that are ours."""


LOGGER = logging.getLogger("trainsignal")


pytestmark = pytest.mark.usefixtures("restored_logger")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # --log makes its file at once


def parse(line: str) -> Any:
    return NeonArgparser("a script").parse_args(line.split())


def refusal(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(line)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_defaults_are_those_of_neon() -> None:
    args = parse("")

    assert args.callback_args == DEFAULTS
    assert (args.epochs, args.batch_size, args.rng_seed, args.verbose, args.log) == (10, 128, None, 1, None)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("-o run.h5", "output_file", "run.h5"),
        ("--resume", "resume", True),
        ("--checkpoint_every 500", "checkpoint_every", 500),
        ("--checkpoint_every 30m", "checkpoint_every", "30m"),
        ("--output_file run.h5", "output_file", "run.h5"),
        ("--out run.h5", "output_file", "run.h5"),
        ("-eval 2", "eval_freq", 2),
        ("--eval_freq 2", "eval_freq", 2),
        ("-s m.prm", "save_path", "m.prm"),
        ("--save_path m.prm", "save_path", "m.prm"),
        ("--serialize 3", "serialize", 3),
        ("--serialize", "serialize", 1),
        ("-H 4", "history", 4),
        ("--history 0", "history", 0),
        ("--no_progress_bar", "progress_bar", False),
        ("-e 5", "epochs", 5),
        ("--epochs 5", "epochs", 5),
        ("-z 32", "batch_size", 32),
        ("--batch_size 32", "batch_size", 32),
        ("-r 0", "rng_seed", 0),
        ("--rng_seed 7", "rng_seed", 7),
        ("-l run.log", "log", "run.log"),
        ("--log", "log", "trainsignal_log.txt"),
        ("-v", "verbose", 2),
        ("-v -v", "verbose", 3),
        ("-vv", "verbose", 3),
        ("--verbose", "verbose", 2),
    ],
)
def test_option_sets_its_value(line: str, name: str, value: object) -> None:
    args = parse(line)

    assert getattr(args, name) == value
    if name in DEFAULTS:
        assert args.callback_args[name] == value


@pytest.mark.parametrize(
    ("line", "save_path", "serialize"),
    [
        ("", None, 0),
        ("-s m.prm", "m.prm", 1),
        ("--resume", "trainsignal_model.h5", 1),
        ("--resume -s m.h5", "m.h5", 1),
        ("--checkpoint_every 30m", "trainsignal_model.h5", 1),
        ("--checkpoint_every 30m -s m.h5 --serialize 5", "m.h5", 5),
        ("-s m.prm --serialize 5", "m.prm", 5),
        ("--serialize 5", "trainsignal_model.h5", 5),
        ("--serialize", "trainsignal_model.h5", 1),
    ],
)
def test_save_path_and_serialize_complete_each_other(
    line: str, save_path: str | None, serialize: int
) -> None:
    args = parse(line)

    assert (args.save_path, args.serialize) == (save_path, serialize)
    assert (args.callback_args["save_path"], args.callback_args["serialize"]) == (save_path, serialize)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-eval 0", "argument -eval/--eval_freq: '0' is not a whole number of at least 1"),
        ("-eval=-1", "'-1' is not a whole number of at least 1"),
        ("-e 0", "argument -e/--epochs: '0' is not a whole number of at least 1"),
        ("-e 1.5", "'1.5' is not a whole number"),
        ("-H=-1", "argument -H/--history: '-1' is not a whole number of at least 0"),
        ("--serialize=-2", "argument --serialize: '-2' is not a whole number of at least 0"),
        ("-z 0", "argument -z/--batch_size: '0' is not"),
        ("-r 4294967296", "is not a whole number of at least 0 and below 4294967296"),
        ("--model_file nowhere.h5", "there is no file 'nowhere.h5'. Check the path"),
        ("-c", "argument -c/--config: expected one argument"),
        ("-c nowhere.cfg", "argument -c/--config: cannot read the options in 'nowhere.cfg'"),
        ("-b gpu", "unrecognized arguments: -b gpu"),
        ("--log_token abc", "unrecognized arguments: --log_token abc"),
        ("--log no/log.txt", "error: cannot write the log file 'no/log.txt'"),
        ("--s 3", "ambiguous option: --s could match --save_path, --serialize"),
    ],
)
def test_wrong_option_ends_the_script_with_what_to_do(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(line, capsys)


def test_model_file_is_checked_with_its_variables_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.h5").touch()
    monkeypatch.setenv("RUNS", str(tmp_path))

    assert parse("--model_file $RUNS/m.h5").callback_args["model_file"] == "$RUNS/m.h5"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "m.h5' is not readable" in refusal("--model_file $RUNS/m.h5", capsys)


def test_config_file_comes_before_defaults_and_behind_the_command_line(tmp_path: Path) -> None:
    config = tmp_path / "run.cfg"
    config.write_text("epochs = 3\nhistory: 4\nsave_path = m.h5\nno_progress_bar = true\nlayers = [1, 2]\n")
    parser = NeonArgparser()
    parser.add_argument("--layers", type=int, nargs="+")

    args = parser.parse_args(["--config", str(config), "--epochs", "5"])

    assert (args.epochs, args.history, args.serialize, args.layers) == (5, 4, 1, [1, 2])
    assert args.callback_args["progress_bar"] is False


def test_config_file_may_give_what_a_script_requires(tmp_path: Path) -> None:
    (tmp_path / "run.cfg").write_text("data = digits\n")
    parser = NeonArgparser()
    parser.add_argument("--data", required=True)

    assert parser.parse_args(["-c", str(tmp_path / "run.cfg")]).data == "digits"


def test_command_line_of_the_process_is_parsed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "-e", "7"])

    assert NeonArgparser(None).parse_args().epochs == 7


def test_given_namespace_is_filled() -> None:
    namespace = argparse.Namespace(mine=1)

    assert NeonArgparser().parse_args([], namespace) is namespace
    assert (namespace.mine, namespace.epochs) == (1, 10)


def test_logging_is_set_up_by_the_class_alone(tmp_path: Path) -> None:
    before = (LOGGER.level, list(LOGGER.handlers))
    parser = argparse.ArgumentParser()
    add_callback_arguments(parser)
    parser.parse_args(["-v", "--log", "run.log"])
    assert (LOGGER.level, list(LOGGER.handlers)) == before
    assert not (tmp_path / "run.log").exists()

    parse("-v --log run.log")
    LOGGER.info("heard")
    assert "INFO - heard" in (tmp_path / "run.log").read_text()


def test_help_shows_the_description_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        NeonArgparser("line one\n    line two").parse_args(["--help"])

    shown = capsys.readouterr().out
    assert "line one\n    line two" in shown
    assert "-eval N, --eval_freq N" in shown or "-eval, --eval_freq N" in shown


def test_any_parser_takes_the_options_with_other_defaults() -> None:
    parser = argparse.ArgumentParser()
    add_callback_arguments(parser, epochs=3, save_path="m.h5", eval_freq=None)

    namespace = parser.parse_args(["-H", "2"])

    assert namespace.epochs == 3
    assert callback_args(namespace) == DEFAULTS | {"history": 2, "save_path": "m.h5", "serialize": 1}


def test_default_overrides_give_way_to_the_command_line() -> None:
    parser = NeonArgparser("a script", default_overrides={"epochs": 3, "batch_size": 64, "verbose": 2})

    args = parser.parse_args(["--epochs", "4"])

    assert (args.epochs, args.batch_size, args.verbose) == (4, 64, 2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": 3}, "no default can be set for 'epoch'. Did you mean 'epochs'"),
        (
            {"device_id": 0},
            "no default can be set for 'device_id'. Defaults can be set for batch_size, epochs",
        ),
        ({"epochs": 0}, "the default of epochs cannot be 0: '0' is not a whole number of at least 1"),
        ({"serialize": True}, "the default of serialize cannot be True"),
    ],
)
def test_wrong_default_is_refused(overrides: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        NeonArgparser("a script", default_overrides=overrides)


@pytest.mark.parametrize("text", ["0", "-3", "soon", "1.5", "5 parsecs"])
def test_what_is_neither_a_count_nor_a_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(f"--checkpoint_every={text}".replace(" ", "_"))
    assert "--checkpoint_every" in capsys.readouterr().err
