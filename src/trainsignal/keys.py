"""Names, axes and units of the series that callbacks share: "cost/train" is spelled here and nowhere else.

The layout is neon's, so that a file that we write is readable by neon's own visualisation readers.
"""

from __future__ import annotations

from collections.abc import Collection

CONFIG = "config"
"""Group whose attributes say what was asked for (`total_epochs`) and, at the end, why the run ended."""

TOTAL_EPOCHS = "total_epochs"
TOTAL_MINIBATCHES = "total_minibatches"
EXIT_REASON = "exit_reason"
EXIT_DETAIL = "exit_detail"
EXIT_AUTHOR = "exit_author"

TIME_MARKERS = "time_markers"
"""Group whose attributes say how far the run is; also the attribute of a series that names its axis."""

EPOCHS_COMPLETE = "epochs_complete"
MINIBATCHES_COMPLETE = "minibatches_complete"

EPOCH_ENDS = "time_markers/minibatch"
"""(epochs,) int64: minibatches done up to the end of each epoch, over all epochs; 0 where not reached."""

LOSSES = "cost"
METRICS = "metrics"
"""Groups of the series that are evaluated."""

TRAIN_COST = "cost/train"
"""(minibatches,) float32: mean of the last `wsz` minibatch costs; NaN where not reached."""

LOSS = "cost/loss"
"""(epochs // frequency,) float32: mean cost on the evaluation set; NaN where not reached."""

TRAIN_START = "time/train/start_time"
"""(1,) float64: seconds since 1970-01-01 UTC."""

TRAIN_END = "time/train/end_time"
"""(1,) float64: seconds since 1970-01-01 UTC."""

# Attributes of a series.
EPOCH_FREQ = "epoch_freq"
EPOCHS = "epochs"
"""Attribute instead of `epoch_freq` where the frequency is a list: the 0-based epochs of the rows."""
UNITS = "units"
DIRECTION = "direction"
"""Attribute: "min" where lower is better, "max" where higher is; absent where nobody said."""

# Values of the attribute TIME_MARKERS.
PER_MINIBATCH = "minibatch"
PER_EPOCH_FREQ = "epoch_freq"


def loss(label: str) -> str:
    """Return the key of the evaluation loss called `label`: "cost/loss" for "loss"."""
    return f"cost/{label}"


def loss_time(label: str) -> str:
    """Return the key of the seconds that the evaluation of `label` took."""
    return f"time/{label}"


def metric(name: str) -> str:
    """Return the key of the metric called `name`: "metrics/Accuracy"."""
    return f"metrics/{name}"


def epoch_axis(frequency: int | Collection[int] | None) -> dict[str, object]:
    """Return the attributes of a series with one row for each epoch at which `frequency` fires."""
    if frequency is None:
        return {TIME_MARKERS: PER_EPOCH_FREQ, EPOCHS: []}
    if isinstance(frequency, Collection):
        return {TIME_MARKERS: PER_EPOCH_FREQ, EPOCHS: list(frequency)}
    return {TIME_MARKERS: PER_EPOCH_FREQ, EPOCH_FREQ: frequency}


class Numbered(str):
    """A key that a second writer may hold too: that one writes to "<key>_2", the third to "<key>_3".

    Two `LossCallback`s, for the training and the validation set, both declare `Numbered("cost/loss")`.
    """

    __slots__ = ()


REMEDIES = {
    LOSS: "Pass eval_set and eval_freq to Callbacks, or add LossCallback(eval_set).",
    TRAIN_COST: "Add TrainCostCallback().",
}
"""What to do where nobody writes a series."""
