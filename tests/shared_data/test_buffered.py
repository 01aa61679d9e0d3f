"""Whatever is done to a dataset of `SharedData`, plain h5py on a file of its own is the expected result."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trainsignal.shared_data import BufferedDataset, SharedData, Stamp

ROWS_PER_WINDOW = 64 * 1024 // 4  # of float32


def plain_file() -> Any:
    file: Any = h5py.File  # h5py-stubs do not know in_memory
    return file.in_memory()


def in_hdf5(dataset: BufferedDataset) -> Any:
    """Return what HDF5 holds once h5py's own class reads it through the low-level identifier."""
    return h5py.Dataset(dataset.id)[()]


@pytest.fixture
def shared() -> SharedData:
    return SharedData()


# -- rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 3, np.int64(3), np.uint8(3), np.float32(3.0), np.float64(3), 3.0])
def test_a_row_is_assigned_at_any_kind_of_whole_number(shared: SharedData, row: Any) -> None:
    dataset = shared.create_dataset("x", (5,), "f4")
    dataset[row] = np.float64(2.5)
    expected = np.zeros(5, np.float32)
    expected[int(row)] = 2.5
    assert dataset[row] == 2.5
    np.testing.assert_array_equal(in_hdf5(dataset), expected)


@pytest.mark.parametrize("row", [2.5, np.float32(2.5), np.nan, np.inf])
def test_an_index_that_is_no_whole_number_is_refused_as_by_h5py(shared: SharedData, row: Any) -> None:
    dataset = shared.create_dataset("x", (5,), "f4")
    with pytest.raises(TypeError):
        dataset[row]
    with pytest.raises(TypeError):
        dataset[row] = 1.0


def test_a_column_index_and_a_slice_may_be_whole_floats(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (4, 3), "f4")
    dataset[:, np.float32(1)] = [1, 2, 3, 4]
    np.testing.assert_array_equal(dataset[np.float32(1) : np.float32(3), 1], [2, 3])


def test_a_row_that_was_read_is_a_copy(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (4, 3), "f4")
    dataset[1] = [1, 2, 3]
    row = dataset[1]
    row[:] = 7
    np.testing.assert_array_equal(dataset[1], [1, 2, 3])


def test_a_scalar_row_comes_back_in_the_type_of_the_dataset(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (4,), "f4")
    dataset[0] = 0.1
    assert type(dataset[0]) is np.float32
    assert dataset[0] == np.float32(0.1)


@pytest.mark.parametrize("index", [-1, 5, 99, (0, 0), "x", None, [7], (slice(None), slice(None))])
def test_an_index_that_h5py_refuses_is_refused_with_its_words(shared: SharedData, index: Any) -> None:
    ours, theirs = shared.create_dataset("x", (5,), "f4"), plain_file().create_dataset("x", (5,), "f4")
    ours[0] = theirs[0] = 1.0
    assert outcome_of(lambda: ours[index]) == outcome_of(lambda: theirs[index])


def outcome_of(call: Any) -> object:
    try:
        return np.asarray(call()).tolist()
    except Exception as error:  # noqa: BLE001 - the error is what is compared
        return type(error), str(error)


VALUES: list[Any] = [
    3,
    3.7,
    True,
    np.float16(0.1),
    np.float32(0.1),
    np.float64(0.1),
    np.int8(-3),
    np.array(3.5),
    np.array([3.5]),
    np.array([[3.5]]),
    [3.0],
    [[3.0]],
    [],
    "4.5",
    "word",
    None,
    1j,
    {},
    [1, 2, 3],
    [[1, 2, 3]],
    [[1], [2], [3]],
    [1, 2],
    (1.5, 2.5, 3.5),
    np.arange(3.0),
    np.arange(3),
    np.arange(3, dtype="f4"),
    np.arange(6.0)[::2],
    np.array([1e300, 0.1, np.nan]),
    np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False]),
    np.ones((2, 2)),
]


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f4", "i4", "u1", "?", "i8"])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 1), (4, 2, 3), (4, 0)], ids=str)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_can_be_assigned_to_a_row_and_how_it_is_stored_is_as_in_h5py(
    dtype: str, shape: tuple[int, ...], value: Any
) -> None:
    ours, theirs = (
        SharedData().create_dataset("x", shape, dtype),
        plain_file().create_dataset("x", shape, dtype),
    )

    def assign(dataset: Any) -> npt.NDArray[Any]:
        with np.errstate(all="ignore"):
            dataset[1] = value
        return np.asarray(dataset[()])

    ours[0] = 1  # so that there is a window
    theirs[0] = 1
    assert repr(outcome_of(lambda: assign(ours))) == repr(outcome_of(lambda: assign(theirs)))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", ">i4", "i8", "u8", "?", "f2", "f4"])
