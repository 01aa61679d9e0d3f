"""The parameters of a layer as its attributes, for callbacks that look for `layer.W`; knows no framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show(layer: object, parameters: Mapping[str, Any]) -> None:
    """Make each parameter an attribute of a layer, but for names that the layer has for something else.

    Called last in a constructor: a parameter may be called "name" or "params".
    """
    own = vars(layer)
    own.update(
        {name: one for name, one in parameters.items() if name not in own and not hasattr(type(layer), name)}
    )
