from __future__ import annotations

import math

import pytest

from trainsignal.errors import WiringError
from trainsignal.keys import Numbered
from trainsignal.shared_data.series import free_key, layout


@pytest.mark.parametrize(
    ("rows", "columns", "dtype", "chunks"),
    [
        (None, (), "f4", (4096,)),
        (2**22, (), "f4", (4096,)),
        (2**22 + 1, (), "f4", (4096,)),
        (100, (), "f4", (100,)),
        (3, (), "f4", (64,)),
        (None, (2,), "f8", (1024, 2)),
        (3, (1024,), "f4", (4, 1024)),
        (3, (100_000,), "f4", (1, 100_000)),
    ],
)
def test_chunks_hold_16_kib_or_what_a_short_run_needs(
    rows: int | None, columns: tuple[int, ...], dtype: str, chunks: tuple[int, ...]
) -> None:
    assert layout(rows, columns, dtype)["chunks"] == chunks


@pytest.mark.parametrize(("rows", "planned"), [(None, 0), (0, 0), (5, 5), (2**22, 2**22), (2**22 + 1, 0)])
def test_only_a_length_worth_planning_is_planned(rows: int | None, planned: int) -> None:
    plan = layout(rows, (3,), "f4")
    assert (plan["shape"], plan["maxshape"]) == ((planned, 3), (None, 3))


def test_missing_is_nan_where_the_type_knows_it() -> None:
    assert math.isnan(layout(1, (), "f2")["fillvalue"])
    assert layout(1, (), "i4")["fillvalue"] == 0


def test_a_number_is_found_that_is_free() -> None:
    taken = {"loss", "loss_2", "loss_4"}
    assert free_key(Numbered("loss"), taken.__contains__) == "loss_3"
    assert free_key(Numbered("other"), taken.__contains__) == "other"
    with pytest.raises(WiringError, match="'loss'"):
        free_key("loss", taken.__contains__)
