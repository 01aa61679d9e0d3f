"""A module's layers as neon's callbacks look for them: in `model.layers.layers`, with neon's names.

They are views: they hold no numbers, and show the parameters that the module has at the moment.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array
from trainsignal.layer_names import show
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.tensors import host_values

BATCH_NORMS: Final[tuple[Any, ...]] = (
    torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d, torch.nn.SyncBatchNorm,
)  # fmt: skip

_NORMS: Final[tuple[Any, ...]] = (
    *BATCH_NORMS,
    torch.nn.GroupNorm, torch.nn.LayerNorm,
    torch.nn.InstanceNorm1d, torch.nn.InstanceNorm2d, torch.nn.InstanceNorm3d,
)  # fmt: skip

_NEONS: Final = {"weight": "W", "bias": "b"}
_NEONS_OF_NORMS: Final = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "gmean",
    "running_var": "gvar",
}


class LayerTensor:
    """One parameter or running average, with the methods of neon's tensors: `get()`, and `[:] =`.

    Args:
        module: whose it is.
        name: PyTorch's name of it.
    """

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self._name = name

    @property
    def shape(self) -> tuple[int, ...]:
        """As PyTorch has it."""
        return tuple(self._tensor().shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of what `get` returns."""
        return self.get().dtype

    def get(self) -> Array:
        """Return a copy of the numbers, from whatever device; those of bfloat16 and float8 as float32."""
        return host_values(self._tensor()).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.get(), dtype)

    def __getitem__(self, key: Any) -> Any:
        """Return numbers, as a copy."""
        return self.get()[key]

    def __setitem__(self, key: Any, values: Any) -> None:
        """Change numbers in place; the module, and its optimizer, go on with them."""
        tensor = self._tensor()
        new = torch.as_tensor(np.asarray(values), dtype=tensor.dtype, device=tensor.device)
        with torch.no_grad():
            tensor[key] = new

    def _tensor(self) -> Any:
        return getattr(self._module, self._name)


class TorchLayer:
    """A submodule that has no submodules, or parameters of its own.

    Each of its parameters is an attribute too, unless the layer has one of that name: W and b are neon's
    names of `weight` and `bias`, gamma and beta those of a normalization; others keep PyTorch's, as an LSTM's
    `weight_ih_l0`.

    Attributes:
        name: path in the module, "features.0"; of the module itself, its class.
        module: the submodule.
        params: each parameter, and running average, by the name of its attribute.
    """

    def __init__(self, name: str, module: Any) -> None:
        self.name = name or type(module).__name__
        self.module = module
        neons = _NEONS_OF_NORMS if isinstance(module, _NORMS) else _NEONS
        names: list[str] = [own for own, _ in module.named_parameters(recurse=False)]
        names += [own for own, _ in module.named_buffers(recurse=False) if own in neons]
        self.params = {neons.get(own, own): LayerTensor(module, own) for own in names}
        show(self, self.params)


class BatchNormLayer(TorchLayer):
    """A batch normalization; satisfies `HasBatchStatistics`.

    `gvar` is PyTorch's `running_var`, the mean of *unbiased* variances of minibatches, where neon's is of
    biased ones.
    """

    gmean: LayerTensor
    gvar: LayerTensor

    @property
    def rho(self) -> float:
        """Share of the old running average that stays: 1 - momentum."""
        return 1.0 - float(self.module.momentum)

    @rho.setter
    def rho(self, share: float) -> None:
        self.module.momentum = round(1.0 - share, 12)  # so that 1 - 0.9 gives 0.1 back


class TorchLayers:
    """The layers of a module, in the order in which it has them.

    Args:
        module: the whole.
    """

    def __init__(self, module: Any) -> None:
        self._module = module

    @property
    def layers(self) -> list[TorchLayer]:
        """Views of the submodules that have no submodules, or parameters of their own."""
        return [
            BatchNormLayer(name, one) if _keeps_statistics(one) else TorchLayer(name, one)
            for name, one in self._module.named_modules()
            if is_layer(one)
        ]


def is_layer(module: Any) -> bool:
    """Return whether a submodule counts as a layer; a container of others with no parameters does not."""
    return not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False))


def _keeps_statistics(module: Any) -> bool:
    """Return whether it is a batch normalization with a running average that moves by a momentum."""
    return isinstance(module, BATCH_NORMS) and module.running_mean is not None and module.momentum is not None
