"""A model of PyTorch that was trained a little, and comparing states."""

from __future__ import annotations

from typing import Any

import torch

from trainsignal.models.torch import TorchModel


def trained(seed: int = 0, **options: Any) -> TorchModel:
    """Return a model with optimizers and schedulers that have states."""
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    adam = torch.optim.AdamW(module[0].parameters(), lr=0.01, amsgrad=True)
    sgd = torch.optim.SGD(module[1:].parameters(), lr=torch.tensor(0.1), momentum=0.9)
    schedulers = [
        torch.optim.lr_scheduler.MultiStepLR(adam, [2, 2, 5]),
        torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, patience=1),
    ]
    model = TorchModel(module, optimizer=[adam, sgd], scheduler=schedulers, **options)
    for step in range(seed * 3):
        module(torch.randn(5, 3)).square().mean().backward()
        adam.step()
        sgd.step()
        schedulers[0].step()
        schedulers[1].step(float(step))
    return model


def assert_equal(ours: Any, theirs: Any) -> None:
    """Fail unless two states are the same, with the same types."""
    assert type(ours) is type(theirs)
    if isinstance(ours, torch.Tensor):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            assert_equal(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)
    else:
        assert ours == theirs
