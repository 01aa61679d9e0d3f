"""`Convolution`: filters that slide over images."""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats, Shape
from trainsignal.models.numpy_net.initializers import Initializer
from trainsignal.models.numpy_net.layers import WeightLayer
from trainsignal.models.numpy_net.windows import Pair, Windows, WindowShape, pair


class Convolution(WeightLayer):
    """Correlates images with filters: output map k at a place is the sum of a window times filter k.

    As in neon, filters are not turned around (cross-correlation), and pixels at the end that fill no window
    are left out. Inputs are images of (channels C, height H, width W), outputs (maps K, height P, width Q),
    each flattened in this order. `W` is (C * R * S, K) float32, channels slowest.

    Args:
        fshape: (R, S, K): rows and columns of a filter, and number of filters.
        strides: steps of the window: an int, (down, across) or neon's {"str_h": down, "str_w": across}.
        padding: zeros around the image, likewise, with neon's keys "pad_h" and "pad_w".
        init: how the filters start.
        name: None lets the model name it.

    Attributes:
        convparams: neon's dict of sizes: K, R, S, pad_h, pad_w, str_h, str_w; once configured also C, H, W.
        in_shape: (C, H, W); None until the model is initialized.
        out_shape: (K, P, Q); None until the model is initialized.

    Raises:
        ConfigurationError: a size, stride or padding has no meaning.
    """

    def __init__(
        self,
        fshape: tuple[int, int, int],
        strides: Pair = 1,
        padding: Pair = 0,
        *,
        init: Initializer,
        name: str | None = None,
    ) -> None:
        if len(fshape) != 3 or min(fshape) < 1:
            raise ConfigurationError(
                f"fshape={fshape!r}: expected (rows, columns, number of filters), each at least 1."
            )
        super().__init__(init, name)
        self.fshape = fshape
        self.strides = strides
        self.padding = padding
        rows, columns, self._maps = fshape
        self._shape = WindowShape(
            size=(rows, columns),
            strides=pair(strides, "strides", ("str_h", "str_w"), least=1),
            padding=pair(padding, "padding", ("pad_h", "pad_w"), least=0),
        )
        (str_h, str_w), (pad_h, pad_w) = self._shape.strides, self._shape.padding
        self.convparams: dict[str, int] = {
            "K": self._maps, "R": rows, "S": columns,
            "pad_h": pad_h, "pad_w": pad_w, "str_h": str_h, "str_w": str_w,
        }  # fmt: skip
        self.in_shape: tuple[int, int, int] | None = None
        self.out_shape: tuple[int, int, int] | None = None

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        self._windows: Windows = self._shape.on(in_shape, f"Convolution {self.name!r}")
        channels, height, width = self.in_shape = self._windows.image
        self.out_shape = (self._maps, *self._windows.counts)
        self.convparams |= {"C": channels, "H": height, "W": width}
        rows, columns = self._shape.size
        self._allocate((channels * rows * columns, self._maps), rng)
        return self.out_shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        patches = self._windows.of(inputs).reshape(len(self._W), -1)
        if not inference:
            self._patches = patches
        outputs: Floats = self._W.T @ patches
        return outputs.reshape(-1, inputs.shape[1])

    def bprop(self, error: Floats) -> Floats:
        by_map = error.reshape(self._maps, -1)
        self.grad_W = self._patches @ by_map.T
        by_window = (self._W @ by_map).reshape(
            self._windows.image[0], *self._shape.size, *self._windows.counts, error.shape[1]
        )
        return self._windows.add_up(by_window)

    def config(self) -> dict[str, object]:
        return super().config() | {
            "fshape": self.fshape,
            "strides": self.strides,
            "padding": self.padding,
        }

    def __str__(self) -> str:
        sizes = self.convparams
        inputs, outputs = "?", f"{self._maps} x (?x?)"
        if self.in_shape is not None and self.out_shape is not None:
            inputs, outputs = ("{} x ({}x{})".format(*shape) for shape in (self.in_shape, self.out_shape))
        return (
            f"Convolution Layer '{self.name}': {inputs} inputs, {outputs} outputs, "
            f"{sizes['pad_h']},{sizes['pad_w']} padding, {sizes['str_h']},{sizes['str_w']} stride, "
            "1,1 dilation"
        )
