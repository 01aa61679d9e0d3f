from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainsignal.errors import (
    ArchiveError,
    ArchiveLockedError,
    ConfigurationError,
    RunStateError,
    WiringError,
)
from trainsignal.keys import Numbered
from trainsignal.shared_data import SharedData

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path, key: str) -> Any:
    file: Any = h5py.File
    with file(path, "r") as archive:
        return archive[key][()]


def full_disk(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


# -- an h5py.File ----------------------------------------------------------------------------------------


def test_it_is_an_h5py_file_that_names_its_archive(path: Path) -> None:
    assert isinstance(SharedData(), h5py.File)
    assert SharedData().filename == "<in memory>"
    assert SharedData(path).filename == str(path)
    assert repr(SharedData(str(path))) == '<HDF5 file "run.h5" (mode r+)>'


def test_two_of_them_and_h5pys_own_files_in_memory_are_apart() -> None:
    file: Any = h5py.File
    files = [SharedData(), file.in_memory(), SharedData(), file.in_memory()]
    for number, each in enumerate(files):
        each["x"] = number
    assert [int(each["x"][()]) for each in files] == [0, 1, 2, 3]


def test_a_file_that_is_no_longer_held_is_reached_from_its_datasets() -> None:
    dataset = SharedData().create_dataset("a/x", (3,), "f4")
    dataset[0] = 1.0
    assert dataset.file["a/x"][0] == 1.0


def test_it_is_closed_once_and_for_all_by_close(path: Path) -> None:
    shared = SharedData(path)
    shared["x"] = [1.0]
    assert shared["x"][0] == 1.0
    shared.close()
    shared.close()
    assert not shared
    with pytest.raises((KeyError, ValueError)):  # which, and its words, differ from one h5py to another
        shared["x"]
    assert not path.exists()  # never claimed


# -- series ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "missing"), [("f4", np.nan), ("f8", np.nan), ("i8", 0), ("u2", 0)], ids=["f4", "f8", "i8", "u2"]
)
def test_a_series_has_the_planned_rows_all_missing(dtype: str, missing: float) -> None:
    series = SharedData().create_series("cost/train", 5, columns=(2,), dtype=dtype)
    assert (series.shape, series.dtype, series.maxshape) == ((5, 2), np.dtype(dtype), (None, 2))  # type: ignore[attr-defined]  # unknown to h5py-stubs
    np.testing.assert_array_equal(series[:], np.full((5, 2), missing, dtype))


@pytest.mark.parametrize("rows", [None, 2**22 + 1, 100_000_000, 0])
def test_a_series_of_unknown_or_huge_length_starts_empty(rows: int | None) -> None:
    assert SharedData().create_series("cost/train", rows).shape == (0,)


def test_a_series_of_the_largest_planned_length_has_its_shape_and_allocates_nothing() -> None:
    shared = SharedData()
    assert shared.create_series("cost/train", 2**22).shape == (2**22,)
    assert len(shared.id.get_file_image()) < 100_000


def test_a_series_grows_when_the_run_is_longer_than_planned() -> None:
    series = SharedData().create_series("cost/train", 2)
    for row in range(4):
        series[row] = float(row)
    np.testing.assert_array_equal(series[:], [0, 1, 2, 3])


def test_a_series_keeps_its_attributes() -> None:
    series = SharedData().create_series("x", 5, attributes={"time_markers": "epoch_freq", "epoch_freq": 2})
    assert dict(series.attrs) == {"time_markers": "epoch_freq", "epoch_freq": 2}


def test_a_numbered_key_that_is_taken_gets_a_number() -> None:
    shared = SharedData()
    made = [shared.create_series(Numbered("cost/loss"), 3).name for _ in range(3)]
    assert made == ["/cost/loss", "/cost/loss_2", "/cost/loss_3"]


def test_a_plain_key_that_is_taken_is_refused_with_advice() -> None:
    shared = SharedData()
    shared.create_series("cost/loss", 3)
    with pytest.raises(WiringError, match=r"two callbacks write the series 'cost/loss'\. Give one of them"):
        shared.create_series("cost/loss", 3)


@pytest.mark.parametrize("dtype", ["S4", "c8", "?", "O"])
def test_a_series_of_anything_but_real_numbers_is_refused(dtype: str) -> None:
    with pytest.raises(ConfigurationError, match="real numbers"):
        SharedData().create_series("x", 3, dtype=dtype)


def test_a_negative_number_of_rows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a series of -1 rows"):
        SharedData().create_series("x", -1)


