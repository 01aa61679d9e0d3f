from __future__ import annotations

import doctest

from trainsignal.models import numpy_net


def test_example_of_the_package_runs() -> None:
    assert doctest.testmod(numpy_net).failed == 0


def test_public_names_exist_and_are_sorted() -> None:
    assert numpy_net.__all__ == sorted(numpy_net.__all__)
    assert all(hasattr(numpy_net, name) for name in numpy_net.__all__)
