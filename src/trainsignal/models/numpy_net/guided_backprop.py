"""`GuidedBackprop`: what of an image made a feature map of a convolution fire.

Springenberg, Dosovitskiy, Brox & Riedmiller 2014, arXiv:1412.6806. Computes as inference does, and leaves
the layers as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from trainsignal.models.numpy_net.activations import Rectlin
from trainsignal.models.numpy_net.arrays import Floats, Shape, check_features
from trainsignal.models.numpy_net.convolution import Convolution
from trainsignal.models.numpy_net.layers import Activation, Layer


class GuidedBackprop:
    """The convolutions of a network, their outputs, and the way from these back to the image.

    Args:
        layers: in order, configured.
        in_shape: of one sample.

    Attributes:
        in_shape: as given.
    """

    def __init__(self, layers: Sequence[Layer], in_shape: Shape) -> None:
        self.in_shape = in_shape
        self._layers = layers

    @property
    def convolutions(self) -> dict[int, tuple[int, int, int]]:
        """Position of each convolution among the layers, and its outputs' (maps, height, width)."""
        return {
            position: layer.out_shape
            for position, layer in enumerate(self._layers)
            if isinstance(layer, Convolution) and layer.out_shape is not None
        }

    def outputs(self, x: Floats) -> Iterator[tuple[int, Floats]]:
        """Yield the position and the outputs, (maps, height * width, columns), of each convolution.

        Args:
            x: (features, columns).

        Raises:
            DataError: `x` has not the number of features that the network was made for.
        """
        check_features(x, self.in_shape)
        convolutions = self.convolutions
        for position, layer in enumerate(self._layers[: max(convolutions, default=-1) + 1]):
            x = layer.fprop(x, inference=True)
            if position in convolutions:
                yield position, x.reshape(convolutions[position][0], -1, x.shape[1])

    def project_back(
        self, x: Floats, layer: int, feature_maps: npt.NDArray[np.intp], locations: npt.NDArray[np.intp]
    ) -> Floats:
        """Return the images that guided backpropagation makes of one output of a convolution in each column.

        It is the derivative by the image as inference computes, times the output itself, but for one change:
        at each rectifier, what is negative does not pass. An output that is not positive gives zeros.

        Args:
            x: (features, columns).
            layer: position of the convolution.
            feature_maps: (columns,) which map of each column.
            locations: (columns,) and where in it: row * width + column.

        Returns:
            (features, columns).
        """
        inputs = [x]
        for before in self._layers[: layer + 1]:
            inputs.append(before.fprop(inputs[-1], inference=True))
        outputs = inputs.pop()
        rows = feature_maps * (len(outputs) // self.convolutions[layer][0]) + locations
        chosen = (rows, np.arange(x.shape[1], dtype=np.intp))
        error = np.zeros_like(outputs)
        error[chosen] = np.maximum(outputs[chosen], 0)
        for before, seen in zip(reversed(self._layers[: layer + 1]), reversed(inputs), strict=True):
            if isinstance(before, Activation) and isinstance(before.transform, Rectlin):
                error = np.maximum(error, 0)
            error = before.bprop_inference(seen, error)
        return error
