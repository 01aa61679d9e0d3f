"""`HistCallback`: histograms of the parameters' magnitudes over time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, cast

import numpy as np

from trainsignal import keys
from trainsignal.abilities import Array, HasLayers, all_layers
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError, did_you_mean
from trainsignal.evaluation import host_array
from trainsignal.histogram import BINS, OFFSET, log2_histogram
from trainsignal.minibatch_series import announced_minibatches
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData, free_key, planned_rows

_CHUNK_STEPS: Final = 64
"""Columns of a chunk in HDF5: 16 KB."""


class HistCallback(Callback):
    """Writes, each epoch or each minibatch, how many numbers of each parameter have which power of two.

    The group "hist" has a dataset "<layer>_<index>_<parameter>", (64, steps) int32, for each parameter; the
    index is the place of the layer among all, those inside other layers counted in turn. Column `t` is
    minibatch or epoch `t` of the run. `trainsignal.histogram.log2_histogram` says what is in which bin. NaN
    are in none: their number is in "hist_nan", over all parameters of a step, and the counts of a column sum
    to the parameter's size without them. A second one writes to "hist_2" and "hist_nan_2". Source: neon's
    callback of this name.
    """

    needs = (HasLayers,)
    writes = (keys.Numbered(keys.HISTOGRAMS), keys.Numbered(keys.HISTOGRAM_NANS))
    only_first = True

    def __init__(self, plot_per_mini: bool, filter_key: str | Collection[str]) -> None:
        """Store what to look at, and when.

        Args:
            plot_per_mini: after each minibatch, as `minibatch_freq` says, instead of after each epoch, as
                `epoch_freq` says.
            filter_key: names of the layers' attributes that hold parameters, such as ["W"].

        Raises:
            ConfigurationError: there is no name, or something else than names.
        """
        super().__init__(epoch_freq=None if plot_per_mini else 1, minibatch_freq=1 if plot_per_mini else None)
        self.plot_per_mini = plot_per_mini
        self.filter_key = _names(filter_key)
        self._group: str = keys.HISTOGRAMS
        self._nans: str = keys.HISTOGRAM_NANS
        self._steps = 0

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int | None) -> None:
        self._check(model.layers)
        steps = announced_minibatches(callback_data) if self.plot_per_mini else epochs
        self._steps = planned_rows(steps)
        group_key, nans_key = self.writes
        group = callback_data.create_group(free_key(group_key, callback_data.__contains__))
        group.attrs[keys.BINS] = BINS
        group.attrs[keys.OFFSET] = OFFSET
        group.attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH if self.plot_per_mini else keys.PER_EPOCH
        group.attrs[keys.TIME_STEPS] = self._steps
        axis = {keys.TIME_MARKERS: keys.PER_MINIBATCH} if self.plot_per_mini else keys.epoch_axis(1)
        nans = callback_data.create_series(nans_key, steps, dtype="f8", attributes=axis)
        self._group, self._nans = group.name, nans.name

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        if self.plot_per_mini:
            self._write(callback_data, model, run_of(self).minibatches_complete + minibatch)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        if not self.plot_per_mini:
            self._write(callback_data, model, epoch)

    def _write(self, callback_data: SharedData, model: Any, step: int) -> None:
        """Write one column of each histogram."""
        group = callback_data[self._group]
        if step >= self._steps:  # nobody knew how long the run would be
            self._steps = group.attrs[keys.TIME_STEPS] = step + 1
        nans = 0
        for name, values in self._parameters(model.layers):
            counts, missing = log2_histogram(values)
            nans += missing
            dataset = self._dataset(group, name)
            if step >= dataset.shape[1]:
                dataset.resize(self._steps, axis=1)
            dataset[:, step] = counts
        callback_data[self._nans][step] = nans

    def _dataset(self, group: Any, name: str) -> Any:
        """Return the dataset of a parameter, made when it is first met."""
        try:
            return group[name]
        except KeyError:
            return group.create_dataset(
                name, (BINS, self._steps), "i4", maxshape=(BINS, None), chunks=(BINS, _CHUNK_STEPS)
            )

    def _parameters(self, layers: Any) -> Iterator[tuple[str, Array]]:
        """Yield name and numbers of each parameter that the filter lets pass."""
        for index, layer in enumerate(all_layers(layers)):
            for key in self.filter_key:
                values = getattr(layer, key, None)
                if values is not None:
                    name = f"{layer.name}_{index}_{key}".replace("/", "_")  # HDF5 would make a group of it
                    yield name, values if isinstance(values, np.ndarray) else host_array(values)

    def _check(self, layers: Any) -> None:
        """Refuse a filter that lets nothing pass, or something that is no array of real numbers."""
        found = False
        for name, values in self._parameters(layers):
            found = True
            if not np.can_cast(values.dtype, np.float32, "same_kind"):
                raise ConfigurationError(
                    f"filter_key={self.filter_key!r}: {name} is no array of real numbers. "
                    "Name the attributes of the layers that hold parameters, such as 'W'."
                )
        if not found:
            known = sorted({name for layer in all_layers(layers) for name in _parameter_names(layer)})
            hint = "".join(did_you_mean(key, known) for key in self.filter_key)
            raise ConfigurationError(
                f"filter_key={self.filter_key!r}: no layer has a parameter of such a name. "
                f"They have: {', '.join(known) or 'none at all'}.{hint}"
            )


def _names(filter_key: object) -> list[str]:
    """Return the names, of which a bare string is one."""
    given = (filter_key,) if isinstance(filter_key, str) else filter_key
    names = list(cast("Collection[object]", given)) if isinstance(given, Collection) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(
            f"filter_key={filter_key!r}: expected names of parameters, such as ['W'] or ['W', 'beta']"
        )
    return cast("list[str]", names)


def _parameter_names(layer: Any) -> Iterator[str]:
    """Yield the keys of a layer's `params`, where it is a dict; else its attributes that hold an array."""
    parameters: object = getattr(layer, "params", None)
    if isinstance(parameters, Mapping):
        yield from cast("Mapping[str, object]", parameters)
        return
    for name, value in getattr(layer, "__dict__", {}).items():
        if not name.startswith("_") and hasattr(value, "shape") and hasattr(value, "dtype"):
            yield name
