"""Convolution and max pooling, added as a user would add layers, to compare batch normalization with neon."""

from __future__ import annotations

import numpy as np

from trainsignal.models.numpy_net.arrays import Floats, Shape
from trainsignal.models.numpy_net.initializers import Constant
from trainsignal.models.numpy_net.layers import Layer, WeightLayer


class Convolution(WeightLayer):
    """3 x 3 cross-correlation with padding 1; `W` is (channels * 9, maps), channels slowest."""

    def __init__(self, maps: int) -> None:
        super().__init__(Constant(0))
        self.maps = maps

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        assert isinstance(in_shape, tuple)
        self._in_shape = in_shape
        channels, height, width = in_shape
        self._allocate((channels * 9, self.maps), rng)
        return (self.maps, height, width)

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        padded = np.pad(inputs.reshape(*self._in_shape, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        patches = windows.transpose(0, 4, 5, 1, 2, 3).reshape(len(self.W), -1)
        if not inference:
            self._patches = patches
        return (self.W.T @ patches).reshape(-1, inputs.shape[1])

    def bprop(self, error: Floats) -> Floats:
        columns = error.shape[1]
        by_map = error.reshape(self.maps, -1)
        self.grad_W = self._patches @ by_map.T
        channels, height, width = self._in_shape
        by_patch = (self.W @ by_map).reshape(channels, 3, 3, height, width, columns)
        padded = np.zeros((channels, height + 2, width + 2, columns), error.dtype)
        for row in range(3):
            for column in range(3):
                padded[:, row : row + height, column : column + width] += by_patch[:, row, column]
        return padded[:, 1:-1, 1:-1].reshape(-1, columns)

    def __str__(self) -> str:
        return f"Convolution Layer '{self.name}'"


class Pooling(Layer):
    """Largest of each 2 x 2 square; the first of them where several are equal, as in neon."""

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        assert isinstance(in_shape, tuple)
        channels, height, width = in_shape
        self._squares = (channels, height // 2, 2, width // 2, 2)
        return (channels, height // 2, width // 2)

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        squares = inputs.reshape(*self._squares, -1).transpose(0, 1, 3, 5, 2, 4)
        candidates = squares.reshape(*squares.shape[:4], 4)
        if not inference:
            self._largest = candidates.argmax(axis=-1)
        outputs: Floats = candidates.max(axis=-1)
        return outputs.reshape(-1, inputs.shape[1])

    def bprop(self, error: Floats) -> Floats:
        spread: Floats = np.eye(4, dtype=error.dtype)[self._largest]
        spread *= error.reshape(*self._largest.shape, 1)
        squares = spread.reshape(*spread.shape[:4], 2, 2).transpose(0, 1, 4, 2, 5, 3)
        return squares.reshape(-1, error.shape[1])

    def __str__(self) -> str:
        return f"Pooling Layer '{self.name}'"
