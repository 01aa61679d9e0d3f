"""What callbacks may need of a model or a data set: one small Protocol an ability, with neon's names.

A callback lists the Protocols that it needs in `needs`; before epoch 0 each is checked against the model
that the user gave. A real neon model satisfies them as it is. This module imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
State = Mapping[str, Any]
"""Nested dicts, lists, tuples, arrays and plain values: what a checkpoint holds."""


class Cost(Protocol):
    """A cost function object with what it last computed, as neon's `GeneralizedCost`."""

    cost: Any
    """Mean cost of the last minibatch: a float, or a (1, 1) array."""

    @property
    def outputs(self) -> Any:
        """(1, columns) float32: the cost of each column of the last minibatch."""
        ...

    def get_cost(self, inputs: Any, targets: Any) -> Any:
        """Compute `cost` and `outputs` from the network's outputs and the targets, (features, columns)."""
        ...


@runtime_checkable
class HasCost(Protocol):
    """The model keeps its cost object in `cost`."""

    cost: Cost


class Optimizer(Protocol):
    """What changes the parameters, as neon's `GradientDescentMomentum`."""

    learning_rate: Any
    """Factor of the gradients; read anew at each update."""


@runtime_checkable
class HasLearningRate(Protocol):
    """The model keeps its optimizer in `optimizer`, and that has a `learning_rate`."""

    optimizer: Optimizer


@runtime_checkable
class HasTotalCost(Protocol):
    """The model keeps the mean cost of the current epoch in `total_cost`: a float, or a (1, 1) array."""

    total_cost: Any


@runtime_checkable
class HasSize(Protocol):
    """The model knows the size of its training set once training has begun."""

    nbatches: int
    ndata: int


@runtime_checkable
class CanFinish(Protocol):
    """The training loop stops at the end of an epoch in which `finished` became True."""

    finished: bool


@runtime_checkable
class CanInfer(Protocol):
    """The model computes its outputs for a minibatch."""

    def fprop(self, x: Any, inference: bool = False) -> Any:
        """Return the outputs for `x`; `inference=True` changes no state of the model."""
        ...


@runtime_checkable
class EvaluatesPairs(Protocol):
    """The model takes minibatches as its framework has them: pairs (inputs, targets), samples first."""

    def evaluating(self) -> AbstractContextManager[object]:
        """Be in evaluation mode, without gradients, inside the `with` block; afterwards all is as before."""
        ...

    def predict(self, inputs: Any) -> Any:
        """Return the outputs for a minibatch, in the framework's own type, samples in the first axis."""
        ...

    def to_host(self, value: Any) -> Array:
        """Return an array of the framework's own type as a NumPy array."""
        ...


@runtime_checkable
class HasLoss(Protocol):
    """The model computes the loss that it is trained with: a function (outputs, targets) was given to it."""

    def loss(self, outputs: Any, targets: Any) -> Any:
        """Return the mean loss over the samples of a minibatch: one number, which may be on a device."""
        ...


@runtime_checkable
class TakesOptimizers(Protocol):
    """The model can be told of optimizers that a framework makes only when training begins."""

    def take_optimizers(self, optimizers: Iterable[Any], schedulers: Iterable[Any]) -> None:
        """Know these from now on, unless the user has given others."""
        ...


@runtime_checkable
class PlacesValues(Protocol):
    """The model computes on a device, and brings values to it."""

    def placed(self, value: Any) -> Any:
        """Return arrays, tensors and what else has a `to(device)` on the model's device."""
        ...


@runtime_checkable
class KnowsOwnSamples(Protocol):
    """The model's framework gives each rank a part of a data set, filled up to a common length."""

    def own_samples(self, dataset: Any) -> int | None:
        """Return how many samples that `dataset` yields are its own on this rank, the first; None: all."""
        ...


@runtime_checkable
class MergesMetrics(Protocol):
    """The model's framework has metrics that gather states, which several ranks' can be merged of."""

    def metric_states(self, metric: Any) -> dict[str, Array]:
        """Return what a metric has gathered, by name.

        Raises:
            ConfigurationError: it holds something else than arrays.
        """
        ...

    def set_metric_states(self, metric: Any, states: Sequence[Mapping[str, Array]]) -> None:
        """Have a metric hold what several have gathered; it does not synchronise by itself any more.

        Args:
            metric: it has gathered a part of it, or nothing.
            states: of one rank or several, as `metric_states` gave them.
        """
        ...


