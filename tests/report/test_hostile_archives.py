"""Archives of random structure, and archives with damage: read as far as they can be, or refused in words.

Reading may raise nothing but `ArchiveError`, may not warn, and may not take long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tests.support.neon_reference import NEON_DATA
from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.report.reading import read_file, read_run
from trainsignal.report.records import Run

_h5py: Any = h5py  # h5py-stubs do not know all of it

PATHS = (
    keys.CONFIG, keys.TIME_MARKERS, keys.EPOCH_ENDS, keys.EPOCH_TIMES, keys.CHECKPOINTS, keys.CALLBACK_TIMES,
    keys.TRAIN_START, keys.TRAIN_END, keys.TRAIN_COST, keys.LOSS, keys.loss_time("loss"), keys.LEARNING_RATE,
    keys.HISTOGRAMS, "hist/Linear_0_0_W", "hist_2/x", keys.HISTOGRAM_NANS, "deconv/max_act/0000",
    "deconv/max_act/0000/vis", "deconv/max_act/0000/batch_img", "deconv/max_act/0000/activation",
    "deconv/img/batch_0", "deconv/img/batch_0/HWC_uint8", "multicost/train", keys.METRICS, "x", "a/b/c", "😀",
)  # fmt: skip
"""What archives hold, and other names."""

NAMES = (
    keys.TIME_MARKERS, keys.EPOCH_FREQ, keys.EPOCHS, keys.UNITS, keys.DIRECTION, keys.REPORTED_AS, keys.BINS,
    keys.OFFSET, keys.TIME_STEPS, keys.TOTAL_EPOCHS, keys.TOTAL_MINIBATCHES, keys.EPOCHS_COMPLETE,
    keys.MINIBATCHES_COMPLETE, keys.EXIT_REASON, keys.EXIT_DETAIL, keys.RUN_ID, keys.RESUMED_AT,
    keys.STARTED_AT, keys.CALLBACKS, keys.NAMES, keys.FAILURES, "0", "1",
)  # fmt: skip
"""Of attributes."""

WORDS = st.sampled_from(["minibatch", "epoch", "epoch_freq", "min", "max", "completed", "<b>$$</b>\x1b", "é"])
STORABLE_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)

number_types = st.sampled_from(
    [
        np.dtype(name)
        for name in ("i1", "u1", "i4", "<u2", ">i8", "u8", "f2", "f4", ">f8", "longdouble", "c8", "?")
    ]
)
table_types = st.just(np.dtype([("path", "S4"), ("epoch", "i8"), ("minibatch", "i8"), ("saved_at", "f8")]))
shapes = nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def _arrays(dtype: Any) -> Any:
    return nps.arrays(dtype, shapes)


values: st.SearchStrategy[Any] = st.one_of(
    number_types.flatmap(_arrays),
    table_types.flatmap(_arrays),
    nps.arrays("u1", st.tuples(*[st.integers(1, 3)] * 4)),
    nps.arrays("i4", st.tuples(st.just(64), st.integers(0, 4))),
    st.builds(_h5py.Empty, st.just("f4")),
    WORDS,
    STORABLE_TEXT,
    st.lists(WORDS, min_size=1, max_size=4),
    st.binary(min_size=1, max_size=6).filter(lambda content: b"\0" not in content).map(np.bytes_),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
)
attributes = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
members = st.lists(st.tuples(st.sampled_from(PATHS), st.none() | values, attributes), max_size=12)


def write(file: Any, entries: Any) -> None:
    """Write groups (None) and datasets with their attributes, as far as they do not contradict each other."""
    for path, value, attached in entries:
        try:
            member = file.require_group(path) if value is None else file.create_dataset(path, data=value)
        except (ValueError, TypeError, KeyError):
            continue
        for name, attribute in attached.items():
            member.attrs[name] = attribute


def check(run: Run) -> None:
    """Check what whoever draws a run relies on."""
    timeline = run.timeline
    assert timeline.minibatches.shape == timeline.seconds.shape
    assert (np.diff(timeline.minibatches) >= 0).all()
    assert not (np.diff(timeline.seconds[np.isfinite(timeline.seconds)]) < 0).any()
    for series in run.series:
        rows = np.arange(series.values.size)
        assert series.values.ndim == 1
        assert series.values.dtype.kind == "f"
        assert (series.epochs is not None) == (series.axis == "epoch")
        assert series.moments(rows, timeline).shape == rows.shape
        assert series.key.isprintable() or "\u200d" in series.key
    for histogram in run.histograms:
        assert histogram.counts.shape == (histogram.exponents.size, histogram.begins.size)
        assert histogram.begins.shape == histogram.ends.shape
        assert histogram.begins.size <= 300
    for layer in run.feature_maps:
        maps = len(layer.visualizations)
        assert len(layer.images) == layer.activations.size == len(layer.sources) == maps
    "\n".join((run.name, *run.problems, *(str(one) for one in run.callback_times))).encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(members)
def test_an_archive_of_any_structure_is_read(entries: Any) -> None:
    with _h5py.File.in_memory() as file:
        write(file, entries)
        check(read_file(file, name="run", path=""))


def read_as_far_as_possible(content: bytes, folder: Path) -> str:
    """Return what becomes of reading a file of these bytes."""
    path = folder / "run.h5"
    path.write_bytes(content)
    try:
        check(read_run(path))
    except ArchiveError as error:
        assert str(path) in str(error)
        return "refused"
    return "read"


def damaged(content: bytes, seed: int, bytes_changed: int) -> bytes:
    """Return a file with some bytes changed, half of them near its begin, where its structure is."""
    random = np.random.default_rng(seed)
    changed = bytearray(content)
    for _ in range(bytes_changed):
        place = int(random.integers(4096 if random.random() < 0.5 else len(content)))
        changed[place] = int(random.choice([0, 1, 127, 128, 255, int(random.integers(256))]))
    return bytes(changed)


@pytest.mark.parametrize("scenario", ["mlp", "deconv", "hist_mini"])
@pytest.mark.parametrize("bytes_changed", [1, 5, 30])
def test_a_damaged_archive_is_read_as_far_as_possible_or_refused(
    scenario: str, bytes_changed: int, tmp_path: Path
) -> None:
    content = (NEON_DATA / f"{scenario}.h5").read_bytes()
    outcomes = [
        read_as_far_as_possible(damaged(content, seed, bytes_changed), tmp_path) for seed in range(25)
    ]

    assert set(outcomes) <= {"read", "refused"}


def test_an_archive_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = (NEON_DATA / "mlp.h5").read_bytes()

    for length in np.linspace(0, len(content) - 1, 60).astype(int):
        assert read_as_far_as_possible(content[:length], tmp_path) == "refused"


def test_a_damaged_member_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    content = bytearray((NEON_DATA / "mlp.h5").read_bytes())
    with _h5py.File(NEON_DATA / "mlp.h5") as file:
        place = _h5py.h5o.get_info(file["cost/train"].id).addr
    content[place : place + 4] = b"XXXX"  # the header of the dataset
    (tmp_path / "run.h5").write_bytes(content)

    run = read_run(tmp_path / "run.h5")

    assert "cost/train" not in [one.key for one in run.series]
    assert "metrics/Accuracy" in [one.key for one in run.series]
    assert any(problem.startswith("'cost/train' cannot be read: ") for problem in run.problems)


def test_numbers_that_cannot_be_unpacked_are_told(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        file.create_dataset("cost/train", data=np.random.default_rng(0).random(1000), compression="gzip")
        file["cost/loss"] = np.ones(3)
        chunk = file["cost/train"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 50] = b"X" * 50
    path.write_bytes(content)

    run = read_run(path)

    assert [one.key for one in run.series] == ["cost/loss"]
    assert any(problem.startswith("'cost/train' cannot be read: ") for problem in run.problems)
