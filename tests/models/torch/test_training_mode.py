from __future__ import annotations

import contextlib

import pytest
import torch

from trainsignal.models.torch.training_mode import in_mode, with_buffers_as_before


class Frozen(torch.nn.Sequential):  # type: ignore[misc]  # untyped framework
    """A module that never trains, and notes what it is asked."""

    def __init__(self, *modules: torch.nn.Module) -> None:
        super().__init__(*modules)
        self.asked: list[bool] = []

    def train(self, mode: bool = True) -> Frozen:
        self.asked.append(mode)
        super().train(False)
        return self


def modes(module: torch.nn.Module) -> list[bool]:
    return [one.training for one in module.modules()]


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_each_submodule_is_in_its_own_mode_afterwards(is_training: bool, fails: bool) -> None:
    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Sequential(torch.nn.Dropout(), torch.nn.ReLU()))
    module[1].eval()
    module[1][1].train()
    before = modes(module)
    seen = []

    with contextlib.suppress(ZeroDivisionError), in_mode(module, is_training=is_training):
        seen = modes(module)
        assert not torch.is_grad_enabled()
        if fails:
            raise ZeroDivisionError

    assert seen == [is_training] * 5
    assert modes(module) == before == [True, True, False, False, True]
    assert torch.is_grad_enabled()


def test_a_module_that_keeps_itself_frozen_is_heeded() -> None:
    frozen = Frozen(torch.nn.Dropout())
    module = torch.nn.Sequential(frozen, torch.nn.Dropout())
    module.train()

    with in_mode(module, is_training=True):
        assert modes(module) == [True, False, False, True]

    assert frozen.asked == [True, True, True]
    assert modes(module) == [True, False, False, True]


def test_random_numbers_go_on_as_if_nothing_had_been() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    with in_mode(torch.nn.ReLU(), is_training=False):
        torch.rand(7)

    assert torch.equal(torch.rand(2), expected)


def test_gradients_and_what_requires_them_stay() -> None:
    module = torch.nn.Linear(1, 1)
    module.bias.requires_grad_(False)
    module(torch.ones(1, 1)).sum().backward()
    assert module.weight.grad is not None
    gradient = module.weight.grad.clone()

    with in_mode(module, is_training=False):
        assert not module(torch.ones(1, 1)).requires_grad

    assert torch.equal(module.weight.grad, gradient)
    assert (module.weight.requires_grad, module.bias.requires_grad) == (True, False)


def test_buffers_get_their_numbers_back() -> None:
    module = torch.nn.BatchNorm1d(2)

    with with_buffers_as_before(module):
        module(torch.randn(4, 2))
        assert module.num_batches_tracked == 1

    assert module.num_batches_tracked == 0
    assert module.running_mean is not None
    assert module.running_mean.tolist() == [0, 0]


class Counting(torch.nn.Module):  # type: ignore[misc]  # untyped framework
    """A module that replaces its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: torch.Tensor
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen = self.seen + len(inputs)
        return inputs


def test_buffers_that_were_replaced_are_put_back() -> None:
    module = torch.nn.Sequential(Counting())
    buffer = module[0].seen

    with with_buffers_as_before(module):
        module(torch.ones(3))
        assert module[0].seen == 3

    assert module[0].seen is buffer
    assert buffer == 0
