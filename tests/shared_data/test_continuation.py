from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import frequencies, naive_fires
from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.frequency import row_of
from trainsignal.shared_data import Moment, SharedData
from trainsignal.shared_data.continuation import loose_values, merge, open_previous, put_loose_values

_h5py: Any = h5py  # h5py-stubs do not know all of it

PER_MINIBATCH = {"time_markers": "minibatch"}
MOMENT = Moment(epochs=2, minibatches=5)


@pytest.fixture
def previous() -> Iterator[Any]:
    with _h5py.File.in_memory() as file:
        yield file


@pytest.fixture
def target() -> Iterator[Any]:
    with _h5py.File.in_memory() as file:
        yield file


def series(file: Any, key: str, values: Any, attributes: dict[str, Any], **options: Any) -> Any:
    """Create a dataset that grows along its first axis, with an axis of time."""
    array = np.asarray(values, options.pop("dtype", "f4"))
    options.setdefault("maxshape", (None, *array.shape[1:]))
    dataset = file.create_dataset(key, data=array, fillvalue=np.nan, **options)
    dataset.attrs.update(attributes)
    return dataset


# -- what this run makes later -------------------------------------------------------------------------


def test_rows_of_minibatches_after_the_moment_are_missing(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/train"][:], [0, 1, 2, 3, 4, np.nan, np.nan, np.nan])
    assert dict(target["cost/train"].attrs) == PER_MINIBATCH


def test_whole_series_comes_as_it_is(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(5), PER_MINIBATCH)
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/train"][:], range(5))


@pytest.mark.parametrize("frequency, expected", [
    (1, [0, 1, np.nan, np.nan]), (2, [0, np.nan, np.nan, np.nan]), ([1, 2, 5, 0], [0, np.nan, np.nan, 3]),
], ids=["every", "every second", "list"])  # fmt: skip
def test_rows_of_epochs_after_the_moment_are_missing(
    frequency: Any, expected: list[float], previous: Any, target: Any
) -> None:
    series(previous, "cost/loss", range(4), keys.epoch_axis(frequency))
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/loss"][:], expected)


def test_columns_of_histograms_are_cut_whose_group_tells_the_axis(previous: Any, target: Any) -> None:
    previous.create_group("hist").attrs.update({"time_markers": "minibatch", "bins": 64})
    previous["hist"].create_dataset("Linear_0_W", data=np.ones((64, 7), np.int32))
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["hist/Linear_0_W"][:], np.arange(7) < np.full((64, 1), 5))
    assert dict(target["hist"].attrs) == {"time_markers": "minibatch", "bins": 64}


@pytest.mark.parametrize("shape", [(7,), (7, 2, 2)], ids=str)
def test_in_such_a_group_only_tables_are_cut(shape: tuple[int, ...], previous: Any, target: Any) -> None:
    previous.create_group("hist").attrs["time_markers"] = "minibatch"
    previous["hist"].create_dataset("other", data=np.ones(shape))
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["hist/other"][:], np.ones(shape))


def test_epoch_ends_after_the_moment_are_zero(previous: Any, target: Any) -> None:
    previous.create_dataset(keys.EPOCH_ENDS, data=np.array([3, 5, 8, 0]))
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target[keys.EPOCH_ENDS][:], [3, 5, 0, 0])


def test_times_of_epochs_that_ended_after_the_moment_are_missing(previous: Any, target: Any) -> None:
    series(previous, keys.EPOCH_TIMES, [60.0, 70.0, 80.0], {"units": "seconds"}, dtype="f8")
    ours = series(target, keys.EPOCH_TIMES, [np.nan, np.nan, 90.0, np.nan], {}, dtype="f8")
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(ours[:], [60, 70, 90, np.nan])


@pytest.mark.parametrize(
    "data",
    [
        np.arange(9), np.float64(3.5), "text", np.array([b"a", b"bc"]), np.ones((2, 3), np.uint8),
        _h5py.Empty("f4"), np.zeros(2, [("a", "i4"), ("b", "f8")]),
    ],
    ids=["array", "number", "text", "texts", "image", "empty", "record"],
)  # fmt: skip
def test_what_tells_no_axis_comes_as_it_is(data: Any, previous: Any, target: Any) -> None:
    previous.create_dataset("a/b/mine", data=data)
    merge(previous, target, MOMENT)
    there, ours = previous["a/b/mine"], target["a/b/mine"]
    assert (ours.shape, ours.dtype) == (there.shape, there.dtype)
    if there.shape is not None:
        np.testing.assert_array_equal(ours[()], there[()])


