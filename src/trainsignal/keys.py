"""Names, axes and units of the series that callbacks share: "cost/train" is spelled here and nowhere else.

The layout is neon's, so that a file that we write is readable by neon's own visualisation readers.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

CONFIG = "config"
"""Group whose attributes say what was asked for (`total_epochs`) and, at the end, why the run ended."""

TOTAL_EPOCHS = "total_epochs"
TOTAL_MINIBATCHES = "total_minibatches"
EXIT_REASON = "exit_reason"
EXIT_DETAIL = "exit_detail"
EXIT_AUTHOR = "exit_author"
RUN_ID = "run_id"
"""Attribute: tells this run from all others; a resumed run keeps it."""

RESUMED_AT = "resumed_at_minibatches"
"""Attribute: (resumptions,) int64: minibatches of the run that were done when it was resumed."""

MODEL_CLASS = "model"
"""Attribute: the class of the model."""

SCRIPT = "script"
"""Attribute: file name of the program; absent in an interactive session."""

HOST = "host"
"""Attribute: name of the machine."""

VERSION = "version"
"""Attribute: of trainsignal."""

CALLBACKS = "callbacks"
"""Attribute: classes of the callbacks that take part, in the order in which they run; absent where none."""

STARTED_AT = "started_at"
"""Attribute: (processes,) float64: seconds since 1970-01-01 UTC at which each began or resumed it."""

TIME_MARKERS = "time_markers"
"""Group whose attributes say how far the run is; also the attribute of a series that names its axis."""

EPOCHS_COMPLETE = "epochs_complete"
MINIBATCHES_COMPLETE = "minibatches_complete"

EPOCH_ENDS = "time_markers/minibatch"
"""(epochs,) int64: minibatches done up to the end of each epoch, over all epochs; 0 where not reached."""

EPOCH_TIMES = "time/epoch_end"
"""(epochs,) float64: seconds since 1970-01-01 UTC at the end of each epoch; NaN where not reached."""

EPOCH_MARKERS = frozenset({EPOCH_ENDS, EPOCH_TIMES})
"""Have a row for each epoch, and no attribute that says so: they are what other series are drawn against."""

CHECKPOINTS = "checkpoints"
"""(checkpoints,) of `CHECKPOINT_COLUMNS`: those that were saved, the newest last; 1,000 at most."""

CHECKPOINT_COLUMNS = ("path", "epoch", "minibatch", "saved_at")
"""Text, int64, int64 and float64: where; 0-based position in the run; seconds since 1970-01-01 UTC."""

LOSSES = "cost"
METRICS = "metrics"
"""Groups of the series that are evaluated."""

LABEL_METRICS = "metrics/per_label"
"""Group of a group for each metric that is told by label; see `label_metric`."""

MODEL = "model"
"""No series: in `writes`, says that a callback changes the model; no evaluation before it holds after it."""

EVERYTHING = "*"
"""No series: in `optional_reads`, says that a callback runs after all that do not say so."""

CHECKPOINT_RUN = "trainsignal"
"""Key of a checkpoint under which all stands that a resumed run needs beside the model's own state."""

RUN_STATE = "run state"
"""No series: in `optional_reads`, says that a callback saves the run: after everything else, handlers too."""

NO_SERIES = frozenset({MODEL, EVERYTHING, RUN_STATE})
"""What stands among series in declarations, and is none."""

TRAIN_COST = "cost/train"
"""(minibatches,) float32: mean of the last `wsz` minibatch costs; NaN where not reached."""

MULTICOST_TRAIN = "multicost/train"
"""(minibatches, costs) float64: mean of the last `wsz` costs of each branch; NaN where not reached."""

MULTICOST_BRANCHES = "multicost/train_allbranches"
"""(minibatches, branches) float64: cost of each innermost branch at the minibatch; NaN where not reached."""

HISTOGRAMS = "hist"
"""Group of one dataset a parameter, (bins, steps) int32; a column of zeros where not reached."""

HISTOGRAM_NANS = "hist_nan"
"""(steps,) float64: how many of the parameters' numbers were NaN, which no bin counts; NaN if not reached."""

