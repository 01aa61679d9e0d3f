from __future__ import annotations

import csv
import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsignal.csv_table import CSVTable


def table_at(folder: Path, *rows: dict[str, str]) -> CSVTable:
    table = CSVTable(folder / "run.csv")
    for row in rows:
        table.append(row)
    return table


def text(table: CSVTable) -> str:
    return table.path.read_text(encoding="utf-8")


def test_nothing_is_touched_before_the_first_row(tmp_path: Path) -> None:
    CSVTable(tmp_path / "run.csv")
    assert list(tmp_path.iterdir()) == []


def test_header_stands_above_the_rows(tmp_path: Path) -> None:
    assert text(table_at(tmp_path, {"a": "1", "b": "x"}, {"a": "2", "b": "y"})) == "a,b\n1,x\n2,y\n"


def test_field_that_a_row_says_nothing_of_is_empty(tmp_path: Path) -> None:
    assert text(table_at(tmp_path, {"a": "1", "b": "x"}, {"b": "y"})) == "a,b\n1,x\n,y\n"


def test_new_column_is_added_to_the_rows_above(tmp_path: Path) -> None:
    table = table_at(tmp_path, {"a": "1"}, {"a": "2", "b": "y"}, {"a": "3", "b": "z"})
    assert text(table) == "a,b\n1,\n2,y\n3,z\n"
    assert table.lines == 3


def test_quotes_commas_and_newlines_are_read_back(tmp_path: Path) -> None:
    value = 'say "a, b"\nor ü'
    table = table_at(tmp_path, {"a": value}, {"a": "2", "b": value})
    with table.path.open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"a": value, "b": ""}, {"a": "2", "b": value}]


