"""What runs are called where several are shown together."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainsignal.report.naming import distinct_archives, distinct_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["run.h5"], ["run"]),
        (["a/adam.h5", "b/sgd.h5"], ["adam", "sgd"]),
        (["adam/run.h5", "sgd/run.h5"], ["adam/run", "sgd/run"]),
        (["x/a/run.h5", "y/a/run.h5", "y/b/run.h5"], ["x/a/run", "y/a/run", "b/run"]),
        (["adam/run.h5", "sgd/run.h5", "other.h5"], ["adam/run", "sgd/run", "other"]),
        (["a/run.h5", "a/run.hdf5"], ["run.h5", "run.hdf5"]),
        (["/run.h5", "/a/run.h5"], ["/run", "a/run"]),
        (["/"], [""]),
        (["/", "run.h5"], ["", "run"]),
        (["run.v1.h5", "run.v2.h5"], ["run.v1", "run.v2"]),
        ([], []),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str]) -> None:
    assert distinct_names([Path(path) for path in paths]) == names


def test_an_archive_by_several_names_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNS", str(tmp_path))
    link, loop = tmp_path / "link.h5", tmp_path / "loop.h5"
    link.symlink_to(tmp_path / "run.h5")
    loop.symlink_to(loop)
    given = [Path("run.h5"), link, Path("$RUNS/run.h5"), loop, Path("/"), tmp_path / "other.h5"]

    assert distinct_archives(given) == [Path("run.h5"), loop, Path("/"), tmp_path / "other.h5"]


def test_a_file_in_this_folder_is_told_from_one_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    assert distinct_names([Path("run.h5"), Path("old/run.h5")]) == ["here/run", "old/run"]