@pytest.mark.parametrize("kind", [float, np.float32, np.float64], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("number", [-1.5, 300.7, 7e4, 1e30, np.nan, np.inf], ids=repr)
def test_a_number_too_large_for_the_type_is_refused_or_stored_as_by_h5py(
    dtype: str, kind: type[float], number: float
) -> None:
    ours, theirs = SharedData(), plain_file()

    def assigned(file: Any) -> Any:
        dataset = file.create_dataset("x", (2,), dtype)
        dataset[0] = 1  # so that there is a window
        with np.errstate(all="ignore"):
            dataset[1] = kind(number)
        return dataset[1]

    assert repr(outcome_of(lambda: assigned(ours))) == repr(outcome_of(lambda: assigned(theirs)))


def test_a_number_too_large_becomes_infinite_without_a_warning_as_in_h5py(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (2, 3), "f4")
    dataset[1] = np.array([1e300, 0.0, -1e300])
    np.testing.assert_array_equal(dataset[1], [np.inf, 0, -np.inf])


def test_a_whole_row_may_be_spelled_with_colons(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (4, 3), "f8")
    dataset[2, :] = [1, 2, 3]
    np.testing.assert_array_equal(dataset[2, :], [1, 2, 3])
    np.testing.assert_array_equal(in_hdf5(dataset)[2], [1, 2, 3])


def test_a_dataset_may_be_assigned_to_a_row_of_itself(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3, 3), "f4")
    dataset[0] = [1, 2, 3]
    dataset[1] = shared["x"].astype("f8")[0]
    with pytest.raises(TypeError):
        dataset[2] = dataset
    np.testing.assert_array_equal(dataset[()], [[1, 2, 3], [1, 2, 3], [0, 0, 0]])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (h5py.string_dtype(), b"word"),
        ("S4", b"word"),
        (np.dtype([("a", "f4")]), np.array((1.0,), [("a", "f4")])),
        ("c8", 1j),
    ],
    ids=["string", "bytes", "compound", "complex"],
)
def test_datasets_of_other_types_are_h5pys(shared: SharedData, dtype: Any, value: Any) -> None:
    dataset = shared.create_dataset("x", (3,), dtype)
    dataset[1] = value
    assert dataset[1] == value


def test_an_empty_dataset_is_h5pys(shared: SharedData) -> None:
    empty: Any = h5py
    dataset = shared.create_dataset("x", data=empty.Empty("f4"))
    assert dataset.shape is None
    assert isinstance(dataset[()], empty.Empty)


def test_a_scalar_dataset_is_h5pys(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (), "f4")
    dataset[()] = 3.0
    assert dataset[()] == 3.0


def test_rows_longer_than_a_window_are_h5pys(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3, 20_000), "f4")
    dataset[1] = np.arange(20_000, dtype="f4")
    assert dataset[1][-1] == 19_999


# -- the window ------------------------------------------------------------------------------------------


