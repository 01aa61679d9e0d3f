from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.runs import quiet
from trainsignal import Callbacks, keys
from trainsignal.errors import CostError
from trainsignal.models.torch import TorchModel, device_costs

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def test_a_detached_cost_has_no_graph_and_the_same_number() -> None:
    cost = (torch.ones(1, requires_grad=True) * 3).sum()

    alone = device_costs.keeper(cost)(cost)

    assert not alone.requires_grad
    assert alone.item() == 3


@pytest.mark.parametrize(
    "value", [torch.ones(2), torch.ones(0), torch.ones(1) * 1j], ids=["two", "none", "complex"]
)
def test_what_is_not_one_real_number_is_refused(value: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="is not one real number"):
        device_costs.keeper(value)


def test_a_cost_of_a_wrong_shape_is_refused_at_its_minibatch_and_the_others_stay() -> None:
    callbacks = quiet()
    accepted: list[int] = []
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for minibatch in run.minibatches(range(4)):
                run.cost = torch.tensor(float(minibatch))
                with contextlib.suppress(CostError):
                    run.cost = torch.ones(2)
                    accepted.append(minibatch)

    assert not accepted
    assert callbacks.callback_data[keys.TRAIN_COST][:].tolist() == [
        0,
        0.5,
        1,
        1.5,
    ]  # the mean of those so far


def test_a_cost_is_what_the_tensor_held_when_it_was_set() -> None:
    callbacks = quiet()
    total = torch.zeros(())
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for minibatch in run.minibatches([8.0, 4.0]):
                total += minibatch
                run.cost = total

    assert callbacks.callback_data[keys.TRAIN_COST][:].tolist() == [8, 10]  # the means of 8 and 12


def test_a_loss_that_is_scaled_in_place_afterwards_counts_as_it_was() -> None:
    weight = torch.ones(1, requires_grad=True)
    callbacks = quiet()
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches([0]):
                loss = (weight * 8).sum()
                run.cost = loss
                loss /= 4
                loss.backward()

    assert callbacks.callback_data[keys.TRAIN_COST][:].tolist() == [8]


@pytest.mark.parametrize("later", [[torch.ones(2)], [torch.ones(()), torch.ones(2)]], ids=["all", "one"])
def test_what_is_not_one_number_is_refused_when_it_is_gathered(later: list[torch.Tensor]) -> None:
    with pytest.raises(TypeError, match=r"shape \(2,\).* is not one real number"):
        device_costs.gather(later)


def test_gathered_numbers_are_in_order_whatever_their_shapes_and_devices() -> None:
    meta_like = [torch.tensor(1.5), torch.tensor([[2.5]], dtype=torch.float64), torch.tensor([True])]

    gathered = device_costs.gather(meta_like)

    assert gathered.is_ready()
    assert gathered.numbers() == [1.5, 2.5, 1.0]
    assert all(type(number) is float for number in gathered.numbers())


def test_tensors_alone_are_held() -> None:
    assert device_costs.holds(torch.ones(()))
    assert not device_costs.holds(1.0)
    assert not device_costs.holds(np.ones(()))


class Conversions(torch.overrides.TorchFunctionMode):  # type: ignore[misc]  # untyped framework
    """Counts what makes tensors numbers of the host, and so would wait for a device."""

    WAITING = (
        torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.to,
        torch.Tensor.__float__, torch.Tensor.__int__, torch.Tensor.__bool__, torch.Tensor.__array__,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.WAITING:
            self.counted[func.__name__] += 1
        return func(*args, **(kwargs or {}))


def network() -> tuple[TorchModel, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    return TorchModel(module, loss=torch.nn.MSELoss(), optimizer=optimizer), optimizer


def steps(callbacks: Callbacks, epochs: int, device: str = "cpu") -> Iterator[torch.Tensor]:
    """Train with a loop written by hand; yield each loss while its minibatch is open."""
    model = callbacks.model()
    (optimizer,) = model.optimizers
    x, y = torch.randn(8, 4, device=device), torch.randn(8, 1, device=device)
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(100)):
                optimizer.zero_grad()
                loss = model.loss(model.module(x), y)
                loss.backward()
                optimizer.step()
                run.cost = loss
                yield loss


def test_no_minibatch_waits_for_a_device(tmp_path: Path) -> None:
    model, _ = network()
    callbacks = Callbacks(model, output_file=tmp_path / "run.h5", progress_bar=False)
    losses, counts = [], []

    with Conversions() as conversions:
        for loss in steps(callbacks, epochs=2):
            losses.append(loss.detach())
            counts.append(sum(conversions.counted.values()))

    assert len(counts) == 200
    assert counts[0] == counts[99] and counts[100] == counts[199]  # within each epoch
    assert sum(conversions.counted.values()) <= 4  # where an epoch, or the run, ends
    costs = torch.stack(losses).numpy()
    smoothed = [costs[max(0, at - 9) : at + 1].mean() for at in range(200)]
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], smoothed, rtol=1e-5)


@NEEDS_CUDA
def test_no_minibatch_waits_for_a_gpu(tmp_path: Path) -> None:
    model, _ = network()
    model.module.cuda()
    callbacks = Callbacks(model, output_file=tmp_path / "run.h5", progress_bar=False)
    stepping = steps(callbacks, epochs=1, device="cuda")
    losses = [next(stepping) for _ in range(3)]  # memory is allocated at the first

    torch.cuda.set_sync_debug_mode("error")
    try:
        losses += [next(stepping) for _ in range(90)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    losses += list(stepping)

    assert len(losses) == 100
    costs = torch.stack(losses).detach().cpu().numpy()
    assert callbacks.callback_data[keys.TRAIN_COST][99] == pytest.approx(costs[90:].mean(), rel=1e-5)


@NEEDS_CUDA
def test_costs_of_several_devices_come_in_their_order() -> None:
    costs = [torch.tensor(1.0, device="cuda"), torch.tensor(2.0), torch.tensor(3.0, device="cuda")]
    gathered = device_costs.gather([device_costs.keeper(cost)(cost) for cost in costs])

    assert gathered.numbers() == [1.0, 2.0, 3.0]
    assert gathered.is_ready()


@NEEDS_CUDA
def test_a_cost_on_a_gpu_is_not_overwritten_with_its_tensor() -> None:
    cost = torch.tensor(1.0, device="cuda")
    alone = device_costs.keeper(cost)(cost)

    cost.fill_(2)

    assert device_costs.gather([alone]).numbers() == [1.0]
