"""A run that was cut and resumed ends with the very numbers of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from trainsignal import Callbacks, keys
from trainsignal.models.torch import TorchModel
from trainsignal.models.torch.state import states_of

EPOCHS = 4
X = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
Y = X.sum(dim=1, keepdim=True)


class CutError(Exception):
    """What ends a process."""


def new_model() -> TorchModel:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Dropout(0.3),
        torch.nn.Linear(16, 1),
    )  # fmt: skip
    adam = torch.optim.Adam(module[:2].parameters(), lr=0.01)
    sgd = torch.optim.SGD(module[2:].parameters(), lr=0.05, momentum=0.9)
    schedulers = [
        torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=0.02, total_steps=EPOCHS * 4),
        torch.optim.lr_scheduler.ExponentialLR(sgd, 0.9),
    ]
    return TorchModel(module, loss=torch.nn.MSELoss(), optimizer=[adam, sgd], scheduler=schedulers)


def train(folder: Path, suffix: str, *, cut_at: tuple[int, int] | None = None, **options: Any) -> Callbacks:
    """Train for four epochs of four minibatches; raise in the middle of the minibatch `cut_at`."""
    model = new_model()
    torch.manual_seed(1)
    loader: Any = DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)
    held_out: Any = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
    callbacks = Callbacks(
        model, output_file=folder / "run.h5", save_path=folder / f"model{suffix}", eval_set=held_out,
        eval_freq=1, progress_bar=False, **options,
    )  # fmt: skip
    with callbacks.training(EPOCHS) as run:
        for epoch in run.epochs():
            model.module.train()
            for x, y in run.minibatches(loader):
                if (epoch, run.epoch_minibatches) == cut_at:
                    raise CutError
                for optimizer in model.optimizers:
                    optimizer.zero_grad()
                loss = model.loss(model.module(x), y)
                loss.backward()
                for optimizer in model.optimizers:
                    optimizer.step()
                model.schedulers[0].step()
                run.cost = loss
            model.schedulers[1].step()
    return callbacks


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".h5"])
@pytest.mark.parametrize("cut_at", [(2, 0), (2, 3)], ids=["between epochs", "within an epoch"])
def test_a_resumed_run_is_equal_to_the_last_bit(cut_at: tuple[int, int], suffix: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = train(tmp_path / "whole", suffix)
    random = torch.rand(3)

    with pytest.raises(CutError):
        train(tmp_path, suffix, cut_at=cut_at, checkpoint_every=3)
    torch.rand(100)  # what another process had drawn
    resumed = train(tmp_path, suffix, checkpoint_every=3, resume=True)

    models = [one.model() for one in (whole, resumed)]
    states = [states_of(one.module, one.optimizers, one.schedulers) for one in models]
    np.testing.assert_equal(states[1], states[0])
    for key in (keys.TRAIN_COST, keys.LOSS):
        np.testing.assert_array_equal(resumed.callback_data[key][:], whole.callback_data[key][:])
    assert torch.equal(torch.rand(3), random)