@pytest.mark.parametrize("columns", [(), (1,), (100_000,), (2, 3, 4)])
def test_rows_of_any_shape_can_be_stored(columns: tuple[int, ...]) -> None:
    series = SharedData().create_series("x", None, columns=columns)
    series[1] = np.ones(columns)
    assert series.shape == (2, *columns)
    np.testing.assert_array_equal(series[1], np.ones(columns))
    assert np.all(np.isnan(series[0]))


@pytest.mark.parametrize("columns", [(0,), (3, 0), (-1,)])
def test_rows_that_hold_nothing_are_refused(columns: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="hold nothing"):
        SharedData().create_series("x", 3, columns=columns)


def test_a_series_read_back_from_an_archive_grows_on(path: Path) -> None:
    with SharedData(path) as shared:
        shared.claim()
        shared.create_series("cost/train", None)[2] = 1.0
    resumed = SharedData()
    file: Any = h5py.File
    with file(path, "r") as archive:
        archive.copy("cost", resumed)
    resumed["cost/train"][4] = 2.0
    np.testing.assert_array_equal(resumed["cost/train"][:], [np.nan, np.nan, 1, np.nan, 2])


# -- the archive -----------------------------------------------------------------------------------------


def test_no_file_is_touched_before_the_claim_nor_without_a_path(tmp_path: Path, path: Path) -> None:
    shared = SharedData(path)
    shared.create_series("x", 3)[0] = 1.0
    shared.flush()
    assert not shared.publish_if_due()
    with pytest.raises(RunStateError):
        shared.publish()
    shared.release()
    shared.close()
    nowhere = SharedData()
    nowhere.claim()
    nowhere.flush()
    assert nowhere.publish() is None
    assert not nowhere.publish_if_due()
    nowhere.release()
    nowhere.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", ["r", "r+", "a"])
def test_the_archive_opens_in_any_mode_while_the_run_goes_on(path: Path, mode: Any) -> None:
    shared = SharedData(path)
    shared.claim()
    series = shared.create_series("cost/train", None)
    for row in range(5):
        series[row] = float(row)
        shared.publish()
        with h5py.File(str(path), mode) as archive:
            reader: Any = archive
            np.testing.assert_array_equal(reader["cost/train"][:], np.arange(row + 1))
    shared.close()


def test_flush_publishes_rows_just_assigned(path: Path) -> None:
    shared = SharedData(path)
    shared.claim()
    shared.create_series("x", 2)[1] = 4.0
    shared.flush()
    np.testing.assert_array_equal(read(path, "x"), [np.nan, 4])
    assert shared["x"][1] == 4.0
    shared.close()


def test_leaving_the_with_block_publishes_and_releases(tmp_path: Path, path: Path) -> None:
    with SharedData(path) as shared:
        shared.claim()
        shared.create_series("x", 1)[0] = 4.0
    assert names(tmp_path) == ["run.h5"]
    assert read(path, "x") == [4.0]


def test_after_release_the_data_stays_and_the_path_is_free(path: Path) -> None:
    shared = SharedData(path)
    shared.claim()
    shared.create_series("x", 2)[0] = 4.0
    shared.publish()
    shared.release()
    shared.release()
    shared["x"][1] = 5.0
    shared.close()
    np.testing.assert_array_equal(read(path, "x"), [4, np.nan])  # released: no longer published
    with SharedData(path) as other:
        other.claim()


def test_two_runs_on_one_path_cannot_be(path: Path) -> None:
    first, second = SharedData(path), SharedData(path)
    first.claim()
    with pytest.raises(ArchiveLockedError):
        second.claim()
    second.close()
    first.close()


def test_publishing_is_due_by_the_clock(path: Path) -> None:
    now_s = 0.0
    shared = SharedData(path, clock=lambda: now_s)
    assert not shared.publish_if_due()
    shared.claim()
    assert shared.publish_if_due()
    assert not shared.publish_if_due()
    now_s = 1.1
    assert shared.publish_if_due()
    shared.close()


def test_after_a_full_disk_the_data_can_be_saved_elsewhere(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedData(path)
    shared.claim()
    shared.create_series("x", 2)[0] = 1.0
    shared.publish()
    shared["x"][1] = 2.0
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        for fail in (shared.publish, shared.flush, shared.close):
            with pytest.raises(ArchiveError, match="No space left"):
                fail()
    np.testing.assert_array_equal(read(path, "x"), [1, np.nan])
    shared.save_as(tmp_path / "rescued.h5")
    np.testing.assert_array_equal(read(tmp_path / "rescued.h5", "x"), [1, 2])
    shared.release()
    shared.close()
    assert names(tmp_path) == ["rescued.h5", "run.h5"]


def test_another_process_than_its_maker_saves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedData()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 0)
        shared.save_as(tmp_path / "copy.h5")
    assert names(tmp_path) == []


