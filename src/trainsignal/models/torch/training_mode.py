"""Being in evaluation or training mode for a while; afterwards a module is as it was before."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from trainsignal.models.torch.framework import torch


@contextlib.contextmanager
def in_mode(module: Any, *, is_training: bool) -> Generator[None]:
    """Have a module be in one mode, without gradients, inside the `with` block.

    Afterwards, also after an error, each submodule is in the mode that it was in, and the random generators
    are where they were. `module.train` is called for both, so that one that is overridden, to keep layers
    frozen, is heeded.
    """
    before = [(one, one.training) for one in module.modules()]
    was_training = module.training
    cuda: list[int] = []
    if torch.cuda.is_initialized():  # pragma: no cover  # needs a GPU
        cuda = list(range(torch.cuda.device_count()))
    with torch.no_grad(), torch.random.fork_rng(devices=cuda):
        try:
            module.train(is_training)
            yield
        finally:
            module.train(was_training)
            for one, was_so in before:
                one.training = was_so


@contextlib.contextmanager
def with_buffers_as_before(module: Any) -> Generator[None]:
    """Give a module its buffers, such as running averages, back with their numbers, after the `with` block.

    Those too that a forward pass has replaced, by `self.seen = self.seen + 1`.
    """
    before = [
        (one, name, buffer, buffer.clone())
        for one in module.modules()
        for name, buffer in one.named_buffers(recurse=False, remove_duplicate=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for one, name, buffer, numbers in before:
                if getattr(one, name) is not buffer:
                    setattr(one, name, buffer)
                buffer.copy_(numbers)