def test_layout_and_fill_value_come_too_so_that_a_series_grows_on(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(5), PER_MINIBATCH, chunks=(64,))
    merge(previous, target, MOMENT)
    ours = target["cost/train"]
    assert (ours.chunks, ours.maxshape) == ((64,), (None,))
    assert np.isnan(ours.fillvalue)


# -- what this run has made already --------------------------------------------------------------------


def test_rows_of_before_are_put_into_a_series_that_is_there(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    series(target, "cost/train", np.full(10, np.nan), {})
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/train"][:], [0, 1, 2, 3, 4, *[np.nan] * 5])
    assert dict(target["cost/train"].attrs) == PER_MINIBATCH


def test_series_that_is_shorter_now_grows(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    series(target, "cost/train", [], PER_MINIBATCH, chunks=(4,))
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/train"][:], range(5))


@pytest.mark.parametrize("limit", [None, (4,)], ids=["fixed", "limited"])
def test_series_that_cannot_grow_without_limit_takes_what_it_can(
    limit: tuple[int, ...] | None, previous: Any, target: Any
) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    series(target, "cost/train", np.full(3, np.nan), PER_MINIBATCH, maxshape=limit)
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/train"][:], range(3))


def test_longer_dataset_without_an_axis_is_taken_as_far_as_there_is_room(previous: Any, target: Any) -> None:
    previous.create_dataset("mine", data=np.arange(6))
    target.create_dataset("mine", (4,), "i8")
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["mine"][:], range(4))


def test_rows_in_another_order_than_time_are_put_where_they_belong(previous: Any, target: Any) -> None:
    axis = keys.epoch_axis([3, 1, 0])
    series(previous, "cost/loss", [30, 10, 0], axis)
    series(target, "cost/loss", [np.nan] * 3, axis)
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["cost/loss"][:], [np.nan, 10, 0])


def test_columns_of_histograms_that_are_there_are_filled(previous: Any, target: Any) -> None:
    for file, value in ((previous, 1), (target, 0)):
        file.create_group("hist").attrs["time_markers"] = "epoch"
        file["hist"].create_dataset("Linear_0_W", data=np.full((64, 4), value, np.int32))
    merge(previous, target, MOMENT)
    np.testing.assert_array_equal(target["hist/Linear_0_W"][:], np.arange(4) < np.full((64, 1), 2))