@needs_fork
def test_a_forked_child_writes_and_removes_nothing_on_disk(tmp_path: Path, path: Path) -> None:
    shared = SharedData(path)
    shared.claim()
    series = shared.create_series("x", 3)
    series[0] = 1.0
    shared.publish()
    child = os.fork()
    if child == 0:
        try:
            series[1] = 2.0
            shared.claim()
            assert shared.publish() is None
            assert not shared.publish_if_due()
            shared.flush()
            shared.save_as(tmp_path / "copy.h5")
            shared.release()
            shared.close()
            unclaimed = SharedData(tmp_path / "other.h5")
            assert unclaimed.create_series("x", 3)[0] != 1.0
        except BaseException:  # noqa: BLE001 - told by the status
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert names(tmp_path) == ["run.h5", "run.h5.lock"]
    np.testing.assert_array_equal(read(path, "x"), [1, np.nan, np.nan])
    series[2] = 3.0
    shared.publish()
    np.testing.assert_array_equal(read(path, "x"), [1, np.nan, 3])
    shared.close()


ENDLESS_RUN = """
import sys
from trainsignal.shared_data import SharedData

shared = SharedData(sys.argv[1])
shared.claim()
published = 0
while True:
    series = shared.create_series(f"group_{published}/x", None)
    for row in range(500):
        series[row] = float(published)
    shared.publish()
    published += 1
    print(published, flush=True)
"""


@pytest.mark.crash
def test_a_killed_run_leaves_an_archive_that_opens_and_is_whole(tmp_path: Path, path: Path) -> None:
    chance = random.Random(1234)
    for _ in range(15):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS_RUN, str(path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as run:
            assert run.stdout is not None
            published = [int(run.stdout.readline()) for _ in range(chance.randint(1, 20))][-1]
            for _ in range(chance.randrange(50_000)):  # some way into the next round
                pass
            run.kill()
        found: list[int] = []

        def check(name: str, member: Any, found: list[int] = found) -> None:
            if isinstance(member, h5py.Dataset):
                number = int(name.split("/")[0].removeprefix("group_"))
                np.testing.assert_array_equal(member[:], np.full(500, number))
                found.append(number)

        with h5py.File(str(path), "r+") as archive:
            archive.visititems(check)
        assert len(found) >= published
    with SharedData(path) as next_run:
        next_run.claim()
    assert [name for name in names(tmp_path) if "tmp" in name or "lock" in name] == []


# -- at random -------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "g/a", "g/b", "g/h/a"])
FLOATS = st.floats(width=32, allow_nan=False)
STEPS = st.one_of(
    st.tuples(st.just("write"), KEYS, st.integers(0, 8), FLOATS),
    st.tuples(st.just("delete"), KEYS, st.just(0), st.just(0.0)),
    st.tuples(st.just("move"), KEYS, st.just(0), st.just(0.0)),
    st.tuples(st.just("publish"), KEYS, st.just(0), st.just(0.0)),
    st.tuples(st.just("touch"), KEYS, st.just(0), st.just(0.0)),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25))
