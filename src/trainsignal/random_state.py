"""The state of the global random generators: Python's, NumPy's, and those of the model's framework."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from trainsignal.abilities import HasRandomState


def capture(model: object) -> dict[str, Any]:
    """Return the states as plain values.

    Args:
        model: asked for its framework's generators where it satisfies `HasRandomState`.
    """
    version, words, gauss = random.getstate()
    states: dict[str, Any] = {
        "python": {"version": version, "words": np.array(words, np.uint32), "gauss": gauss},
        "numpy": np.random.get_state(legacy=False),
    }
    if isinstance(model, HasRandomState):
        states["model"] = model.get_random_state()
    return states


def restore(states: dict[str, Any], model: object) -> None:
    """Set the generators to what `capture` returned."""
    python = states["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    np.random.set_state(states["numpy"])
    if "model" in states and isinstance(model, HasRandomState):
        model.set_random_state(states["model"])
