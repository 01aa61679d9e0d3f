"""What an archive itself holds, and reading it within bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.archives import archive, put
from trainsignal.report import contents as contents_module
from trainsignal.report.contents import Contents, float64s, is_numeric, shortened, written_length

_h5py: Any = h5py  # h5py-stubs do not know all of it


def found_in(file: Any, **bounds: int) -> tuple[Contents, list[str]]:
    told: list[str] = []
    return Contents(file, told.append, **bounds), told


def test_members_are_found_by_their_paths() -> None:
    with archive() as file:
        for path in ("a/x", "a/b/y", "c"):
            put(file, path, np.ones(2))
        file.create_group("e")
        contents, told = found_in(file)

        assert contents.datasets == ("a/b/y", "a/x", "c")
        assert contents.datasets_in("a") == ["a/x"]
        assert contents.datasets_in("") == ["c"]
        assert contents.groups_in("") == ["a", "e"]
        assert contents.groups_in("a") == ["a/b"]
        assert contents.dataset("a/x").name == "/a/x"
        assert contents.group("a").name == "/a"
        assert contents.dataset("a") is contents.group("a/x") is contents.dataset("nothing") is None
    assert told == []


def test_nothing_that_leads_out_of_the_archive_is_followed(tmp_path: Path) -> None:
    with _h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(3)
    (tmp_path / "raw").write_bytes(b"secret__" * 3)
    with _h5py.File(tmp_path / "run.h5", "w") as file:
        file["there"] = np.ones(3)
        file["a_soft"] = _h5py.SoftLink("/there")
        file["b_external"] = _h5py.ExternalLink("other.h5", "/secret")
        file.create_dataset("c_raw", (3,), "f8", external=[("raw", 0, 24)])
        layout = _h5py.VirtualLayout((3,), "f8")
        layout[:] = _h5py.VirtualSource("other.h5", "secret", (3,))
        file.create_virtual_dataset("d_virtual", layout)
        file["e_type"] = np.dtype("f8")
        file["f_loop"] = file["/"]
    with _h5py.File(tmp_path / "run.h5") as file:
        contents, told = found_in(file)

    assert contents.datasets == ("there",)
    assert told == [
        "'a_soft' is a soft link, which is not followed",
        "'b_external' links to another file, which is not followed",
        "'c_raw' keeps its numbers in another file, which is not read",
        "'d_virtual' shows numbers of other datasets, which are not looked up",
        "'e_type' is a type, which holds no numbers",
        "'f_loop' leads back to a group that it is in",
    ]


def test_very_many_members_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents_module, "MOST_MEMBERS", 5)
    with archive() as file:
        for index in range(5):
            put(file, f"x{index}", np.ones(2))
        assert found_in(file)[1] == []
        put(file, "y", np.ones(2))
        contents, told = found_in(file)

    assert len(contents.datasets) == 5
    assert told == ["the archive holds more than 5 groups and datasets: the others are not read"]


def test_groups_that_are_deep_or_many_times_linked_end() -> None:
    with archive() as file:
        group = file
        for _ in range(40):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
        contents, told = found_in(file)

    assert contents.datasets == ()
    assert told[0] == f"'{'/'.join(['a'] * 33)}' is too deep"
    assert told[-1].startswith("the archive holds more than 10,000")


def test_a_path_that_is_too_long_is_told() -> None:
    with archive() as file:
        put(file, "x" * 1001, np.ones(2))
        contents, told = found_in(file)

    assert contents.datasets == ()
    assert told == [f"'{'x' * 100}…{'x' * 99}' has too long a path"]


def test_a_name_that_is_no_text_is_told() -> None:
    with archive() as file:
        file.create_group(b"caf\xe9")
        assert found_in(file)[1] == ["\"b'caf\\\\xe9'\" has a name that is no text"]


def test_an_archive_whose_root_cannot_be_listed_is_refused() -> None:
    with archive() as file:
        pass
    with pytest.raises(ValueError, match="Invalid group"):
        Contents(file, print)


def test_what_cannot_be_opened_any_more_is_told() -> None:
    with archive() as file:
        put(file, "x", np.ones(2))
        contents, told = found_in(file)
        del file["x"]
        assert contents.dataset("x") is None
    assert len(told) == 1
    assert told[0].startswith("'x' cannot be read: ")


@pytest.mark.parametrize("chunks", [None, (4, 3)])
def test_parts_are_read(chunks: Any) -> None:
    values = np.arange(60.0).reshape(10, 6)
    with archive() as file:
        dataset = put(file, "x", values, chunks=chunks)
        contents, _ = found_in(file)
        np.testing.assert_array_equal(contents.read(dataset), values)
        np.testing.assert_array_equal(contents.read(dataset, (slice(2, 7), slice(1, 3))), values[2:7, 1:3])


def test_only_what_is_kept_counts_against_the_bound() -> None:
    with archive() as file:
        dataset = put(file, "x", np.ones(10))
        contents, _ = found_in(file, most_bytes=100)
        contents.read(dataset, is_kept=False)
        contents.read(dataset)
        with pytest.raises(ValueError, match="it has 80 bytes, and 100 are read"):
            contents.read(dataset)
        contents.read(dataset, (slice(0, 2),))


@pytest.mark.parametrize(
    ("longest", "most", "texts"), [(0, 2**26, 1000), (2**20, 2**26, 64), (2**30, 2**26, 1), (1, 10, 10)]
)
def test_the_longer_texts_can_be_the_fewer_are_read_at_once(longest: int, most: int, texts: int) -> None:
    with archive() as file:
        contents, _ = found_in(file, longest_text_bytes=longest, most_text_bytes=most)
    assert contents.most_texts == texts


@pytest.mark.parametrize("most", [2**26, 240])
def test_rows_of_a_table_are_the_same_however_many_are_read_at_once(most: int) -> None:
    kind = np.dtype([("name", _h5py.string_dtype()), ("number", "i8")])
    rows = np.array([(f"{number:>20}", number) for number in range(7)], kind)
    with archive() as file:
        contents, _ = found_in(file, longest_text_bytes=20, most_text_bytes=most)
        found = list(contents.rows(put(file, "x", rows), 2, 7))

    assert found == [(f"{number:>20}".encode(), number) for number in range(2, 7)]


@pytest.mark.parametrize(("axis", "written", "length"), [(0, (5, 0), 8), (1, (0, 6), 8), (0, (9, 0), 10)])
def test_the_written_length_ends_with_the_last_chunk(axis: int, written: Any, length: int) -> None:
    with archive() as file:
        dataset = file.create_dataset("x", (10, 10), "f4", chunks=(4, 4))
        assert written_length(dataset, axis) == 0
        dataset[written] = 1
        assert written_length(dataset, axis) == length


def test_without_chunks_all_is_written_or_nothing() -> None:
    with archive() as file:
        late = file.create_dataset("x", (10,), "f4")
        assert written_length(late, 0) == 0
        late[0] = 1
        assert written_length(late, 0) == 10


def test_a_null_dataset_holds_no_numbers() -> None:
    with archive() as file:
        assert not is_numeric(put(file, "x", _h5py.Empty("f4")))
        assert is_numeric(put(file, "y", np.ones(2)))


def test_long_paths_are_shortened_for_messages() -> None:
    assert shortened("a" * 200) == "a" * 200
    assert len(shortened("a" * 201)) == 200


def test_a_nan_that_signals_is_a_nan_like_others() -> None:
    signalling = np.array([0x7FA00000, 0x3F800000], "u4").view("f4")

    np.testing.assert_array_equal(float64s(signalling), [np.nan, 1])
