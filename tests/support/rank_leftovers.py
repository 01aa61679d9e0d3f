"""What a training of forked ranks has left in its folder: archive, checkpoint, and what was announced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py

from trainsignal.checkpoint import load_state


@dataclass(frozen=True)
class Files:
    """What a training has left.

    Attributes:
        reason: of its end, as the archive tells it; None: it does not.
        detail: the same.
        announced: minibatches and whole epochs done at the last checkpoint that was announced.
        minibatches_saved: those done at the checkpoint.
        epochs_saved: the epoch that is gone on with.
        is_saved_within_epoch: whether a part of it was done.
        epochs_archived: whole epochs in the archive.
        epoch_ends: minibatches done at the end of each epoch.
        costs: of the minibatches; NaN where one is missing.
    """

    reason: str | None
    detail: str | None
    announced: tuple[int, int]
    minibatches_saved: int
    epochs_saved: int
    is_saved_within_epoch: bool
    epochs_archived: int
    epoch_ends: list[int]
    costs: list[float]


def found(folder: Path) -> Files:
    """Return what a training has left, all of which is read."""
    announced = folder / "announced"
    last = announced.read_text().split()[-2:] if announced.exists() else ["0", "0"]
    checkpoint = folder / "model.h5"
    saved = load_state(checkpoint)["trainsignal"] if checkpoint.exists() else None
    with h5py.File(str(folder / "run.h5")) as archive:
        archive.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
        config = archive["config"].attrs
        return Files(
            reason=config.get("exit_reason"),
            detail=config.get("exit_detail"),
            announced=(int(last[0]), int(last[1])),
            minibatches_saved=saved["minibatches_done"] if saved else 0,
            epochs_saved=saved["epoch"] if saved else 0,
            is_saved_within_epoch=bool(saved and saved["is_within_epoch"]),
            epochs_archived=int(archive["time_markers"].attrs["epochs_complete"]),
            epoch_ends=archive["time_markers/minibatch"][:].tolist(),
            costs=archive["cost/train"][:].tolist(),
        )
