from __future__ import annotations

from trainsignal.layer_names import show


class Layer:
    """A layer with a name and a property."""

    def __init__(self) -> None:
        self.name = "first"

    @property
    def rho(self) -> float:
        return 0.9


def test_parameters_are_attributes_unless_there_is_one_of_that_name() -> None:
    layer = Layer()

    show(layer, {"W": 1, "name": 2, "rho": 3})

    assert vars(layer) == {"name": "first", "W": 1}