@runtime_checkable
class FollowsRun(Protocol):
    """The model tells where the run is, under neon's names: `epoch_index`, `total_cost`, `cost.cost`."""

    def follow(self, run: Any) -> None:
        """Take part in a run (`trainsignal.TrainingRun`) that begins."""
        ...


class Gathered(Protocol):
    """Costs that are on their way from a device."""

    def is_ready(self) -> bool:
        """Return whether `numbers` would not wait."""
        ...

    def numbers(self) -> list[float]:
        """Return the costs, in the order in which they were given; waits for the device."""
        ...


class DeviceCosts(Protocol):
    """How a framework's costs come from its device: `device_costs` in `trainsignal.models.<framework>`."""

    def holds(self, value: object) -> bool:
        """Return whether `value` is one of the framework's."""
        ...

    def keeper(self, value: Any) -> Callable[[Any], Any]:
        """Return what makes of a value one to keep, without what led to it; it does not wait for the device.

        Args:
            value: the first of a kind; the others are taken to be like it. What is returned may raise
                TypeError where one is not, if that costs nothing.

        Raises:
            TypeError: it is not one real number.
        """
        ...

    def gather(self, values: list[Any]) -> Gathered:
        """Send kept values, one or more, on their way to the host; does not wait for the device.

        Raises:
            TypeError: one is not one real number, or is not there any more.
        """
        ...


@runtime_checkable
class CanEvaluate(Protocol):
    """The model computes a metric over a data set."""

    def eval(self, dataset: Any, metric: Any) -> Any:
        """Return the mean of each of the metric's values over the samples of `dataset`."""
        ...


@runtime_checkable
class CanSerialize(Protocol):
    """The model gives its whole state as nested plain values and arrays."""

    def serialize(self, *, keep_states: bool = True) -> State:
        """Return the state; `keep_states=False` leaves out the optimizer's."""
        ...


@runtime_checkable
class CanLoad(Protocol):
    """The model takes back what `serialize` gave."""

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Set parameters and, with `load_states`, the optimizer's state."""
        ...


@runtime_checkable
class HasHiddenState(Protocol):
    """A recurrent model whose state goes on from one minibatch to the next."""

    def hidden_state(self) -> Any:
        """Return a copy of the state, which later minibatches do not change."""
        ...

    def set_hidden_state(self, state: Any) -> None:
        """Take back what `hidden_state` gave."""
        ...


class EvaluationSet(Protocol):
    """Minibatches of (inputs, targets), each (features, columns)."""

    @property
    def ndata(self) -> int:
        """Number of samples; columns of the last minibatch beyond it are wrapped-around and not counted."""
        ...

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield (inputs, targets) from the first sample on."""
        ...


@runtime_checkable
class HasPosition(Protocol):
    """A data set that can be put back to where it was."""

    def state_dict(self) -> dict[str, Any]:
        """Return the position as plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a position that `state_dict` gave."""
        ...


@runtime_checkable
class HasRandomState(Protocol):
    """The model knows the random generators of its framework."""

    def get_random_state(self) -> Any:
        """Return their state as plain values and arrays."""
        ...

    def set_random_state(self, state: Any) -> None:
        """Set them to what `get_random_state` returned."""
        ...


@runtime_checkable
class HasTrainingState(Protocol):
    """The model keeps more of its training than `serialize` tells: how far it is in an epoch, say."""

    def training_state(self) -> dict[str, Any]:
        """Return, as plain values, what a resumed run needs beside `serialize`."""
        ...

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take back what `training_state` returned; called after `deserialize`."""
        ...


class FeatureProjector(Protocol):
    """The convolutions of a network, their outputs, and the way from these back to the image."""

    @property
    def in_shape(self) -> int | tuple[int, ...]:
        """Shape of one sample; (channels, height, width) for images."""
        ...

    @property
    def convolutions(self) -> Mapping[int, tuple[int, int, int]]:
        """Position of each convolution among the layers, and its outputs' (maps, height, width)."""
        ...

    def outputs(self, x: Any, /) -> Iterator[tuple[int, Array]]:
        """Yield the position and outputs, (maps, height * width, columns), of each, for inputs `x`."""
        ...

    def project_back(
        self, x: Any, layer: int, feature_maps: npt.NDArray[np.intp], locations: npt.NDArray[np.intp], /
    ) -> Array:
        """Return an image, (features, columns), that shows what made one output fire in each column."""
        ...