GAN = "gan"
"""Group of the series of a GAN."""

GAN_ITERATIONS = "gan/gen_iter"
"""(minibatches,) float32: updates of the generator so far; NaN where the minibatch made none."""

GAN_COST = "gan/cost_dis"
"""(minibatches,) float32: cost of the discriminator where the generator was updated; NaN elsewhere."""

LOSS = "cost/loss"
"""(epochs // frequency,) float32: mean cost on the evaluation set; NaN where not reached."""

DECONV = "deconv"
"""Group of what `DeconvCallback` writes; see `strongest_outputs` and `source_images`."""

STRONGEST_OUTPUTS = "deconv/max_act"
"""Group of a group for each convolution; see `strongest_outputs`."""

BATCH_IMAGE = "batch_img"
"""(maps, 2) uint16: 0-based minibatch and column of the image that made each feature map fire most."""

MAP_LOCATION = "fm_loc"
"""(maps, 1) int16: where in the map, row * width + column."""

ACTIVATION = "activation"
"""(maps, 1) float32: output of the convolution there."""

VISUALIZATION = "vis"
"""(maps, H, W, C) uint8: what of the image led there, each scaled to 0..255."""

PIXELS = "HWC_uint8"
"""(H, W, C, images) uint8: images of one minibatch, scaled together to 0..255."""

TIMES = "time"
"""Group of moments and of lengths of time, in seconds."""

TRAIN_TIMES = "time/train"
"""Group of what neon's timer notes: `TRAIN_START` and `TRAIN_END`."""

TRAIN_START = "time/train/start_time"
"""(1,) float64: seconds since 1970-01-01 UTC."""

TRAIN_END = "time/train/end_time"
"""(1,) float64: seconds since 1970-01-01 UTC."""

CALLBACK_TIMES = "time/callbacks"
"""(callbacks,) float64: seconds that each took, at minibatches estimated from samples; has their names."""

LEARNING_RATE = "learning_rate"
"""(epochs,) or (minibatches,) float64: rate of the optimizer from the row's begin on."""

SYSTEM = "system"
"""Group of what the machine does."""

GPU = "system/gpu_"
"""Group of what a GPU does, before its 0-based number; see `gpu_memory`."""

SYSTEM_MEMORY = "system/memory"
"""(epochs // frequency,) float64: bytes of physical memory that the process holds."""

SYSTEM_CPU = "system/cpu"
"""(epochs // frequency,) float64: percent of one core that the process used; above 100 with several cores."""

# Attributes of CALLBACK_TIMES.
NAMES = "names"
FAILURES = "failures"
SLOWEST = "slowest"

# Attributes of a series.
EPOCH_FREQ = "epoch_freq"
EPOCHS = "epochs"
"""Attribute instead of `epoch_freq` where the frequency is a list: the 0-based epochs of the rows."""
UNITS = "units"
WINDOW = "window"
"""Attribute of `TRAIN_COST`: over how many minibatches each row is the mean."""

DIRECTION = "direction"
"""Attribute: "min" where lower is better, "max" where higher is; absent where nobody said."""

REPORTED_AS = "reported_as"
"""Attribute of a series that a framework reports: its name there; a row of NaN: nothing was reported."""

# Attributes of the group HISTOGRAMS.
BINS = "bins"
OFFSET = "offset"
TIME_STEPS = "time_steps"
"""Attribute: number of columns of its datasets."""

# Values of the attribute TIME_MARKERS.
PER_MINIBATCH = "minibatch"
PER_EPOCH_FREQ = "epoch_freq"
PER_EPOCH = "epoch"
"""neon's word for it in the histograms' group."""


def loss(label: str) -> str:
    """Return the key of the evaluation loss called `label`: "cost/loss" for "loss"."""
    return f"cost/{label}"


def loss_time(label: str) -> str:
    """Return the key of the seconds that the evaluation of `label` took."""
    return f"time/{label}"


def metric(name: str) -> str:
    """Return the key of the metric called `name`: "metrics/Accuracy"."""
    return f"metrics/{name}"