def test_the_archive_holds_what_a_dict_of_dicts_would(
    tmp_path: Path, steps: list[tuple[str, str, int, float]]
) -> None:
    path = tmp_path / "run.h5"
    path.unlink(missing_ok=True)
    model: dict[str, dict[int, float]] = {}
    with SharedData(path) as shared:
        shared.claim()
        for kind, key, row, value in steps:
            if kind == "write":
                if key not in model:
                    shared.create_series(key, None)
                    model[key] = {}
                shared[key][row] = value
                model[key][row] = value
            elif kind == "delete" and key in model:
                del shared[key], model[key]
            elif kind == "move" and key in model and "moved" not in model:
                shared.move(key, "moved")
                model["moved"] = model.pop(key)
            elif kind == "publish":
                shared.publish()
            elif kind == "touch":
                assert shared.id.valid
    found: dict[str, list[float]] = {}

    def keep(name: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            found[name] = [float(value) for value in member[:]]

    with h5py.File(str(path), "r") as archive:
        archive.visititems(keep)
    expected = {
        key: [rows.get(row, float("nan")) for row in range(max(rows) + 1)] for key, rows in model.items()
    }
    assert repr(sorted(found.items())) == repr(sorted(expected.items()))


def test_flush_hands_an_error_of_publishing_to_who_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedData(tmp_path / "run.h5")
    shared.claim()
    told: list[ArchiveError] = []

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", refuse)
        with pytest.raises(ArchiveError, match="No space left"):
            shared.flush()
        shared.on_publish_error = told.append
        shared.flush()

    assert len(told) == 1
    shared.close()


# -- closed too early ------------------------------------------------------------------------------------

EARLY: dict[str, Any] = {
    "path": lambda file, group, dataset: file["cost/train"],
    "path in a group": lambda file, group, dataset: group["train"],
    "row in the window": lambda file, group, dataset: dataset.__setitem__(0, 2.0),
    "row beyond the end": lambda file, group, dataset: dataset.__setitem__(9, 2.0),
    "read": lambda file, group, dataset: dataset[0],
}


@pytest.mark.parametrize("use", EARLY.values(), ids=EARLY)
def test_what_is_used_after_close_fails_with_h5pys_words_and_a_note_that_says_why(use: Any) -> None:
    shared = SharedData()
    series = shared.create_series("cost/train", 3)
    group, series[0] = shared["cost"], 1.0
    assert shared["cost/train"][0] == group["train"][0] == 1.0
    shared.close()
    with pytest.raises((KeyError, RuntimeError, ValueError), match="identifier") as caught:
        use(shared, group, series)
    assert "the shared data was closed" in caught.value.__notes__[0]


def test_a_path_that_is_missing_from_an_open_file_has_no_such_note() -> None:
    with pytest.raises(KeyError) as caught:
        SharedData()["cost/train"]
    assert not hasattr(caught.value, "__notes__")


def test_after_an_early_close_the_archive_is_whole_and_release_and_close_do_nothing(
    tmp_path: Path, path: Path
) -> None:
    shared = SharedData(path)
    shared.claim()
    shared.create_series("x", 2)[0] = 1.0
    shared.close()
    shared.release()
    shared.close()
    assert not shared.publish_if_due()
    with pytest.raises(RunStateError, match="not claimed"):
        shared.publish()
    shared.claim()
    shared.close()
    assert names(tmp_path) == ["run.h5"]
    np.testing.assert_array_equal(read(path, "x"), [1, np.nan])


# -- rows that come late ---------------------------------------------------------------------------------


def test_rows_that_are_late_are_in_every_copy_but_one_that_is_due(tmp_path: Path, path: Path) -> None:
    shared = SharedData(path)
    shared.claim()
    series = shared.create_series("x", 2)
    series.await_rows(lambda: series.__setitem__(0, 1.0))
    assert shared.publish_if_due()
    np.testing.assert_array_equal(read(path, "x"), [np.nan, np.nan])
    shared.save_as(tmp_path / "copy.h5")
    np.testing.assert_array_equal(read(tmp_path / "copy.h5", "x"), [1.0, np.nan])
    series.await_rows(lambda: series.__setitem__(1, 2.0))
    shared.close()
    np.testing.assert_array_equal(read(path, "x"), [1.0, 2.0])


def test_what_is_to_be_done_before_publishing_is_done_when_it_is_due_alone(path: Path) -> None:
    now_s = 0.0
    shared, times = SharedData(path, clock=lambda: now_s), list[float]()
    assert not shared.publish_if_due(before=lambda: times.append(now_s))
    shared.claim()
    assert shared.publish_if_due(before=lambda: times.append(now_s))
    assert not shared.publish_if_due(before=lambda: times.append(now_s))
    now_s = 2.0
    assert shared.publish_if_due(before=lambda: times.append(now_s))
    assert times == [0.0, 2.0]
    shared.close()


def test_what_is_to_be_in_each_publish_of_the_run_is_written_before_it(path: Path) -> None:
    now_s = 0.0
    shared = SharedData(path, clock=lambda: now_s)
    series = shared.create_series("x", 0)
    shared.on_publish = lambda: series.__setitem__(len(series), now_s)
    assert not shared.publish_if_due()
    shared.flush()
    assert len(series) == 0  # nothing is published before it is claimed
    shared.claim()
    assert shared.publish_if_due()
    np.testing.assert_array_equal(read(path, "x"), [0.0])
    assert not shared.publish_if_due()
    now_s = 2.0
    assert shared.publish_if_due()
    now_s = 2.5
    shared.flush()
    np.testing.assert_array_equal(read(path, "x"), [0.0, 2.0, 2.5])
    shared.publish()
    np.testing.assert_array_equal(read(path, "x"), [0.0, 2.0, 2.5, 2.5])
    now_s = 3.0
    shared.close()
    np.testing.assert_array_equal(read(path, "x"), [0.0, 2.0, 2.5, 2.5, 3.0])


def test_error_of_late_rows_at_closing_leaves_the_data_open(path: Path) -> None:
    shared = SharedData(path)
    shared.claim()
    series = shared.create_series("x", 1)

    def fail() -> None:
        raise RuntimeError("the device is broken")

    series.await_rows(fail)
    with pytest.raises(RuntimeError, match="the device is broken"):
        shared.close()
    assert shared
    shared.close()
    np.testing.assert_array_equal(read(path, "x"), [np.nan])
