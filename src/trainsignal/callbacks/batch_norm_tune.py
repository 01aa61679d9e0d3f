"""`BatchNormTuneCallback`: batch normalization gets the mean and variance of a whole data set."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Generator, Sequence
from typing import Any, cast

import numpy as np

from trainsignal import keys
from trainsignal.abilities import (
    Array,
    CanInfer,
    HasBatchStatistics,
    HasLayers,
    TunesBatchNorm,
    all_layers,
)
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.evaluation import (
    as_before,
    check_evaluable,
    check_is_dataset,
    from_first_sample,
    host_array,
)
from trainsignal.evaluation.inputs import reading
from trainsignal.evaluation.pairs import pairs
from trainsignal.frequency import Frequency
from trainsignal.shared_data import SharedData


class BatchNormTuneCallback(Callback):
    """Sets `gmean` and `gvar` of each batch-normalization layer to those of a data set, at epoch ends.

    They are the mean and the biased variance over all samples, between minibatches too (law of total
    variance), where each minibatch is normalized by its own statistics on the way, as in training. Exact for
    any number of minibatches; columns that only fill up the last one do not count. `rho` and the data set
    are left as they were; after an error, so are `gmean` and `gvar`.

    A model that satisfies `TunesBatchNorm` is shown pairs (inputs, targets) instead, all samples of which
    count. It sets the averages that its framework keeps: in PyTorch those are unbiased variances.

    It changes the model, so add it before the callbacks that evaluate: they then see the tuned model. Of
    several ranks each tunes its own copy of the model: give all of them the same `tune_set`, or the copies
    differ.

    Unlike this, neon takes the mean of the minibatches' variances times N/(N-1) for N minibatches, counts
    wrapped-around columns, and leaves `rho` at (N-1)/N.
    """

    needs = (CanInfer, HasLayers)
    writes = (keys.MODEL,)

    def __init__(self, tune_set: Any, epoch_freq: Frequency = 1) -> None:
        """Store what to tune on.

        Args:
            tune_set: usually a part of the training set. It yields pairs (inputs, targets), each time anew;
                for a model with neon's layout see `trainsignal.abilities.EvaluationSet`. There, inputs that
                are arrays, (features, columns), are cut to the columns that count; a tensor is fed to
                the model as it is, and all its columns count.
            epoch_freq: tune every nth epoch, or at the 0-based epochs of a list.

        Raises:
            DataError: no data set.
        """
        super().__init__(epoch_freq=epoch_freq)
        check_is_dataset(tune_set, "tune_set")
        self.tune_set = tune_set

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        check_evaluable(model, self.tune_set, "tune_set")
        if not _batch_norm_layers(model):
            raise ConfigurationError(
                "the model has no batch normalization to tune (no layer with gmean, gvar and rho): "
                "leave BatchNormTuneCallback out, or build layers with batch_norm=True"
            )

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        if isinstance(model, TunesBatchNorm):
            self._tune(model)
            return
        layers = _batch_norm_layers(model)
        with _showing_each_minibatch(layers), as_before(model), from_first_sample(self.tune_set):
            populations = self._populations(model, layers)
            for layer, population in zip(layers, populations, strict=True):
                layer.gmean[:] = population.mean
                layer.gvar[:] = population.variance

    def _tune(self, model: TunesBatchNorm) -> None:
        """Tune a model that tells what its layers see."""
        populations: defaultdict[int, _Population] = defaultdict(_Population)
        with reading(model, self.tune_set):
            for x, _ in pairs(self.tune_set):
                for index, (count, mean, variance) in model.batch_statistics(x):
                    populations[index].add(count, mean, variance)
        if not populations:
            raise self._nothing_to_tune_on()
        model.set_batch_statistics(
            [(index, (one.count, one.mean, one.variance)) for index, one in populations.items()]
        )

    def _nothing_to_tune_on(self) -> DataError:
        return DataError(f"tune_set: {type(self.tune_set).__name__} yielded no minibatch to tune on")

    def _populations(self, model: Any, layers: Sequence[HasBatchStatistics]) -> list[_Population]:
        """Feed the set to the model; return what each layer saw."""
        populations = [_Population() for _ in layers]
        samples = 0
        for x, _ in pairs(self.tune_set):
            if samples >= self.tune_set.ndata:
                break
            counted = _cut(x, self.tune_set.ndata - samples)
            columns = int(counted.shape[1])
            model.fprop(counted)
            samples += columns
            for layer, population in zip(layers, populations, strict=True):
                population.add(columns, host_array(layer.gmean), host_array(layer.gvar))
        if not samples:
            raise self._nothing_to_tune_on()
        return populations


class _Population:
    """Mean and variance of all that was added, part by part (Chan, Golub & LeVeque 1983)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Array = np.zeros(())
        self._squares: Array = np.zeros(())  # sum of the squared distances from the mean

    @property
    def variance(self) -> Array:
        """The biased variance, float64."""
        variance: Array = self._squares / self.count
        return variance

    def add(self, count: int, mean: Array, variance: Array) -> None:
        """Add a part by its size, mean and biased variance."""
        total = self.count + count
        distance = mean.astype(np.float64) - self.mean
        self._squares = self._squares + count * variance + distance**2 * (self.count * count / total)
        self.mean = self.mean + distance * (count / total)
        self.count = total


def _cut(x: Any, columns: int) -> Any:
    """Return the first columns of an array; a tensor whole, as the model's buffers fit it alone."""
    return cast("Array", x)[:, :columns] if isinstance(x, np.ndarray) else x


def _batch_norm_layers(model: Any) -> list[HasBatchStatistics]:
    return [layer for layer in all_layers(model.layers) if isinstance(layer, HasBatchStatistics)]


@contextlib.contextmanager
def _showing_each_minibatch(layers: Sequence[HasBatchStatistics]) -> Generator[None]:
    """Have `gmean` and `gvar` be those of the last minibatch alone; restore `rho`, after an error all."""
    before = [
        (layer, layer.rho, np.array(host_array(layer.gmean)), np.array(host_array(layer.gvar)))
        for layer in layers
    ]
    try:
        for layer in layers:
            layer.rho = 0.0
        yield
    except BaseException:
        for layer, _, mean, variance in before:
            layer.gmean[:], layer.gvar[:] = mean, variance
        raise
    finally:
        for layer, rho, _, _ in before:
            layer.rho = rho