def test_rows_far_apart_are_all_kept(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (5 * ROWS_PER_WINDOW,), "f4")
    rows = [0, 3 * ROWS_PER_WINDOW, ROWS_PER_WINDOW - 1, ROWS_PER_WINDOW, 5 * ROWS_PER_WINDOW - 1, 1]
    for number, row in enumerate(rows, start=1):
        dataset[row] = float(number)
    assert [dataset[row] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert np.count_nonzero(in_hdf5(dataset)) == len(rows)


def test_reading_far_back_between_writes_reads_what_was_written(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (4 * ROWS_PER_WINDOW,), "f4")
    lag = 2 * ROWS_PER_WINDOW
    dataset[:lag] = np.arange(lag)
    for step in range(50):
        dataset[lag + step] = float(-step)
        assert dataset[3 * step] == 3 * step  # glances
    assert [dataset[step] for step in range(50)] == list(range(50))  # a sequence
    assert [dataset[lag + step] for step in range(50)] == [-step for step in range(50)]


def test_a_glance_far_back_leaves_the_window_to_the_writer_and_a_sequence_takes_it(
    shared: SharedData,
) -> None:
    dataset = shared.create_dataset("x", (2 * ROWS_PER_WINDOW,), "f4")
    unbuffered = h5py.Dataset(dataset.id)
    dataset[ROWS_PER_WINDOW] = 1.0
    assert dataset[7] == dataset[5] == dataset[9] == 0.0
    assert unbuffered[ROWS_PER_WINDOW] == 0.0  # not yet written back
    assert dataset[10] == 0.0
    assert unbuffered[ROWS_PER_WINDOW] == 1.0


def test_rows_between_the_end_of_a_series_and_its_window_are_missing(shared: SharedData) -> None:
    series = shared.create_series("x", None)
    series[0] = 1.0
    series[3 * ROWS_PER_WINDOW] = 2.0
    assert np.isnan(series[ROWS_PER_WINDOW + 1])
    series[ROWS_PER_WINDOW] = 3.0
    assert (series[0], series[ROWS_PER_WINDOW], series[3 * ROWS_PER_WINDOW]) == (1.0, 3.0, 2.0)
    assert np.count_nonzero(~np.isnan(series[:])) == 3


def test_the_identifier_sees_what_was_assigned_and_its_holder_is_seen(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3,), "f4")
    dataset[0] = 1.0
    other: Any = h5py.Dataset(dataset.id)
    assert other[0] == 1.0
    other[0] = 2.0
    assert dataset[0] == 2.0


READERS: dict[str, Any] = {
    "slice": lambda ds: ds[:],
    "array": lambda ds: np.array(ds),
    "iteration": lambda ds: list(ds),
    "astype": lambda ds: ds.astype("f8")[:],
    "read_direct": lambda ds: _read_direct(ds),
    "mask": lambda ds: ds[np.ones(3, bool)],
    "reference": lambda ds: ds.file[ds.ref][:],
    "region": lambda ds: ds[ds.regionref[:]],
    "parent": lambda ds: ds.parent["x"][:],
    "plain file": lambda ds: h5py.File(ds.file.id)["x"][:],
    "negative": lambda ds: [ds[-3], ds[-2], ds[-1]],
    "column": lambda ds: [ds[row, ...] for row in range(3)],
}


def _read_direct(dataset: h5py.Dataset) -> npt.NDArray[Any]:
    out = np.zeros(3, "f4")
    dataset.read_direct(out)
    return out


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_every_way_to_read_sees_rows_just_assigned(shared: SharedData, read: Any) -> None:
    dataset = shared.create_dataset("x", (3,), "f4")
    for row in range(3):
        dataset[row] = row + 1.0
    assert [float(value) for value in read(dataset)] == [1, 2, 3]


WRITERS: dict[str, Any] = {
    "slice": lambda ds: ds.__setitem__(slice(0, 1), 9),
    "ellipsis": lambda ds: ds.__setitem__(..., [9, 2, 3]),
    "negative": lambda ds: ds.__setitem__(-3, 9),
    "list": lambda ds: ds.__setitem__([0], 9),
    "write_direct": lambda ds: ds.write_direct(np.array([9, 2, 3], "f4")),
    "plain file": lambda ds: h5py.File(ds.file.id)["x"].__setitem__(0, 9),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_rows_read_after_any_other_way_to_write_are_true(shared: SharedData, write: Any) -> None:
    dataset = shared.create_dataset("x", (3,), "f4")
    for row in range(3):
        dataset[row] = row + 1.0
    write(dataset)
    assert [dataset[row] for row in range(3)] == [9, 2, 3]


def test_resizing_keeps_what_was_assigned(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (2,), "f4", maxshape=(None,))
    dataset[1] = 5.0
    dataset.resize(4, axis=0)
    dataset[3] = 6.0
    np.testing.assert_array_equal(dataset[:], [0, 5, 0, 6])
    dataset.resize((2,))
    with pytest.raises(IndexError):
        dataset[3]


def test_flush_of_a_dataset_brings_its_rows_to_hdf5(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3,), "f4")
    unbuffered = h5py.Dataset(dataset.id)
    dataset[0] = 1.0
    dataset.flush()
    assert unbuffered[0] == 1.0


