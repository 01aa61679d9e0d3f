"""`WatchTickerCallback`: a sequence, what the model makes of it, and what it should have made."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

import numpy as np

from trainsignal.abilities import Array, CanInfer
from trainsignal.callback import Callback
from trainsignal.errors import DataError
from trainsignal.evaluation import as_before, from_first_sample, host_array
from trainsignal.frequency import Frequency
from trainsignal.shared_data import SharedData

DISPLAY: Final = 41
"""neon's log level for what is shown even where only errors are; `logging.addLevelName` can name it."""

_LINE_WIDTH: Final = 150
"""Characters, as in neon, so that wider arrays do not wrap around."""

_logger = logging.getLogger(__name__)


class WatchTickerCallback(Callback):
    """Logs inputs, outputs and targets of the first sequence of a data set, at level `DISPLAY`.

    Each is (features, steps), with one decimal. Where the targets come as (targets, mask), only the steps up
    to the last one that the mask counts are shown. Neither the model's state nor the data set's position
    changes. Source: neon's callback of this name.
    """

    needs = (CanInfer,)
    only_first = True

    def __init__(self, model: object, valid_set: Any, epoch_freq: Frequency = 1) -> None:
        """Store what to look at.

        Args:
            model: neon's first argument, which is not used: the model that is watched is the run's.
            valid_set: yields (inputs, targets) or (inputs, (targets, mask)), each (features, steps * batch)
                with column = step * batch + sample. Its `batch_size` is the number of sequences in a
                minibatch; without one, `model.be.bsz` is; without either, each minibatch is one step.
            epoch_freq: at which epochs.

        Raises:
            DataError: `valid_set` yields no minibatches, or is an array.
        """
        super().__init__(epoch_freq=epoch_freq)
        is_array = hasattr(valid_set, "dtype")  # it would yield its rows
        if is_array or not hasattr(valid_set, "__iter__"):
            given = _what(valid_set) if is_array else repr(valid_set)
            raise DataError(
                f"valid_set={given}: expected a data set that yields (inputs, targets) minibatches"
            )
        self.model = model  # for the description
        self.valid_set = valid_set

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        with as_before(model), from_first_sample(self.valid_set):
            inputs, targets = self._first_minibatch()
            outputs = host_array(model.fprop(inputs, inference=True))
            targets, mask = _without_mask(targets)
            batch = self._batch(model, outputs.shape[-1])
            steps = None if mask is None else _length(_rows(mask)[:, ::batch])
            shown = {"Inputs": _rows(inputs), "Outputs": _rows(outputs), "Targets": _rows(targets)}
            for title, values in shown.items():
                _logger.log(DISPLAY, "%s", title)
                _logger.log(DISPLAY, "%s", as_text(values[:, ::batch][:, :steps]))

    def _first_minibatch(self) -> tuple[Any, Any]:
        for minibatch in self.valid_set:
            if not isinstance(minibatch, (list, tuple)) or len(cast("tuple[Any, ...]", minibatch)) != 2:
                raise DataError(
                    f"{type(self.valid_set).__name__} yielded {_what(minibatch)}: expected a minibatch, "
                    "(inputs, targets) or (inputs, (targets, mask))"
                )
            return cast("tuple[Any, Any]", minibatch)
        raise DataError(f"{type(self.valid_set).__name__} yielded no minibatch to watch")

    def _batch(self, model: Any, columns: int) -> int:
        """Return the number of sequences in a minibatch of so many columns."""
        if hasattr(self.valid_set, "batch_size"):
            return int(self.valid_set.batch_size)
        backend = getattr(model, "be", None)
        return columns if backend is None else int(backend.bsz)


def _without_mask(targets: Any) -> tuple[Any, Any]:
    """Return targets and mask apart; the mask is None where there is none."""
    if not isinstance(targets, (list, tuple)):
        return targets, None
    both = cast("tuple[Any, ...]", targets)
    if len(both) != 2:
        raise DataError(f"the targets to watch are {_what(both)}: expected an array, or (targets, mask)")
    return both[0], both[1]


def _what(value: Any) -> str:
    """Return kind and size of a value, for a message that its numbers would fill."""
    kind = type(value).__name__
    if hasattr(value, "shape"):
        return f"{kind} of shape {value.shape}"
    return f"{kind} of {len(cast('list[Any]', value))}" if isinstance(value, (list, tuple)) else kind


def _rows(values: Any) -> Array:
    """Return an array or tensor as (features, columns); without features it is one row."""
    return np.atleast_2d(host_array(values))


def as_text(values: Array) -> str:
    """Return an array with one decimal and a place for the sign, as neon prints it."""
    return np.array2string(
        values, max_line_width=_LINE_WIDTH, formatter={"float_kind": lambda number: f"{number: 0.1f}"}
    )


def _length(mask: Array) -> int:
    """Return the number of steps up to the last one that a mask, (features, steps), counts."""
    counted = np.flatnonzero(mask.any(axis=0))
    return int(counted[-1]) + 1 if counted.size else 0
