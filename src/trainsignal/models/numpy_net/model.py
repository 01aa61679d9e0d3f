"""`Model`: neon's training loop, evaluation and saved state over a `Sequential` of layers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainsignal.backend import Backend
from trainsignal.checkpoint import load_state
from trainsignal.errors import CheckpointError, DataError, RunStateError
from trainsignal.models.numpy_net.arrays import Floats, Shape, check_features
from trainsignal.models.numpy_net.container import Sequential
from trainsignal.models.numpy_net.costs import GeneralizedCost
from trainsignal.models.numpy_net.evaluation import all_outputs, mean_values
from trainsignal.models.numpy_net.guided_backprop import GuidedBackprop
from trainsignal.models.numpy_net.layer_state import Entry, layer_description, layer_state, load_layers
from trainsignal.models.numpy_net.layers import Layer
from trainsignal.models.numpy_net.model_state import model_description, read_state
from trainsignal.models.numpy_net.optimizers import Optimizer
from trainsignal.models.numpy_net.protocols import (
    CanClose,
    CanServe,
    CanStop,
    ColumnMetric,
    DataSet,
    FitCallbacks,
    Minibatch,
)
from trainsignal.tensor import HostTensor

_logger = logging.getLogger(__name__)


class Model:
    """A network with neon's surface.

    Args:
        layers: layers and lists of layers such as `Affine`, in order.
        name: what the user calls the model.
        seed: seed of the generator that the parameters are drawn from.

    Raises:
        ConfigurationError: the layers cannot stand in this order; see `Sequential`.
    """

    def __init__(
        self, layers: Iterable[Layer | Iterable[Layer]], name: str | None = None, *, seed: int = 0
    ) -> None:
        self.layers = Sequential(layers)
        self.name = name
        self.seed = seed
        self.be = Backend(rng=np.random.RandomState(seed))
        """neon's backend, for callbacks; its `bsz` is the batch size of the training set."""
        for layer in self.layers.layers:
            layer.be = self.be
        self.cost: GeneralizedCost | None = None
        self.optimizer: Optimizer | None = None
        self.train_input_shape: Shape | None = None
        """Shape of one sample; None until the model is initialized."""
        self.nbatches = 0
        """Minibatches of the current epoch."""
        self.ndata = 0
        self.total_cost = np.zeros((1, 1), np.float32).view(HostTensor)
        """(1, 1) float32: within an epoch the sum of its costs so far, from its end on their mean."""
        self.finished = False
        """Set to True, it ends training after the current epoch."""
        self.epoch_index = 0
        """0-based index of the current epoch, over all fits; between fits the number of completed ones."""
        self._minibatches_are_done = False  # of epoch `epoch_index`, which has not ended yet
        self._minibatches = 0  # of the current epoch that are done
        self._cost_sum = 0.0  # of these

    @property
    def rng(self) -> np.random.RandomState:
        """The random generator: that of the backend, and of neon's kind, so that its saved states fit."""
        return self.be.rng

    @rng.setter
    def rng(self, rng: np.random.RandomState) -> None:
        self.be.rng = rng

    @property
    def initialized(self) -> bool:
        """Whether the parameters exist."""
        return self.train_input_shape is not None

    @property
    def layers_to_optimize(self) -> list[Layer]:
        """The layers with parameters that the optimizer updates."""
        return self.layers.layers_to_optimize

    def initialize(self, dataset: DataSet, cost: GeneralizedCost | None = None) -> None:
        """Allocate the parameters for samples of `dataset`, unless they exist, and take `cost`.

        A data set that tells its `batch_size` tells it to the backend.

        Raises:
            ConfigurationError: the cost does not belong to the last layer.
            DataError: the parameters exist, for samples of another shape.
        """
        if cost is not None:
            cost.initialize(self.layers.layers[-1])
            self.cost = cost
        if self.train_input_shape is None:
            self.layers.configure(dataset.shape, self.rng)
            self.train_input_shape = dataset.shape
        elif dataset.shape != self.train_input_shape:
            raise DataError(
                f"samples of the data set have shape {dataset.shape!r}, the model was made for "
                f"{self.train_input_shape!r}. Give the data set that lshape, or make a new model."
            )
        batch_size: int | None = getattr(dataset, "batch_size", None)
        if batch_size is not None:
            self.be.bsz = batch_size

    def fit(
        self,
        dataset: DataSet,
        cost: GeneralizedCost,
        optimizer: Optimizer,
        num_epochs: int,
        callbacks: FitCallbacks,
    ) -> None:
        """Train until `num_epochs` epochs are complete, those of earlier fits included.

        Unlike neon, `total_cost` is divided by the number of minibatches done in the epoch, not by that of
        the next one, and a fit after one that `finished` ended trains again.

        Args:
            dataset: training set; iterated once an epoch.
            cost: becomes `self.cost`.
            optimizer: becomes `self.optimizer`.
            num_epochs: total over all fits.
            callbacks: any object with neon's six methods. Where it is a context manager too, training runs
                inside it, so that it is closed when training raises. Where it has `should_stop() -> bool`,
                it is asked after each minibatch and before each epoch; True ends the epoch there and
                training after it. An epoch that is cut short so is not counted: the next fit repeats it.

        Raises:
            ConfigurationError: the cost does not belong to the last layer.
            DataError: an epoch has no minibatch, or a minibatch does not fit the network.
        """
        self.finished = False
        self._minibatches_are_done = False
        self._minibatches, self._cost_sum = 0, 0.0
        self.nbatches, self.ndata = dataset.nbatches, dataset.ndata
        self.total_cost = np.zeros((1, 1), np.float32).view(HostTensor)
        self.optimizer = optimizer
        self.initialize(dataset, cost)
        should_stop = callbacks.should_stop if isinstance(callbacks, CanStop) else _never
        with callbacks if isinstance(callbacks, CanClose) else contextlib.nullcontext():
            callbacks.on_train_begin(num_epochs)
            batches = callbacks.serve(dataset) if isinstance(callbacks, CanServe) else dataset
            while self.epoch_index < num_epochs and not self.finished and not should_stop():
                self.nbatches = dataset.nbatches
                callbacks.on_epoch_begin(self.epoch_index)
                is_whole = self._epoch_fit(batches, callbacks, should_stop)
                self._minibatches_are_done = is_whole
                if is_whole:
                    self._minibatches, self._cost_sum = 0, 0.0
                callbacks.on_epoch_end(self.epoch_index)
                if not is_whole:
                    break
                self.epoch_index += 1
                self._minibatches_are_done = False
            callbacks.on_train_end()

    def _epoch_fit(
        self, batches: Iterable[Minibatch], callbacks: FitCallbacks, should_stop: Callable[[], bool]
    ) -> bool:
        """Train on the minibatches of one epoch, or what is left of it; leave its mean cost in `total_cost`.

        Returns:
            Whether all are done; False after a stop before the last of them.
        """
        epoch, is_whole = self.epoch_index, True
        for minibatch, (x, t) in enumerate(batches, start=self._minibatches):
            callbacks.on_minibatch_begin(epoch, minibatch)
            self._cost_sum += self._train_on(x, t)
            self._minibatches = minibatch + 1
            self.total_cost[...] = self._cost_sum
            callbacks.on_minibatch_end(epoch, minibatch)
            if should_stop() and self._minibatches != self.nbatches:  # else the set comes to its end
                is_whole = self._minibatches > self.nbatches
                break
        if not self._minibatches:
            raise DataError(
                f"the data set yielded no minibatch in epoch {epoch}. It is iterated once an epoch: "
                "a generator, which can be iterated only once, will not do."
            )
        self.total_cost[...] = self._cost_sum / self._minibatches
        return is_whole

    def _train_on(self, x: Floats, t: Floats) -> float:
        """Update the parameters by one minibatch, (features, columns) each; return its cost before that."""
        cost, optimizer = self.cost, self.optimizer
        assert cost is not None  # fit has set both
        assert optimizer is not None
        outputs = np.asarray(self.fprop(x))  # the layers are faster with plain arrays
        minibatch_cost = cost.get_cost(outputs, t)
        self.bprop(cost.get_errors(outputs, t))
        optimizer.optimize(self.layers_to_optimize, epoch=self.epoch_index, batch_size=x.shape[1])
        return minibatch_cost

    def fprop(self, x: Floats, inference: bool = False) -> HostTensor:
        """Return the outputs, (features, columns) float32, for inputs `x`, (features, columns).

        With `inference`, batch normalization uses its running averages, and no state changes.

        Raises:
            RunStateError: the model is not initialized.
            DataError: `x` has not the number of features that the model was made for.
        """
        check_features(x, self._input_shape())
        return self.layers.fprop(np.asarray(x), inference).view(HostTensor)

    def bprop(self, delta: Floats) -> Floats:
        """Set all gradients from the cost's derivative by the outputs of the last training `fprop`."""
        return self.layers.bprop(delta)

    def feature_projector(self) -> GuidedBackprop:
        """Return the convolutions' outputs and the way from them back to the image.

        Raises:
            RunStateError: the model is not initialized.
        """
        return GuidedBackprop(self.layers.layers, self._input_shape())

    def eval(self, dataset: DataSet, metric: ColumnMetric) -> HostTensor:
        """Return the mean of each of the metric's values over the samples, (values,) float32.

        Samples that only fill up the last minibatch do not count. The data set is left where it was, and
        `cost` untouched.

        Raises:
            ConfigurationError: `metric` is a class.
            DataError: the data set yields no minibatch, or its samples do not fit the model.
        """
        return mean_values(self._infer, dataset, metric).view(HostTensor)

    def get_outputs(self, dataset: DataSet) -> Floats:
        """Return the outputs for all samples in order, (samples, features) float32.

        Raises:
            DataError: the data set yields no minibatch, or its samples do not fit the model.
        """
        return np.asarray(all_outputs(self._infer, dataset))

    def _input_shape(self) -> Shape:
        """Return the shape of one sample, or refuse what needs parameters."""
        if self.train_input_shape is None:
            raise RunStateError(
                "the model has no parameters yet: call model.initialize(dataset) or fit first."
            )
        return self.train_input_shape

    def _infer(self, x: Floats) -> Floats:
        return self.fprop(x, inference=True)

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        """Return parameters, optimizer state, random state and position as plain values and array copies.

        The structure is neon's. `epoch_index` counts an epoch once its last minibatch is done, so that it is
        right in callbacks at an epoch's end, and after training as well; one that a stop cut short never.

        Args:
            keep_states: False leaves out the optimizer's state.

        Raises:
            RunStateError: the model is not initialized.
        """
        input_shape = self._input_shape()
        return self._describe([layer_state(layer, keep_states) for layer in self.layers.layers]) | {
            "epoch_index": self.epoch_index + self._minibatches_are_done,
            "train_input_shape": input_shape,
        }

    def get_description(self) -> dict[str, Any]:
        """Return what `serialize` does, without parameters, optimizer state and position."""
        return self._describe([layer_description(layer) for layer in self.layers.layers])

    def _describe(self, entries: list[Entry]) -> dict[str, Any]:
        return model_description(
            self.layers, entries, self.seed, self.rng, cost=self.cost, optimizer=self.optimizer
        )

    def deserialize(self, state: Mapping[str, Any], *, load_states: bool = True) -> None:
        """Take back what `serialize` gave, or neon's own: parameters, random state and position.

        A model that is not initialized is made for the samples that the saved one was trained on. Nothing
        changes unless everything fits.

        Args:
            state: what `serialize` gave.
            load_states: also take the optimizer's state.

        Raises:
            CheckpointError: `state` is no model's, or of a model with other layers.
        """
        saved = read_state(state)
        shape = self.train_input_shape or saved.input_shape
        if shape is None:
            raise CheckpointError(
                "the state does not say the shape of a sample (train_input_shape), which the layers' sizes "
                "follow from. Call model.initialize(train_set) before loading."
            )
        if not self.initialized:
            self.layers.configure(shape, self.rng)
        load_layers(self.layers.layers, saved.layers, load_states)
        self.train_input_shape, self.rng = shape, saved.rng
        if saved.epoch_index is not None:
            self.epoch_index = saved.epoch_index
            self._minibatches_are_done = False

    def training_state(self) -> dict[str, Any]:
        """Return how far training is in the current epoch, and the numbers that the optimizer has now."""
        optimizer = {} if self.optimizer is None else vars(self.optimizer)
        numbers = {name: value for name, value in optimizer.items() if isinstance(value, (int, float))}
        return {
            "minibatches": self._minibatches,
            "cost_sum": self._cost_sum,
            "total_cost": float(self.total_cost),
            "optimizer": numbers,
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on from what `training_state` returned: within the epoch, with the optimizer's numbers of then.

        Those that are others now are logged, and set back: a resumed run is the same run. A schedule changes
        them in every run, so that says nothing of a mistake.
        """
        self._minibatches, self._cost_sum = state["minibatches"], state["cost_sum"]
        self.total_cost[...] = state["total_cost"]
        numbers: dict[str, Any] = {} if self.optimizer is None else state["optimizer"]
        for name, value in numbers.items():
            given = getattr(self.optimizer, name, None)
            if given != value:
                _logger.info("resumed: optimizer.%s is %r again, not %r", name, value, given)
                setattr(self.optimizer, name, value)

    def load_params(
        self,
        source: Mapping[str, Any] | str | Path,
        load_states: bool = True,
        *,
        trust_pickle: bool = False,
    ) -> None:
        """Take the state in a dict, as `deserialize`, or in a checkpoint file.

        Args:
            source: the state, or the path of a file.
            load_states: also take the optimizer's state.
            trust_pickle: read a pickle such as neon's .prm, which can run code: only for a file that you
                or someone you trust wrote.

        Raises:
            CheckpointError: the file cannot be read, or its state does not fit the model.
        """
        state = source if isinstance(source, Mapping) else load_state(source, trust_pickle=trust_pickle)
        self.deserialize(state, load_states=load_states)

    def __str__(self) -> str:
        return f"Network Layers:\n{self.layers.nested_str()}"


def _never() -> bool:
    return False