def test_a_virtual_dataset_shows_rows_just_assigned_to_its_source(shared: SharedData) -> None:
    source = shared.create_dataset("x", (3,), "f4")
    layout = h5py.VirtualLayout((3,), "f4")  # type: ignore[attr-defined]  # unknown to h5py-stubs
    layout[:] = h5py.VirtualSource(".", "x", (3,))  # type: ignore[attr-defined]  # unknown to h5py-stubs
    view = shared.create_virtual_dataset("view", layout)
    source[1] = 4.0
    assert view[1] == 4.0
    view[1] = 5.0
    assert source[1] == 5.0


def test_a_dimension_scale_shows_rows_just_assigned_to_it(shared: SharedData) -> None:
    dataset, scale = shared.create_dataset("x", (3,), "f4"), shared.create_dataset("epoch", (3,), "f4")
    scale.make_scale("epoch")
    dataset.dims[0].attach_scale(scale)
    scale[1] = 4.0
    assert dataset.dims[0]["epoch"][1] == 4.0


def test_attributes_leave_the_rows_alone(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3,), "f4")
    dataset[1] = 4.0
    dataset.attrs["units"] = "seconds"
    assert dataset.attrs["units"] == "seconds"
    assert in_hdf5(dataset)[1] == 4.0


def test_a_dataset_of_a_closed_file_is_refused(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3,), "f4")
    dataset[0] = 1.0
    shared.close()
    with pytest.raises((ValueError, RuntimeError)):
        dataset[0] = 2.0
    with pytest.raises((ValueError, RuntimeError)):
        dataset[0]


# -- growing ---------------------------------------------------------------------------------------------


def test_a_dataset_of_the_users_with_an_unlimited_axis_does_not_grow(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (2,), "f4", maxshape=(None,))
    with pytest.raises(IndexError):
        dataset[2] = 1.0
    assert dataset.shape == (2,)


def test_a_dataset_of_a_fixed_length_does_not_grow_whatever_its_fill_value(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (2,), "f4", fillvalue=7.0)
    with pytest.raises(IndexError):
        dataset[2] = 1.0
    np.testing.assert_array_equal(dataset[:], [7, 7])


@pytest.mark.parametrize("value", [4.0, [4.0], [[4.0]], np.array([4])], ids=repr)
def test_a_series_is_as_long_as_the_highest_row_assigned(shared: SharedData, value: Any) -> None:
    series = shared.create_series("x", None)
    assert series.shape == (0,)
    series[2] = value
    np.testing.assert_array_equal(series[:], [np.nan, np.nan, 4])
    series[ROWS_PER_WINDOW + 1] = value
    assert series.shape == (ROWS_PER_WINDOW + 2,)
    assert np.isnan(series[5])
    assert np.isnan(series[ROWS_PER_WINDOW])
    assert np.count_nonzero(np.isnan(series[:])) == ROWS_PER_WINDOW


def test_a_row_beyond_the_end_of_a_series_cannot_be_read(shared: SharedData) -> None:
    series = shared.create_series("x", None)
    series[2] = 1.0
    with pytest.raises(IndexError):
        series[3]
    assert series[1] != series[1]  # NaN


def test_part_of_a_row_beyond_the_end_makes_a_series_grow_too(shared: SharedData) -> None:
    series = shared.create_series("x", None, columns=(2,))
    series[1, 0] = 3.0
    np.testing.assert_array_equal(series[:], [[np.nan, np.nan], [3, np.nan]])


def test_a_value_that_does_not_fit_leaves_a_series_as_long_as_it_was(shared: SharedData) -> None:
    series = shared.create_series("x", 2, columns=(3,))
    with pytest.raises(TypeError, match="broadcast"):
        series[7] = [1.0, 2.0]
    assert series.shape == (2, 3)


# -- subscribers -----------------------------------------------------------------------------------------


