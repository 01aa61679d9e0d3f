"""The random generators of Keras's backend; those of a model's layers are part of the model's state."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainsignal.extras import require
from trainsignal.models.keras.framework import keras

_logger = logging.getLogger(__name__)


def get_random_state() -> dict[str, Any]:
    """Return the state of PyTorch's generators, from which Keras draws to shuffle arrays on that backend.

    Those of GPUs too, where these are in use. On other backends it draws from NumPy's, which are kept
    elsewhere.
    """
    if keras.backend.backend() != "torch":
        return {}
    torch = _torch()
    state: dict[str, Any] = {"torch": torch.get_rng_state().numpy()}
    if torch.cuda.is_initialized():  # pragma: no cover  # needs a GPU
        state["cuda"] = [one.numpy() for one in torch.cuda.get_rng_state_all()]
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set the generators to what `get_random_state` returned; tells of a GPU that is not there any more.

    Those of another backend are passed over.
    """
    if keras.backend.backend() != "torch" or "torch" not in state:
        return
    torch = _torch()
    torch.set_rng_state(torch.from_numpy(np.array(state["torch"], np.uint8)))
    of_gpus = state.get("cuda", [])
    here = torch.cuda.device_count() if of_gpus else 0
    for index, one in enumerate(of_gpus[:here]):  # pragma: no cover  # needs a GPU
        torch.cuda.set_rng_state(torch.from_numpy(np.array(one, np.uint8)), index)
    if len(of_gpus) > here:
        _logger.warning(
            "the random generators of %d GPUs were saved, and there are %d: the run goes on with other "
            "random numbers",
            len(of_gpus), here,
        )  # fmt: skip


def _torch() -> Any:
    return require("torch", extra="keras", user="Keras on its PyTorch backend")
