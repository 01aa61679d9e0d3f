"""What batch normalizations see of a minibatch, and giving them the statistics of a data set."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from typing import Any

from trainsignal.abilities import Array
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.layers import BATCH_NORMS
from trainsignal.models.torch.training_mode import in_mode, with_buffers_as_before

Statistics = tuple[int, Array, Array]
"""How many values each feature map had, their mean, and their biased variance; (maps,) float64 each."""


def batch_norms(module: Any) -> list[Any]:
    """Return the batch normalizations that have running averages, in order."""
    return [one for one in module.modules() if isinstance(one, BATCH_NORMS) and one.running_mean is not None]


def seen_by_batch_norms(module: Any, inputs: Any) -> list[tuple[int, Statistics]]:
    """Feed a minibatch as in training; return the index of each normalization it reached, and what that saw.

    Each minibatch is normalized by its own statistics. Layers that the module itself keeps from training
    mode see nothing. Everything is as before afterwards, running averages too.

    Args:
        module: with layers that `batch_norms` returns.
        inputs: what it is called with, on its device.
    """
    seen: list[tuple[int, Statistics]] = []
    watching = _watching(batch_norms(module), seen)
    with in_mode(module, is_training=True), with_buffers_as_before(module), watching:
        module(inputs)
    return seen


@contextlib.contextmanager
def _watching(layers: Iterable[Any], seen: list[tuple[int, Statistics]]) -> Generator[None]:
    """Note what reaches the layers."""

    def watch(index: int, layer: Any) -> Any:
        def note(_: Any, inputs: tuple[Any, ...]) -> None:
            if layer.training:
                seen.append((index, _statistics(inputs[0])))

        return layer.register_forward_pre_hook(note)

    handles = [watch(index, layer) for index, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _statistics(values: Any) -> Statistics:
    """Return the statistics of (samples, maps, ...) for each map."""
    other_axes = [axis for axis in range(values.ndim) if axis != 1]
    variance, mean = torch.var_mean(values.double(), dim=other_axes, correction=0)
    return values.numel() // values.shape[1], mean.cpu().numpy(), variance.cpu().numpy()


def set_statistics(module: Any, statistics: Iterable[tuple[int, Statistics]]) -> None:
    """Set the running averages of batch normalizations, by their index.

    PyTorch keeps unbiased variances, so each is multiplied by n / (n - 1) for n values.
    """
    layers = batch_norms(module)
    with torch.no_grad():
        for index, (count, mean, variance) in statistics:
            layer = layers[index]
            layer.running_mean.copy_(torch.from_numpy(mean))
            layer.running_var.copy_(torch.from_numpy(variance * (count / (count - 1))))