def test_each_kind_of_assignment_tells_what_was_stored(shared: SharedData) -> None:
    heard: list[object] = []
    dataset = shared.create_dataset("x", (4,), "f4")

    def hear(value: Any, stamp: Stamp) -> None:
        heard.append((type(value), np.asarray(value).tolist()))

    shared.subscribe("x", hear)
    dataset[0] = 0.1
    dataset[1] = np.float64(2)
    dataset[2] = [[3.0]]
    dataset[-1] = 4
    dataset[1:3] = 7
    dataset[...] = [1, 2, 3, 4]
    stored = float(np.float32(0.1))
    assert heard == [
        (float, stored),
        (float, 2.0),
        (float, 3.0),
        (float, 4.0),
        (np.ndarray, [7, 7]),
        (np.ndarray, [1, 2, 3, 4]),
    ]


# -- against h5py, at random -----------------------------------------------------------------------------

FLOATS = st.floats(width=32, allow_nan=False)


class SameAsH5py(RuleBasedStateMachine):
    """Two datasets, ours and h5py's, under the same reads and writes."""

    @initialize(columns=st.sampled_from([(), (2,), (3000,)]), rows=st.integers(1, 40), chunked=st.booleans())
    def create(self, columns: tuple[int, ...], rows: int, chunked: bool) -> None:
        self.shape = (rows, *columns)
        self.shared, self.file = SharedData(), plain_file()
        options: dict[str, Any] = {"compression": True} if chunked else {}
        self.ours: Any = self.shared.create_dataset("a/x", self.shape, "f4", **options)
        self.theirs: Any = self.file.create_dataset("a/x", self.shape, "f4", **options)
        self.shared["link"] = self.ours

    @rule(row=st.integers(-45, 45), value=FLOATS)
    def write_row(self, row: int, value: float) -> None:
        def write(dataset: Any) -> None:
            dataset[row] = value

        assert outcome_of(lambda: write(self.ours)) == outcome_of(lambda: write(self.theirs))

    @rule(row=st.integers(-45, 45))
    def read_row(self, row: int) -> None:
        assert outcome_of(lambda: self.ours[row]) == outcome_of(lambda: self.theirs[row])

    @rule(start=st.integers(0, 40), stop=st.integers(0, 40), value=FLOATS)
    def write_slice(self, start: int, stop: int, value: float) -> None:
        self.ours[start:stop] = value
        self.theirs[start:stop] = value

    @rule(start=st.integers(0, 40), stop=st.integers(0, 40))
    def read_slice(self, start: int, stop: int) -> None:
        np.testing.assert_array_equal(self.ours[start:stop], self.theirs[start:stop])

    @rule(row=st.integers(0, 40), value=FLOATS)
    def write_through_another_handle(self, row: int, value: float) -> None:
        if row < self.shape[0]:
            self.shared["link"][row] = value
            self.theirs[row] = value

    @rule(row=st.integers(0, 40), value=FLOATS)
    def write_through_the_identifier(self, row: int, value: float) -> None:
        if row < self.shape[0]:
            unbuffered: Any = h5py.Dataset(self.ours.id)
            unbuffered[row] = value
            self.theirs[row] = value

    @rule()
    def touch_the_file(self) -> None:
        assert sorted(self.shared) == ["a", "link"]

    @rule()
    def look_up_again(self) -> None:
        self.ours = self.shared["a"]["x"]

    @invariant()
    def an_image_of_the_file_holds_the_same(self) -> None:
        if hasattr(self, "theirs"):
            self.shared.flush()
            image = self.shared._id.get_file_image()
            in_memory: Any = h5py.File
            with in_memory.in_memory(image) as copy:
                np.testing.assert_array_equal(copy["a/x"][:], self.theirs[:])


SameAsH5py.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestSameAsH5py = SameAsH5py.TestCase


@settings(max_examples=60, deadline=None)
@given(
    planned=st.one_of(st.none(), st.integers(0, 6)),
    writes=st.lists(st.tuples(st.integers(0, 30), FLOATS), max_size=12),
    pauses=st.sets(st.integers(0, 12)),
)
def test_a_series_equals_a_dict_with_nan_where_nothing_was_written(
    planned: int | None, writes: list[tuple[int, float]], pauses: set[int]
) -> None:
    stride = 1500  # rows so far apart that the window moves
    series = SharedData().create_series("x", planned, columns=(2,))
    model: dict[int, float] = {}
    for step, (row, value) in enumerate(writes):
        series[row * stride] = [value, -value]
        model[row * stride] = value
        if step in pauses:
            assert series.id.valid
        assert series[row * stride][0] == value
    rows = max([planned or 0, *(row + 1 for row in model)])
    expected = np.full((rows, 2), np.nan, np.float32)
    for row, value in model.items():
        expected[row] = [value, -value]
    np.testing.assert_array_equal(series[:], expected)