def strongest_outputs(layer: int) -> str:
    """Return the key of the group for a convolution, by its 0-based position: "deconv/max_act/0002"."""
    return f"{STRONGEST_OUTPUTS}/{layer:04}"


def source_images(minibatch: int) -> str:
    """Return the key of the group with images of a minibatch (0-based); attributes: column -> position."""
    return f"{DECONV}/img/batch_{minibatch}"


def gpu_memory(index: int) -> str:
    """Return the key of the bytes in use on a GPU, by all processes; `index` is 0-based, as NVML counts."""
    return f"{GPU}{index}/memory"


def gpu_utilization(index: int) -> str:
    """Return the key of the percent of the time in which a GPU, 0-based, was computing."""
    return f"{GPU}{index}/utilization"


def label_metric(name: str, label: str) -> str:
    """Return the key of the metric `name` for one label: "metrics/per_label/Precision/cat".

    The label is one step of the path; see `step`.
    """
    return f"{LABEL_METRICS}/{name}/{step(label)}"


def step(name: str) -> str:
    """Return a name as one step of a path: its "/" becomes "%2F", a name "." becomes "%2E"."""
    return "%2E" if name == "." else name.replace("/", "%2F")


def numbered(key: str) -> Iterator[str]:
    """Return a key and what a second, third and further writer of it has: "<key>_2", "<key>_3", ..."""
    return itertools.chain((key,), (f"{key}_{number}" for number in itertools.count(2)))


def epoch_axis(frequency: int | Collection[int] | None) -> dict[str, object]:
    """Return the attributes of a series with one row for each epoch at which `frequency` fires."""
    if frequency is None:
        return {TIME_MARKERS: PER_EPOCH_FREQ, EPOCHS: []}
    if isinstance(frequency, Collection):
        return {TIME_MARKERS: PER_EPOCH_FREQ, EPOCHS: list(frequency)}
    return {TIME_MARKERS: PER_EPOCH_FREQ, EPOCH_FREQ: frequency}


def is_before(
    axis: Mapping[str, Any], rows: int, epochs: int, minibatches: int
) -> npt.NDArray[np.bool_] | None:
    """Return which rows of a series belong to what was done before a moment of the run.

    Args:
        axis: attributes of the series, or of the group that has them.
        rows: length of the series.
        epochs: complete epochs at that moment.
        minibatches: minibatches done at that moment, over all epochs.

    Returns:
        (rows,); None where the attributes tell no axis.
    """
    index = np.arange(rows)
    kind = axis.get(TIME_MARKERS)
    if kind == PER_MINIBATCH:
        return index < minibatches
    if kind == PER_EPOCH:
        return index < epochs
    if kind != PER_EPOCH_FREQ:
        return None
    if EPOCHS in axis:
        return np.resize(np.asarray(axis[EPOCHS], np.int64), rows) < epochs if rows else index < 0
    return (index + 1) * int(axis.get(EPOCH_FREQ, 1)) <= epochs


class Numbered(str):
    """A key that a second writer may hold too: that one writes to "<key>_2", the third to "<key>_3".

    Two `LossCallback`s, for the training and the validation set, both declare `Numbered("cost/loss")`.
    """

    __slots__ = ()


class Below(str):
    """In `writes`: any series of a group, "metrics/*"; which ones, is known once they are written.

    So declares what writes the metrics of a framework, which tells their names when it is trained.
    """

    __slots__ = ()


def covers(written: Collection[str], key: str) -> bool:
    """Return whether `key` is among those that are declared as written."""
    return key in written or any(isinstance(one, Below) and key.startswith(one[:-1]) for one in written)


REMEDIES = {
    LOSS: "Pass eval_set and eval_freq to Callbacks, or add LossCallback(eval_set).",
    TRAIN_COST: "Add TrainCostCallback().",
    MULTICOST_TRAIN: "Pass multicost=True to Callbacks, or add TrainMulticostCallback().",
    MULTICOST_BRANCHES: "Pass multicost=True to Callbacks, or add TrainMulticostCallback().",
}
"""What to do where nobody writes a series."""