def test_file_that_is_there_is_kept_under_a_numbered_name(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text("mine")
    assert text(table_at(tmp_path, {"a": "1"})) == "a\n1\n"
    assert (tmp_path / "run.1.csv").read_text() == "mine"


def test_row_that_the_disk_refuses_is_written_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    table = table_at(tmp_path / "folder", {"a": "1"})
    hidden = (tmp_path / "folder").rename(tmp_path / "hidden")
    with pytest.raises(FileNotFoundError):
        table.append({"a": "2"})
    hidden.rename(tmp_path / "folder")
    assert (table.lines, table.unwritten) == (1, [{"a": "2"}])

    table.append({"a": "3"})

    assert text(table) == "a\n1\n2\n3\n"
    assert (table.lines, table.unwritten) == (3, [])


@pytest.mark.parametrize("row, expected", [
    ({"a": "3", "b": "z"}, "a,b\n3,z\n"), ({"a": "3", "c": "z"}, "a,b,c\n3,,z\n"),
], ids=["same columns", "another column"])  # fmt: skip
def test_file_that_is_gone_is_made_anew_with_the_rows_that_follow(
    row: dict[str, str], expected: str, tmp_path: Path
) -> None:
    table = table_at(tmp_path, {"a": "1", "b": "x"}, {"a": "2", "b": "y"})
    table.path.unlink()
    assert table.append(row) == 2
    assert (text(table), table.lines, table.unwritten) == (expected, 1, [])
    assert table.append({"a": "4"}) == 0
    assert text(table).splitlines()[-1].startswith("4,")
    assert table.lines == 2


def test_file_that_is_gone_with_its_folder_is_made_anew_when_the_folder_is_there_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").mkdir()
    table = table_at(tmp_path / "folder", {"a": "1"})
    table.path.unlink()
    table.path.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        table.append({"a": "2"})
    table.path.parent.mkdir()
    assert table.append({"a": "3"}) == 1
    assert text(table) == "a\n2\n3\n"


def test_no_more_than_the_newest_refused_rows_are_kept(tmp_path: Path) -> None:
    table = CSVTable(tmp_path / "absent" / "run.csv")
    for index in range(1003):
        with pytest.raises(FileNotFoundError):
            table.append({"a": str(index)})
    assert [row["a"] for row in table.unwritten] == [str(index) for index in range(3, 1003)]


class FullDisk:
    """A file on a disk with room for so many more bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def seek(self, position: int) -> None:
        self.file.seek(position)

    def write(self, content: bytes) -> None:
        self.file.write(content[: self.room])
        raise OSError(errno.ENOSPC, "no space left on device")


def test_half_of_a_line_that_a_full_disk_took_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_at(tmp_path, {"a": "1"})
    opened = Path.open
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda path, *rest, **named: FullDisk(opened(path, *rest, **named), 3))
        with pytest.raises(OSError, match="no space left"):
            table.append({"a": "12345"})
    assert text(table) == "a\n1\n"
    table.append({"a": "2"})
    assert text(table) == "a\n1\n12345\n2\n"


def test_disk_that_is_full_from_the_first_row_on_loses_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.csv").write_text("mine")
    table = CSVTable(tmp_path / "run.csv")

    def refuse(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="no space left"):
                table.append({"a": "1"})
    assert text(table) == "mine"
    table.append({"a": "2"})
    assert text(table) == "a\n1\n1\n2\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.1.csv", "run.csv"]


def test_resumed_table_is_cut_back_to_the_lines_that_count(tmp_path: Path) -> None:
    table_at(tmp_path, {"a": "1"}, {"a": "2"}, {"a": "3"})
    table = CSVTable(tmp_path / "run.csv")
    assert table.resume(2, []) is True
    table.append({"a": "4"})
    assert text(table) == "a\n1\n2\n4\n"
    assert [file.name for file in tmp_path.iterdir()] == ["run.csv"]


def test_resumed_table_has_lines_cut_back_that_were_written_anew_with_more_columns(tmp_path: Path) -> None:
    table_at(tmp_path, {"a": "1"}, {"a": "2", "b": "x"})
    table = CSVTable(tmp_path / "run.csv")
    assert table.resume(1, []) is True
    assert text(table) == "a,b\n1,\n"


def test_half_of_a_line_behind_those_that_count_is_cut_off(tmp_path: Path) -> None:
    table = table_at(tmp_path, {"a": "1", "b": "2"})
    with table.path.open("a") as file:
        file.write('3,"4')
    resumed = CSVTable(table.path)
    assert resumed.resume(1, []) is True
    assert text(resumed) == "a,b\n1,2\n"


def test_resumed_table_writes_the_rows_that_were_refused(tmp_path: Path) -> None:
    table_at(tmp_path, {"a": "1"})
    table = CSVTable(tmp_path / "run.csv")
    table.resume(1, [{"a": "2"}])
    table.append({"a": "3"})
    assert text(table) == "a\n1\n2\n3\n"


def test_table_without_a_line_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text("mine")
    table = CSVTable(tmp_path / "run.csv")
    assert table.resume(0, []) is True
    table.append({"a": "1"})
    assert text(table) == "a\n1\n"
    assert (tmp_path / "run.1.csv").read_text() == "mine"


@pytest.mark.parametrize("left, lines", [(None, 0), ("", 0), ("a\n1\n", 1)], ids=["gone", "empty", "short"])
def test_lines_that_are_missing_are_told_of(left: str | None, lines: int, tmp_path: Path) -> None:
    table = CSVTable(tmp_path / "run.csv")
    if left is not None:
        table.path.write_text(left)
    assert table.resume(2, []) is False
    assert table.lines == lines
    table.append({"a": "9"})
    assert text(table).splitlines()[lines + 1 :] == ["9"]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), TEXT), min_size=1))
def test_what_was_written_is_read_back(tmp_path_factory: Any, rows: list[dict[str, str]]) -> None:
    rows = [{"epoch": str(index), **row} for index, row in enumerate(rows)]
    table = table_at(tmp_path_factory.mktemp("table"), *rows)
    with table.path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [{key: value for key, value in row.items() if value} for row in found] == [
        {key: value for key, value in row.items() if value} for row in rows
    ]