# -- rows that come late ---------------------------------------------------------------------------------


def late_rows(shared: SharedData, *values: float) -> Any:
    """Return a series whose rows are assigned when somebody reads."""
    series = shared.create_series("late", len(values))

    def bring() -> None:
        for row, value in enumerate(values):
            series[row] = value

    series.await_rows(bring)
    return series


def test_late_rows_are_brought_once_before_anything_is_read(shared: SharedData) -> None:
    series, times = shared.create_series("late", 2), list[int]()

    def bring() -> None:
        times.append(1)
        series[0] = 4.0

    series.await_rows(bring)
    series.await_rows(lambda: pytest.fail("the first one serves all"))
    assert times == []
    assert series[0] == 4.0
    assert series[0] == 4.0
    assert times == [1]


def test_assigning_does_not_bring_late_rows(shared: SharedData) -> None:
    series = shared.create_series("late", 2)
    series.await_rows(lambda: pytest.fail("nobody has read"))
    series[1] = 2.0
    series.write_back()
    series.attrs["units"] = "seconds"
    assert "late" in shared
    assert shared["late"] is series
    assert shared
    assert shared["/"]


READS_OF_THE_SHARED_DATA: dict[str, Any] = {
    "id of a group": lambda shared: shared["/"].id,
    "settle": lambda shared: shared._store.settle(),
    "dims": lambda shared: shared["late"].dims,
    "flush": lambda shared: shared.flush(),
    "flush of the series": lambda shared: shared["late"].flush(),
    "publish": lambda shared: shared.publish(),
    "subscribe": lambda shared: shared.subscribe("other", lambda value, stamp: None),
}


@pytest.mark.parametrize("name", READS_OF_THE_SHARED_DATA)
def test_late_rows_are_in_hdf5_whoever_reaches_for_it(name: str, shared: SharedData) -> None:
    series = late_rows(shared, 1.0, 2.0)
    READS_OF_THE_SHARED_DATA[name](shared)
    series.write_back()
    np.testing.assert_array_equal(series._plain[:], [1.0, 2.0])


def test_late_rows_that_have_to_wait_again_are_awaited_anew(shared: SharedData) -> None:
    series = late_rows(shared, 1.0, 2.0)
    assert series[:].tolist() == [1.0, 2.0]
    series.await_rows(lambda: series.__setitem__(1, 5.0))
    assert series[:].tolist() == [1.0, 5.0]


def test_error_of_who_brings_late_rows_is_raised_once(shared: SharedData) -> None:
    series = shared.create_series("late", 1)

    def fail() -> None:
        raise RuntimeError("the device is broken")

    series.await_rows(fail)
    with pytest.raises(RuntimeError, match="the device is broken"):
        series[0]
    assert np.isnan(series[0])


def test_series_is_followed_while_somebody_is_subscribed(shared: SharedData) -> None:
    series = shared.create_series("a", 1)
    assert not series.is_followed
    other = shared.subscribe("b", lambda value, stamp: None)
    assert not series.is_followed
    with shared.subscribe("a", lambda value, stamp: None):
        assert series.is_followed
    assert not series.is_followed
    other.cancel()


def test_late_rows_of_before_a_subscription_are_not_told(shared: SharedData) -> None:
    series, heard = late_rows(shared, 1.0, 2.0), list[float]()
    shared.subscribe("late", lambda value, stamp: heard.append(value))
    series[1] = 3.0
    assert heard == [3.0]
    assert series[:].tolist() == [1.0, 3.0]


def test_forked_child_does_not_bring_late_rows(shared: SharedData, monkeypatch: pytest.MonkeyPatch) -> None:
    series = late_rows(shared, 1.0)
    monkeypatch.setattr("trainsignal.shared_data.buffered.os.getpid", lambda: 0)
    assert np.isnan(series[0])
