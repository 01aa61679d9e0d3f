"""`Affine` and `Conv`: several layers in one, as neon spells them, each a short list of layers."""

from __future__ import annotations

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.activations import Transform
from trainsignal.models.numpy_net.batch_norm import BatchNorm
from trainsignal.models.numpy_net.convolution import Convolution
from trainsignal.models.numpy_net.initializers import Initializer
from trainsignal.models.numpy_net.layers import Activation, Bias, Layer, Linear
from trainsignal.models.numpy_net.windows import Pair


class Affine(list[Layer]):
    """The layers Linear, then Bias or BatchNorm or neither, then Activation or not.

    Args:
        nout: number of outputs.
        init: how the weights start.
        bias: how the biases start; None adds no Bias.
        batch_norm: add a BatchNorm, whose `beta` then stands for the bias.
        activation: a transform such as Rectlin(); None adds no Activation.
        name: name of the Linear, which the others' names begin with; None lets the model choose.

    Raises:
        ConfigurationError: `nout` is less than 1, or both `bias` and `batch_norm` are given.
    """

    def __init__(
        self,
        nout: int,
        init: Initializer,
        bias: Initializer | None = None,
        batch_norm: bool = False,
        activation: Transform | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__([Linear(nout, init, name), *_following(bias, batch_norm, activation)])


class Conv(list[Layer]):
    """The layers Convolution, then Bias or BatchNorm or neither, then Activation or not.

    Args:
        fshape: (rows, columns, number of filters).
        init: how the filters start.
        strides: steps of the filters; see `Convolution`.
        padding: zeros around the image; see `Convolution`.
        bias: how the biases, one a feature map, start; None adds no Bias.
        batch_norm: add a BatchNorm, whose `beta` then stands for the bias.
        activation: a transform such as Rectlin(); None adds no Activation.
        name: name of the Convolution, which the others' names begin with; None lets the model choose.

    Raises:
        ConfigurationError: `fshape`, `strides` or `padding` has no meaning, or both `bias` and `batch_norm`
            are given.
    """

    def __init__(
        self,
        fshape: tuple[int, int, int],
        init: Initializer,
        strides: Pair = 1,
        padding: Pair = 0,
        bias: Initializer | None = None,
        batch_norm: bool = False,
        activation: Transform | None = None,
        name: str | None = None,
    ) -> None:
        convolution = Convolution(fshape, strides, padding, init=init, name=name)
        super().__init__([convolution, *_following(bias, batch_norm, activation)])


def _following(bias: Initializer | None, batch_norm: bool, activation: Transform | None) -> list[Layer]:
    """Return the layers that come after the one that multiplies."""
    if batch_norm and bias is not None:
        raise ConfigurationError(
            f"bias={bias!r} with batch_norm=True: batch normalization takes a bias out again, "
            "and its own beta stands for it. Leave out one of the two."
        )
    layers: list[Layer] = []
    if bias is not None:
        layers.append(Bias(bias))
    if batch_norm:
        layers.append(BatchNorm())
    if activation is not None:
        layers.append(Activation(activation))
    return layers
