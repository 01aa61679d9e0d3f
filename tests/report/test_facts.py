"""What is known of a run, as names and words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.report_runs import STARTED_AT, about, run
from trainsignal.report.facts import facts, newest_checkpoints
from trainsignal.report.records import SavedCheckpoint
from trainsignal.report.wording import moment, zoned_moment


def test_facts_stand_in_an_order_that_a_reader_expects() -> None:
    assert list(facts(about(resumed_at=(10, 2500)))) == [
        ("progress", "4 of 4 epochs, 40 minibatches"),
        ("started", zoned_moment(STARTED_AT)),
        ("ended", moment(STARTED_AT + 60)),
        ("duration", "1 min"),
        ("model", "Model"),
        ("script", "train.py"),
        ("host", "machine"),
        ("run id", "a1b2"),
        ("trainsignal", "1.0"),
        ("resumed", "after minibatch 10, 2,500"),
    ]


def test_what_an_archive_does_not_say_is_left_out() -> None:
    nothing = about(
        run_id=None, model=None, script=None, host=None, version=None, started_at=None, ended_at=None
    )

    assert [name for name, _ in facts(nothing)] == ["progress"]


@pytest.mark.parametrize("unknown", ["started_at", "ended_at"])
def test_without_begin_or_end_there_is_no_duration(unknown: str) -> None:
    assert "duration" not in dict(facts(about(**{unknown: None})))


@pytest.mark.parametrize(
    ("status", "name"),
    [("in progress", "last seen"), ("killed", "last seen"), ("failed", "ended"), ("unknown", "ended")],
)
def test_the_last_moment_is_called_what_it_is(status: str, name: str) -> None:
    assert dict(facts(about(status=status)))[name] == moment(STARTED_AT + 60)


@pytest.mark.parametrize(
    ("seams", "told"),
    [
        ((20,), "after minibatch 20"),
        (tuple(range(1, 12)), "after minibatch …, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"),
        ((0,), "once"),
        ((0, 0), "2 times"),
    ],
    ids=["once", "often", "once without minibatches", "twice without minibatches"],
)
def test_resumptions_are_told(seams: tuple[int, ...], told: str) -> None:
    assert dict(facts(about(resumed_at=seams)))["resumed"] == told


def test_checkpoints_stand_newest_first_and_one_that_was_overwritten_once() -> None:
    saved = tuple(
        SavedCheckpoint(path, epoch, 0, None) for epoch, path in enumerate(("a", "best", "b", "best"))
    )

    newest = newest_checkpoints(run(about=about(checkpoints=saved)))

    assert [(one.path, one.epoch) for one in newest] == [("best", 3), ("b", 2), ("a", 0)]


def test_a_checkpoint_beside_the_archive_is_told_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = (str(tmp_path / "runs" / "kept" / "a.h5"), str(tmp_path / "elsewhere.h5"))
    saved = tuple(SavedCheckpoint(path, 0, 0, None) for path in paths)

    newest = newest_checkpoints(run(path="runs/run.h5", about=about(checkpoints=saved)))

    assert [one.path for one in newest] == [str(tmp_path / "elsewhere.h5"), str(Path("kept", "a.h5"))]


def test_without_an_archive_checkpoints_are_told_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved = (SavedCheckpoint(str(tmp_path / "a.h5"), 0, 0, None),)

    newest = newest_checkpoints(run(path="", about=about(checkpoints=saved)))

    assert [one.path for one in newest] == [str(tmp_path / "a.h5")]
