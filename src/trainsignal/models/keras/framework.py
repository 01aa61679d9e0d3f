"""Keras itself, for the files of this package; an error that names the extra where it is missing."""

from __future__ import annotations

from typing import Any

from trainsignal.extras import require

keras: Any = require("keras", extra="keras", user="trainsignal.models.keras", at_least="3.8")


def in_step(model: Any) -> Any:
    """Return the model, with its variables as training has left them.

    On the JAX backend, fit keeps their values to itself during an epoch. Once they were brought back it takes
    them from the variables again, so that what is assigned counts.
    """
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()
    return model