def test_nothing_is_put_where_nothing_was_before(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    series(target, "cost/train", [7, 7], PER_MINIBATCH)
    merge(previous, target, Moment(0, 0))
    np.testing.assert_array_equal(target["cost/train"][:], [7, 7])


@pytest.mark.parametrize("data", [np.float64(3.5), _h5py.Empty("f4")], ids=["number", "empty"])
def test_dataset_without_rows_that_is_there_is_taken_over(data: Any, previous: Any, target: Any) -> None:
    previous.create_dataset("mine", data=data).attrs["unit"] = "m"
    target.create_dataset("mine", data=_h5py.Empty("f4") if isinstance(data, _h5py.Empty) else 0.0)
    merge(previous, target, MOMENT)
    assert target["mine"].attrs["unit"] == "m"
    assert isinstance(data, _h5py.Empty) or target["mine"][()] == 3.5


def test_attributes_are_those_of_now_and_else_those_of_before(previous: Any, target: Any) -> None:
    for file, epochs in ((previous, 3), (target, 5)):
        file.create_group("config").attrs["total_epochs"] = epochs
        file.attrs["version"] = epochs
    previous["config"].attrs.update({"learning_rate": 0.1, "exit_reason": "stopped", "exit_detail": "enough"})
    previous["config"].attrs["exit_author"] = "user"
    previous.attrs["user"] = "me"
    merge(previous, target, MOMENT)
    assert dict(target["config"].attrs) == {"total_epochs": 5, "learning_rate": 0.1}
    assert dict(target.attrs) == {"version": 5, "user": "me"}


OTHERS = [np.zeros((2, 3)), 0.0, _h5py.Empty("f4"), None]
"""What may stand in a dataset's place; None: a group."""


def put(file: Any, path: str, other: Any) -> None:
    if other is None:
        file.create_group(path)
    else:
        file[path] = other


@pytest.mark.parametrize("other", OTHERS, ids=["columns", "number", "empty", "group"])
def test_dataset_of_another_shape_than_before_is_refused(other: Any, previous: Any, target: Any) -> None:
    previous["mine"] = np.zeros((2, 4))
    put(target, "mine", other)
    with pytest.raises(ArchiveError, match="'mine' has another shape now"):
        merge(previous, target, MOMENT)


def test_group_that_is_a_dataset_now_is_refused(previous: Any, target: Any) -> None:
    previous.create_group("mine")
    target["mine"] = np.zeros(2)
    with pytest.raises(ArchiveError, match=r"Move it away to resume without it"):
        merge(previous, target, MOMENT)


# -- what is not followed ------------------------------------------------------------------------------


def outside(folder: Path) -> Path:
    """Return a file with something that an archive has no business to bring in."""
    with h5py.File(str(folder / "secret.h5"), "w") as file:
        file.create_dataset("secret", data=np.arange(3))
    (folder / "secret.bin").write_bytes(bytes(12))
    return folder


def external_link(file: Any, folder: Path) -> None:
    file["mine"] = _h5py.ExternalLink(str(folder / "secret.h5"), "/secret")


def soft_link(file: Any, folder: Path) -> None:
    file.create_dataset("target", data=np.arange(2))
    file["mine"] = _h5py.SoftLink("/target")


def dangling_link(file: Any, folder: Path) -> None:
    file["mine"] = _h5py.SoftLink("/nowhere")


def external_storage(file: Any, folder: Path) -> None:
    file.create_dataset("mine", (3,), "i4", external=[(str(folder / "secret.bin"), 0, 12)])


def virtual_dataset(file: Any, folder: Path) -> None:
    layout = _h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = _h5py.VirtualSource(str(folder / "secret.h5"), "secret", shape=(3,))
    file.create_virtual_dataset("mine", layout)


def named_type(file: Any, folder: Path) -> None:
    file["mine"] = np.dtype("f8")


def circle(file: Any, folder: Path) -> None:
    group = file.create_group("group/below")
    group["mine"] = file["group"]


@pytest.mark.parametrize(
    "make",
    [external_link, soft_link, dangling_link, external_storage, virtual_dataset, named_type, circle],
    ids=lambda make: make.__name__,
)
def test_nothing_is_followed_out_of_the_archive(
    make: Any, previous: Any, target: Any, tmp_path: Path
) -> None:
    previous.create_dataset("good", data=[1.0])
    make(previous, outside(tmp_path))

    merge(previous, target, MOMENT)

    found: list[str] = []
    target.visit(found.append)
    assert "good" in found
    assert not [path for path in found if path.endswith("mine")]
    assert loose_values(previous, 1000).keys() <= {"good", "target"}


def test_archive_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path, target: Any) -> None:
    path = tmp_path / "run.h5"
    with h5py.File(str(path), "w") as file:
        file.create_dataset("cost/train", data=np.ones(1000), chunks=(1000,), fletcher32=True)
    content = bytearray(path.read_bytes())
    place = content.find(np.ones(10).tobytes())
    content[place + 3] ^= 0xFF
    path.write_bytes(content)
    broken = open_previous(path)
    assert broken is not None
    with broken, pytest.raises(ArchiveError, match="cannot continue the archive"):
        series(target, "cost/train", [], {})
        merge(broken, target, MOMENT)


# -- opening -------------------------------------------------------------------------------------------


def test_no_archive_is_none(tmp_path: Path) -> None:
    assert open_previous(tmp_path / "run.h5") is None


@pytest.mark.parametrize("content", [b"", b"of another program"], ids=["empty", "text"])
def test_file_that_is_no_archive_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="move it away to resume without the series of before"):
        open_previous(path)
    assert path.read_bytes() == content


# -- without an axis -----------------------------------------------------------------------------------


