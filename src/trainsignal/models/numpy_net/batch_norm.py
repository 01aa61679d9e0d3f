"""Batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2), with neon's names."""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats, Shape, feature_count, map_count
from trainsignal.models.numpy_net.layers import Layer
from trainsignal.models.numpy_net.parameters import Parameter


class BatchNorm(Layer):
    """Gives each feature map mean `beta` and standard deviation `gamma` over the minibatch.

    A map is a channel where samples are (channels, height, width), else a single feature. Once configured
    there are `beta` and `gamma`, which are trained, and the running averages `gmean` and `gvar` (the latter
    of the biased variance), which inference uses; all (maps, 1) float32. The averages start at 0 and move
    at each training step by `average = rho * average + (1 - rho) * batch`, as in neon.

    Args:
        rho: share of the old running average that stays, within [0, 1].
        eps: added to the variance, so that a constant map divides by no zero.
        name: None lets the model name it.

    Raises:
        ConfigurationError: `rho` or `eps` is out of range.
    """

    beta = Parameter()
    gamma = Parameter()
    gmean = Parameter()
    gvar = Parameter()
    _beta: Floats
    _gamma: Floats
    _gmean: Floats
    _gvar: Floats
    grad_beta: Floats
    grad_gamma: Floats

    def __init__(self, rho: float = 0.9, eps: float = 1e-3, name: str | None = None) -> None:
        if not 0 <= rho <= 1:
            raise ConfigurationError(f"rho={rho!r}: the share of the old average lies between 0 and 1.")
        if not eps > 0:
            raise ConfigurationError(
                f"eps={eps!r} must be greater than 0: it keeps the variance from being 0."
            )
        super().__init__(name)
        self.rho = rho
        self.eps = eps
        self.nin: int | None = None
        """Number of features; None until the model is initialized."""

    @property
    def suffix(self) -> str:
        return "bnorm"

    @property
    def params(self) -> Mapping[str, Floats]:
        return {"beta": self._beta, "gamma": self._gamma, "gmean": self._gmean, "gvar": self._gvar}

    @property
    def gradients(self) -> Mapping[str, Floats]:
        return {"beta": self.grad_beta, "gamma": self.grad_gamma}

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        self.nin = feature_count(in_shape)
        maps = map_count(in_shape)
        self._beta, self._gmean, self._gvar = (np.zeros((maps, 1), np.float32) for _ in range(3))
        self._gamma = np.ones((maps, 1), np.float32)
        self.grad_beta, self.grad_gamma = np.zeros_like(self._beta), np.zeros_like(self._gamma)
        self.states = [[], []]
        return in_shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        values: Floats = inputs.reshape(len(self._gamma), -1)
        outputs: Floats
        if inference:
            outputs = self._gamma * (values - self._gmean) / np.sqrt(self._gvar + self.eps) + self._beta
            return outputs.reshape(inputs.shape)
        mean = values.mean(axis=1, keepdims=True)
        variance = values.var(axis=1, keepdims=True)
        self._gmean[...] = self.rho * self._gmean + (1 - self.rho) * mean
        self._gvar[...] = self.rho * self._gvar + (1 - self.rho) * variance
        self._deviation = np.sqrt(variance + self.eps)
        self._normalized = (values - mean) / self._deviation
        outputs = self._gamma * self._normalized + self._beta
        return outputs.reshape(inputs.shape)

    def bprop(self, error: Floats) -> Floats:
        by_map: Floats = error.reshape(self._normalized.shape)
        self.grad_beta = by_map.sum(axis=1, keepdims=True)
        self.grad_gamma = (by_map * self._normalized).sum(axis=1, keepdims=True)
        # The minibatch's mean and variance depend on the inputs too: what they carry back is taken out.
        carried = (self.grad_beta + self._normalized * self.grad_gamma) / by_map.shape[1]
        by_inputs: Floats = self._gamma / self._deviation * (by_map - carried)
        return by_inputs.reshape(error.shape)

    def bprop_inference(self, inputs: Floats, error: Floats) -> Floats:
        by_map: Floats = error.reshape(len(self._gamma), -1)
        by_inputs: Floats = self._gamma / np.sqrt(self._gvar + self.eps) * by_map
        return by_inputs.reshape(error.shape)

    def config(self) -> dict[str, object]:
        return super().config() | {"rho": self.rho, "eps": self.eps}

    def __str__(self) -> str:
        if self.nin is None:
            return f"BatchNorm Layer '{self.name}': ? inputs"
        return f"BatchNorm Layer '{self.name}': {self.nin} inputs, 1 steps, {len(self._gamma)} feature maps"
