"""What was read of a run, as plain values: arrays, numbers and text, whatever wrote the archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from trainsignal.report.timeline import Timeline

Floats: TypeAlias = npt.NDArray[np.floating]
Indices: TypeAlias = npt.NDArray[np.int64]

Status = Literal[
    "completed", "stopped", "interrupted", "preempted", "failed", "in progress", "killed", "unknown"
]
"""How a run ended. "in progress": its process writes on; "killed": its process is gone and closed nothing;
"unknown": the archive says nothing of it, as neon's never does."""

RowAxis = Literal["minibatch", "epoch", "row"]
"""What the rows of a series are: minibatches, epochs, or nobody said what."""


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A checkpoint that the run saved.

    Attributes:
        path: as the run wrote it.
        epoch: 0-based, in which it was saved.
        minibatch: 0-based within the epoch.
        saved_at: seconds since 1970-01-01 UTC; None where nobody noted it.
    """

    path: str
    epoch: int
    minibatch: int
    saved_at: float | None


@dataclass(frozen=True, slots=True)
class CallbackTime:
    """What a callback has cost: seconds in all, and how often it failed."""

    name: str
    seconds: float
    failures: int


@dataclass(frozen=True, slots=True)
class About:
    """What ran, when, how far it came, why it ended. None where the archive does not say.

    Attributes:
        run_id: tells the run from all others.
        model: class of the model.
        script: file name of the program.
        host: name of the machine.
        version: of trainsignal.
        callbacks: classes, in the order in which they ran.
        started_at: seconds since 1970-01-01 UTC; of a resumed run, its first begin.
        ended_at: seconds since 1970-01-01 UTC; of a run in progress, when the archive was last published.
        epochs_complete: how many.
        total_epochs: asked for.
        minibatches_done: over all epochs, as far as any series tells.
        total_minibatches: asked for, or estimated.
        status: how it ended.
        detail: why, in words.
        author: who wanted it, or whose error it was.
        resumed_at: minibatches that were done at each resumption.
        checkpoints: in the order in which they were saved.
    """

    run_id: str | None
    model: str | None
    script: str | None
    host: str | None
    version: str | None
    callbacks: tuple[str, ...]
    started_at: float | None
    ended_at: float | None
    epochs_complete: int
    total_epochs: int | None
    minibatches_done: int
    total_minibatches: int | None
    status: Status
    detail: str | None
    author: str | None
    resumed_at: tuple[int, ...]
    checkpoints: tuple[SavedCheckpoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One number a row.

    Attributes:
        key: path in the archive; of a column of several, with its index: "multicost/train[0]".
        values: (rows,) in the floating type in which they are stored (integers as float64); NaN: missing.
            Rows that the run never reached are cut off; one that it reached, and found NaN, is there.
        axis: what the rows are.
        epochs: (rows,) 0-based epoch of each row where `axis` is "epoch"; else None.
        unit: "seconds", "bytes", ...; None: a number without one.
        direction: "min" where lower is better, "max" where higher is; None: nobody said.
        reported_as: its name in the framework that reported it.
        is_sparse: rows of NaN are meant: nothing happened then, and a line goes on over them.
        holds_from_begin: a row tells what holds from its minibatch's or epoch's begin on, as a learning rate
            does, not what was found at its end.
    """

    key: str
    values: Floats
    axis: RowAxis
    epochs: Indices | None = None
    unit: str | None = None
    direction: Literal["min", "max"] | None = None
    reported_as: str | None = None
    is_sparse: bool = False
    holds_from_begin: bool = False

    def moments(self, rows: Indices, timeline: Timeline) -> npt.NDArray[np.float64]:
        """Return when rows were written, in epochs since the run began; 2.5: halfway through the third one.

        Args:
            rows: 0-based indices.
            timeline: of the run.

        Returns:
            (rows,); for a series whose axis nobody told, the rows themselves.
        """
        offset = 0 if self.holds_from_begin else 1
        if self.epochs is not None:
            return np.add(self.epochs[rows], offset, dtype=np.float64)
        if self.axis == "minibatch":
            return timeline.epochs_at(np.add(rows, offset, dtype=np.float64))
        return rows.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How the magnitudes of a parameter's numbers were spread, at each step.

    Attributes:
        name: "<layer>_<index>_<parameter>".
        exponents: (bins,) int64: bin b counts numbers with a magnitude of about 2**exponents[b].
        counts: (bins, columns) float32: numbers in each bin; where steps were many, the mean of neighbours.
        begins, ends: (columns,) float64: the steps that a column stands for, from begin up to end.
        axis: what a step is: "minibatch" or "epoch", counted from the run's begin; "row" if nobody said.
    """

    name: str
    exponents: Indices
    counts: npt.NDArray[np.float32]
    begins: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    axis: RowAxis


@dataclass(frozen=True, slots=True, eq=False)
class LayerMaps:
    """For feature maps of one convolution, the image that made each fire most, and what in it did so.

    Attributes:
        layer: name as in the archive: "0002".
        images: (maps,) each (H, W, C) uint8; None where the archive does not hold it.
        visualizations: (maps, H, W, C) uint8, by guided backpropagation.
        activations: (maps,) float64: output of the convolution there; NaN where unknown.
        sources: (maps, 2) int64: minibatch and column of the image, 0-based; -1 where unknown.
    """

    layer: str
    images: tuple[npt.NDArray[np.uint8] | None, ...]
    visualizations: npt.NDArray[np.uint8]
    activations: npt.NDArray[np.float64]
    sources: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All that was read of one archive.

    Attributes:
        name: what it is called where several are compared.
        path: of the archive; "" for one in memory.
        about: what ran.
        timeline: where its moments lie.
        series: in the order of the archive.
        histograms: in the order of the layers; none where drawings were not asked for.
        feature_maps: as `histograms`.
        histogram_count: in the archive, read or not.
        map_layer_count: convolutions with feature maps in the archive, read or not.
        callback_times: slowest first.
        problems: what could not be read or is not shown, in sentences.
    """

    name: str
    path: str
    about: About
    timeline: Timeline
    series: tuple[Series, ...]
    histograms: tuple[Histogram, ...] = ()
    feature_maps: tuple[LayerMaps, ...] = ()
    histogram_count: int = 0
    map_layer_count: int = 0
    callback_times: tuple[CallbackTime, ...] = ()
    problems: tuple[str, ...] = ()

    def below(self, group: str) -> Iterator[Series]:
        """Yield the series of a group: those whose key begins with "<group>/"."""
        return (one for one in self.series if one.key.startswith(f"{group}/"))


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What a list of runs tells of one.

    Attributes:
        about: what ran; its minibatches as far as epochs and the training cost tell.
        loss: evaluated; None where there is none.
    """

    about: About
    loss: Series | None