def test_only_small_datasets_of_numbers_without_an_axis_are_loose(previous: Any) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    previous.create_group("hist").attrs["time_markers"] = "epoch"
    previous["hist"].create_dataset("Linear_0_W", data=np.ones((64, 2)))
    previous.create_dataset("hist/sum", data=[1.0, 2.0])
    previous.create_dataset(keys.EPOCH_ENDS, data=[3, 5])
    previous.create_dataset(keys.CALLBACK_TIMES, data=[0.5])
    previous.create_dataset("large", data=np.zeros(9))
    previous.create_dataset("small", data=np.arange(8.0))
    previous.create_dataset("number", data=3)
    previous.create_dataset("flag", data=True)
    previous.create_dataset("text", data="abc")
    previous.create_dataset("empty", data=_h5py.Empty("f4"))

    found = loose_values(previous, largest_bytes=64)

    assert set(found) == {"hist/sum", "small", "number", "flag"}
    np.testing.assert_array_equal(found["small"], range(8))
    assert found["number"] == 3


def test_loose_values_are_put_back(target: Any) -> None:
    target["mine"], target["number"] = np.zeros(3), 0
    put_loose_values(target, {"mine": np.arange(3), "number": np.asarray(7)})
    np.testing.assert_array_equal(target["mine"][:], range(3))
    assert target["number"][()] == 7


@pytest.mark.parametrize("rows, expected", [(2, [1, 2]), (5, [1, 2, 3, 0, 0])], ids=["shorter", "longer"])
def test_loose_rows_are_put_back_into_a_dataset_of_another_length(
    rows: int, expected: list[float], target: Any
) -> None:
    target["mine"] = np.zeros(rows)
    put_loose_values(target, {"mine": np.array([1, 2, 3])})
    np.testing.assert_array_equal(target["mine"][:], expected)


@pytest.mark.parametrize("other", OTHERS, ids=["columns", "number", "empty", "group"])
def test_loose_values_without_their_place_are_left_out(other: Any, target: Any) -> None:
    put(target, "mine", other)
    put_loose_values(target, {"mine": np.array([1, 2, 3]), "gone": np.array([1])})
    assert list(target) == ["mine"]
    if isinstance(other, float | np.ndarray):
        np.testing.assert_array_equal(target["mine"][()], other)


# -- any series ----------------------------------------------------------------------------------------


@given(
    frequency=frequencies, epochs=st.integers(0, 14), done=st.integers(0, 14), planned=st.integers(0, 14),
    is_there=st.booleans(),
)  # fmt: skip
def test_series_that_is_cut_merged_and_gone_on_with_is_that_of_an_uninterrupted_run(
    frequency: Any, epochs: int, done: int, planned: int, is_there: bool
) -> None:
    done = min(done, epochs)

    def write(data: Any, begin: int, end: int) -> None:
        for epoch in range(begin, end):
            if naive_fires(frequency, epoch):
                data["cost/loss"][row_of(frequency, epoch)] = epoch
            for minibatch in range(2):
                data["cost/train"][2 * epoch + minibatch] = epoch

    def made(rows: int | None) -> SharedData:
        data = SharedData()
        if rows is not None:
            data.create_series("cost/loss", rows, attributes=keys.epoch_axis(_listed(frequency)))
            data.create_series("cost/train", 2 * rows, attributes=PER_MINIBATCH)
        return data

    whole, killed, resumed = made(epochs), made(planned), made(planned if is_there else None)
    write(whole, 0, epochs)
    write(killed, 0, epochs)
    image = killed._read_image()
    with _h5py.File.in_memory(image) as previous:
        merge(previous, h5py.Group(resumed.id), Moment(done, 2 * done))
    resumed.flush()
    write(resumed, done, epochs)

    for key in ("cost/loss", "cost/train"):
        expected, found = whole[key][:], resumed[key][:]
        rows = min(len(expected), len(found))
        np.testing.assert_array_equal(found[:rows], expected[:rows], err_msg=key)
        assert np.isnan(expected[rows:]).all() and np.isnan(found[rows:]).all()


def _listed(frequency: Any) -> Any:
    """Return a frequency as a series' attributes hold it."""
    return [*frequency] if hasattr(frequency, "__iter__") else frequency


def test_no_warning_is_given_by_reading_or_copying(previous: Any, target: Any) -> None:
    series(previous, "cost/train", range(8), PER_MINIBATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merge(previous, target, MOMENT)
