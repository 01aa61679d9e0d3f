"""`GuidedBackprop`: what of an image made a feature map of a `Conv2d` fire.

Springenberg, Dosovitskiy, Brox & Riedmiller 2014, arXiv:1412.6806. Computes in evaluation mode, and leaves
the module as it is: no parameter gets a gradient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainsignal.abilities import Array
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.layers import is_layer
from trainsignal.models.torch.tensors import device_of, host_values
from trainsignal.models.torch.training_mode import in_mode

_RECTIFIERS: Final = frozenset((
    torch.nn.functional.relu, torch.nn.functional.relu_,
    torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_,
))  # fmt: skip
"""The functions that compute max(x, 0); `torch.nn.ReLU` calls one of them."""

_IN_PLACE: Final = frozenset((torch.nn.functional.relu_, torch.relu_, torch.Tensor.relu_))


class GuidedBackprop:
    """The convolutions of a module, their outputs, and the way from these back to the image.

    Positions are those among `TorchModel.layers.layers`. Of a convolution that is called several times, the
    first call counts.

    Args:
        module: called with one tensor, (samples, channels, height, width).
        example: such a tensor, which tells the shape of a sample.

    Attributes:
        in_shape: (channels, height, width) of one sample.
        convolutions: position of each `Conv2d` that the example reached, and its outputs' (maps, height,
            width).

    Raises:
        ConfigurationError: the example is no tensor of real numbers, through which a gradient could go back.
    """

    def __init__(self, module: Any, example: Any) -> None:
        if not isinstance(example, torch.Tensor) or not example.is_floating_point():
            kind = str(getattr(example, "dtype", type(example).__name__))
            raise ConfigurationError(
                f"DeconvCallback goes back to images that are one tensor of real numbers, not {kind}: have "
                "the data set yield such, or leave the callback out"
            )
        self.in_shape: tuple[int, ...] = tuple(example.shape[1:])
        self._module = module
        self._dtype = example.dtype
        self._device = device_of(module)
        layers = [one for one in module.modules() if is_layer(one)]
        self._conv2ds = {place: one for place, one in enumerate(layers) if isinstance(one, torch.nn.Conv2d)}
        with in_mode(module, is_training=False):
            found = self._convolved(example[:1].to(self._device))
        self.convolutions: dict[int, tuple[int, int, int]] = {
            place: tuple(found[place].shape[1:]) for place in sorted(found)
        }

    def outputs(self, x: Array) -> Iterator[tuple[int, Array]]:
        """Yield the position and the outputs, (maps, height * width, columns), of each convolution.

        They are those of the convolution proper, without the bias.

        Args:
            x: (features, columns).

        Raises:
            DataError: `x` has not the number of features that the example had.
        """
        with in_mode(self._module, is_training=False):
            found = self._convolved(self._images(x))
        for place, convolved in sorted(found.items()):
            columns_last = host_values(convolved).transpose(1, 2, 3, 0)
            yield place, columns_last.reshape(columns_last.shape[0], -1, x.shape[1])

    def project_back(
        self, x: Array, layer: int, feature_maps: npt.NDArray[np.intp], locations: npt.NDArray[np.intp]
    ) -> Array:
        """Return the images that guided backpropagation makes of one output of a convolution in each column.

        It is the derivative by the image in evaluation mode, times the output itself, but for one change:
        at each rectifier, what is negative does not pass. An output that is not positive gives zeros.

        Args:
            x: (features, columns).
            layer: position of the convolution.
            feature_maps: (columns,) which map of each column.
            locations: (columns,) and where in it: row * width + column.

        Returns:
            (features, columns).
        """
        with in_mode(self._module, is_training=False), torch.enable_grad(), _GuidedRectifiers():
            images = self._images(x).requires_grad_()
            convolved = self._convolved(images * 1)[layer]  # a module may change its inputs in place
            error = torch.zeros_like(convolved)
            rows, columns = np.divmod(locations, convolved.shape[3])
            chosen: Any = (np.arange(x.shape[1]), feature_maps, rows, columns)
            error[chosen] = convolved.detach()[chosen].clamp(min=0)
            (delta,) = torch.autograd.grad(convolved, images, error)
        return host_values(delta).reshape(x.shape[1], -1).T

    def _images(self, x: Array) -> Any:
        """Return (features, columns) as the module takes it."""
        features = int(np.prod(self.in_shape))
        if x.shape[0] != features:
            raise DataError(f"inputs of shape {x.shape}: expected ({features}, columns), as in training")
        samples = torch.from_numpy(np.ascontiguousarray(x.T)).to(self._device, self._dtype)
        return samples.reshape(-1, *self.in_shape)

    def _convolved(self, images: Any) -> dict[int, Any]:
        """Return the outputs of the convolutions, without the bias, (samples, maps, height, width)."""
        found: dict[int, Any] = {}
        with _watching(self._conv2ds, found):
            self._module(images)
        return found


@contextlib.contextmanager
def _watching(convolutions: dict[int, Any], found: dict[int, Any]) -> Generator[None]:
    """Note the outputs of convolutions."""

    def watch(place: int, convolution: Any) -> Any:
        def note(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
            if place not in found:
                bias = 0 if convolution.bias is None else convolution.bias[:, None, None]
                found[place] = output - bias  # a new tensor: what follows may change the output in place

        return convolution.register_forward_hook(note)

    handles = [watch(place, convolution) for place, convolution in convolutions.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _GuidedRectifiers(torch.overrides.TorchFunctionMode):  # type: ignore[misc]  # untyped framework
    """Has rectifiers let only what is positive pass on the way back, inside a `with` block."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func not in _RECTIFIERS:
            return func(*args, **options)
        x = args[0] if args else options["input"]
        is_in_place = func in _IN_PLACE or options.get("inplace", args[1] if len(args) > 1 else False)
        rectified = _GuidedRectifier.apply(x)
        return x.copy_(rectified) if is_in_place else rectified


class _GuidedRectifier(torch.autograd.Function):  # type: ignore[misc]  # untyped framework
    """max(x, 0), with the derivative of guided backpropagation."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mask = x > 0
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *deltas: Any) -> Any:
        return deltas[0].clamp(min=0) * ctx.mask
