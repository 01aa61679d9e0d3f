"""PyTorch's random generators: that of the host, and those of the GPUs that are in use."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from trainsignal.models.torch.framework import torch

_logger = logging.getLogger(__name__)


def capture() -> dict[str, Any]:
    """Return the states as arrays: "cpu", and "cuda" with one for each GPU, none where CUDA is not in use."""
    cuda: list[Any] = []
    if torch.cuda.is_initialized():  # pragma: no cover  # needs a GPU
        cuda = torch.cuda.get_rng_state_all()
    return {"cpu": torch.get_rng_state().numpy(), "cuda": [state.numpy() for state in cuda]}


def restore(state: dict[str, Any]) -> None:
    """Set the generators to what `capture` returned; tells of a GPU that is not there any more."""
    torch.set_rng_state(torch.from_numpy(np.array(state["cpu"])))
    here = torch.cuda.device_count() if state["cuda"] else 0
    for index, of_gpu in enumerate(state["cuda"][:here]):  # pragma: no cover  # needs a GPU
        torch.cuda.set_rng_state(torch.from_numpy(np.array(of_gpu)), index)
    if len(state["cuda"]) > here:
        _logger.warning(
            "the random generators of %d GPUs were saved, and there are %d: the run goes on with other "
            "random numbers",
            len(state["cuda"]), here,
        )  # fmt: skip