@runtime_checkable
class CanProjectBack(Protocol):
    """The model projects the outputs of its convolutions back to the image.

    One that satisfies `EvaluatesPairs` is given a minibatch, `feature_projector(inputs)`, for it knows the
    shape of a sample by that alone. Its projector takes (features, columns) too.
    """

    def feature_projector(self, *inputs: Any) -> FeatureProjector:
        """Return what does so, with the parameters of this moment."""
        ...


@runtime_checkable
class HasBatchStatistics(Protocol):
    """A batch-normalization layer, with neon's names.

    In training, `average = rho * average + (1 - rho) * batch` for both averages.
    """

    rho: float
    """Share of the old running average that stays."""
    gmean: Any
    """Running mean of each feature map, an array or tensor."""
    gvar: Any
    """Running biased variance of each feature map, an array or tensor."""


@runtime_checkable
class TunesBatchNorm(EvaluatesPairs, Protocol):
    """The model tells what its batch normalizations see, and has them use other statistics.

    For models of frameworks, whose layers keep other averages than neon's. Each
    normalization has an index; statistics are the number of values of each feature map, their mean and their
    biased variance, (maps,) float64.
    """

    def batch_statistics(self, inputs: Any) -> Iterable[tuple[int, tuple[int, Array, Array]]]:
        """Return the index and statistics of what each saw of a minibatch in training; change nothing."""
        ...

    def set_batch_statistics(self, statistics: Any) -> None:
        """Have each use these, pairs of index and statistics, from now on."""
        ...


class LayerContainer(Protocol):
    """Layers in order; one that has `layers` itself is a container of layers."""

    @property
    def layers(self) -> Any:
        """The layers, each with a `name`, and its parameters in attributes such as `W`."""
        ...


@runtime_checkable
class HasLayers(Protocol):
    """The model shows its layers in `layers.layers`, each with a name and its parameters in attributes."""

    @property
    def layers(self) -> LayerContainer:
        """The container of the layers."""
        ...


@runtime_checkable
class HasGanCosts(Protocol):
    """The model trains a generator against a discriminator, and tells how far it is, with neon's names."""

    current_batch: int
    """Minibatches trained on so far."""
    last_gen_batch: int
    """`current_batch` when the generator was last updated."""
    gen_iter: int
    """Updates of the generator so far."""
    cost_dis: Any
    """Cost of the discriminator, in the first element."""


@runtime_checkable
class HasGanSamples(Protocol):
    """The model keeps what its discriminator last saw, with neon's names."""

    data_batch: Any
    """Samples of the data, (features, columns), an array or tensor."""
    noise_batch: Any
    """What the generator made of noise, (features, columns), an array or tensor."""


def all_layers(container: Any) -> Iterator[Any]:
    """Yield the layers in a container such as `model.layers`, and in containers and lists within it."""
    layers: Iterable[Any] = getattr(container, "layers", container)
    for layer in layers:
        if isinstance(layer, (list, tuple)) or hasattr(layer, "layers"):
            yield from all_layers(layer)
        else:
            yield layer


def to_float(value: object) -> float:
    """Return one number as a float, whatever it comes in: float, NumPy scalar, (1, 1) array, tensor.

    Raises:
        TypeError: `value` holds no number, or more than one.
    """
    if type(value) is float:  # nearly always, at each minibatch
        return value
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise TypeError("an integer that is too large for a float is not one number") from error
    try:
        array = np.asarray(_on_the_host(value))
    except (ValueError, TypeError, RuntimeError) as error:  # lists of different lengths, or of tensors
        raise TypeError(f"{value!r} is not one number") from error
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise TypeError(f"{value!r} is not one number")
    return float(array.reshape(()))


def _on_the_host(value: object) -> object:
    """Return what `value` holds as something that NumPy understands."""
    if isinstance(value, (np.ndarray, np.generic)):
        return cast("Array", value)
    for convert in ("get", "item"):  # neon's tensors; PyTorch's and JAX's
        method: object = getattr(value, convert, None)
        if callable(method):
            try:
                return method()
            except (TypeError, ValueError, RuntimeError) as error:  # a dict's get; more than one number
                raise TypeError(f"{value!r} is not one number") from error
    return value
