"""Every example runs as a user runs it: as a script, in a folder of its own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.launching import Library, command, environment

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))

MOST_LINES = 59
LONGER = {"digits_mlp"}
"""Examples that may be longer: this one is the demo of the command too."""

FILE_NAME = re.compile(r'"([\w-]+\.(?:csv|h5|npz|png|txt))"')


def docstring_of(example: Path) -> str:
    return ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""


def options_of(example: Path) -> list[str]:
    """Return what makes the example short, where it has options."""
    return ["--epochs", "2"] if "NeonArgparser" in example.read_text(encoding="utf-8") else []


def test_examples_are_found() -> None:
    assert {"digits_mlp", "monitoring", "stopping"} <= {example.stem for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_example_runs_and_leaves_the_files_that_its_docstring_names(example: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONIOENCODING": "utf-8",
    }

    done = subprocess.run(
        [sys.executable, str(example), *options_of(example)],
        cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    made = {file.name for file in tmp_path.rglob("*")}
    assert done.stdout.strip() or made, "an example shows something"
    assert set(FILE_NAME.findall(docstring_of(example))) <= made


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_example_says_what_to_see(example: Path) -> None:
    first, _, rest = docstring_of(example).partition("\n\n")
    assert first.endswith(".") and rest != ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_example_is_short_enough_to_be_read(example: Path) -> None:
    lines = len(example.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES or example.stem in LONGER


@pytest.mark.parametrize("library, example", [("torch", "ddp_digits"), ("mpi", "mpi_digits")])
def test_example_of_several_ranks_runs_as_one(library: Library, example: str, tmp_path: Path) -> None:
    script = next(one for one in EXAMPLES if one.stem == example)

    done = subprocess.run(
        [*command(library, 2), str(script)],
        cwd=tmp_path, env=environment(), capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run          completed") == 1, "the first rank tells"
    archives = [file.name for file in tmp_path.iterdir() if file.suffix == ".h5"]
    assert archives == [f"{library if library == 'mpi' else 'ddp'}.h5"]
