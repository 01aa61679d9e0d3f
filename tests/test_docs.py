"""What the documents name is there, and what is there is in the documents that list it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trainsignal.callbacks

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/trainsignal"
DOCUMENTS = [*ROOT.glob("*.md"), ROOT / "benchmarks/README.md", *(ROOT / "docs").glob("*.md")]
OWN_PATH = re.compile(r"`((?:benchmarks|docs|examples|src|tests)/[\w./-]*)`")
NOTHING_TO_SHOW = "\N{EN DASH}"
ROW = re.compile(r"^\|(.*)\|$", re.MULTILINE)
EXAMPLES = {example.name for example in (ROOT / "examples").glob("*.py")}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its level."""
    level = heading.split(" ")[0]
    after = text.split(f"\n{heading}\n")[1]
    return re.split(rf"^{level} ", after, flags=re.MULTILINE)[0]


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the rows of all tables, without headings and rules."""
    rows = [[cell.strip() for cell in row.split("|")] for row in ROW.findall(text)]
    rules = [index for index, row in enumerate(rows) if set("".join(row)) <= set("-: ")]
    return [row for index, row in enumerate(rows) if not {index, index + 1} & set(rules)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    named = OWN_PATH.findall(document.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_difference_from_neon_names_what_shows_it() -> None:
    rows = rows_of(text_of("docs/differs-from-neon.md"))
    assert len(rows) > 100
    assert [row for row in rows if len(row) != 4] == []
    assert [row for row in rows if row[3] != NOTHING_TO_SHOW and not OWN_PATH.search(row[3])] == []


CALLBACK_ROWS = rows_of(section(text_of("README.md"), "## The callbacks"))


def class_in(row: list[str]) -> str:
    return row[0].lstrip("`").partition("(")[0]


def test_readme_lists_each_callback_once() -> None:
    assert sorted(map(class_in, CALLBACK_ROWS)) == sorted(trainsignal.callbacks.__all__)


@pytest.mark.parametrize("row", CALLBACK_ROWS, ids=class_in)
def test_example_of_a_callback_shows_it(row: list[str]) -> None:
    """One that `Callbacks` makes by itself, marked with a star, need not be named in it."""
    name, is_default, example = class_in(row), row[0].endswith("*"), row[3].strip("`")
    by_method = f"add_{getattr(trainsignal.callbacks, name).__module__.rpartition('.')[2]}_callback"
    is_above = "above" in example
    shown = text_of("README.md").split("\n## ")[2] if is_above else text_of(f"examples/{example}")
    assert is_default or name in shown or by_method in shown


def test_readme_lists_each_example() -> None:
    assert set(re.findall(r"`(?:examples/)?(\w+\.py)`", text_of("README.md"))) == EXAMPLES


def test_map_lists_each_module_of_the_package_once() -> None:
    the_map = section(text_of("docs/architecture.md"), "## The map")
    listed = re.findall(r"^      (\w+(?:\.py|/)) ", the_map, re.MULTILINE)
    files = {path.name for path in PACKAGE.glob("*.py")}
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(listed) == sorted(files | folders)
