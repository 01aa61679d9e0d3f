"""`Affine`: a fully connected layer as neon spells it, which is a short list of layers."""

from __future__ import annotations

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.activations import Transform
from trainsignal.models.numpy_net.batch_norm import BatchNorm
from trainsignal.models.numpy_net.initializers import Initializer
from trainsignal.models.numpy_net.layers import Activation, Bias, Layer, Linear


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
        if batch_norm and bias is not None:
            raise ConfigurationError(
                f"bias={bias!r} with batch_norm=True: batch normalization takes a bias out again, "
                "and its own beta stands for it. Leave out one of the two."
            )
        super().__init__([Linear(nout, init, name)])
        if bias is not None:
            self.append(Bias(bias))
        if batch_norm:
            self.append(BatchNorm())
        if activation is not None:
            self.append(Activation(activation))
