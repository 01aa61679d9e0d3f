"""What an evaluation must leave as it was: the cost of the last minibatch, a recurrent network's state.

Also `keep`, which puts back the contents of arrays. Knows no data set.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard, cast

import numpy as np

from trainsignal.abilities import Array, HasHiddenState

PutBack: TypeAlias = Callable[[], None]


def host_array(value: Any) -> Array:
    """Return a NumPy array of what may be a tensor with neon's `get()`."""
    return np.asarray(value.get() if hasattr(value, "get") else value)


def is_nested(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Return whether a value is several: outputs of branches, targets and mask, layers."""
    return isinstance(value, (list, tuple))


def keep(value: Any) -> PutBack:
    """Remember the numbers in an array, or in those of nested lists, and return what puts them back in place.

    NumPy's arrays, and tensors that are read by `get()` and assigned to by `[:]`, are remembered; other
    values are left alone. A list gets back the very items that it had.
    """
    if is_nested(value):
        return _keep_items(value)
    if isinstance(value, np.ndarray):
        array = cast("Array", value)
        if not array.flags.writeable:
            return _nothing
        before = array.copy()
        return lambda: np.copyto(array, before)
    if hasattr(value, "get") and hasattr(value, "__setitem__") and not isinstance(value, Mapping):
        numbers = np.array(value.get())
        return lambda: value.__setitem__(slice(None), numbers)
    return _nothing


def _keep_items(items: list[Any] | tuple[Any, ...]) -> PutBack:
    before = tuple(items)
    inside = [keep(item) for item in before]

    def put_back() -> None:
        if isinstance(items, list):
            items[:] = before
        for one in inside:
            one()

    return put_back


def keep_attributes(owner: Any, *names: str) -> PutBack:
    """Remember attributes of `owner` with their contents, and return what puts both back.

    So an attribute that is bound to another array in between is bound to its own again.
    """
    before = {name: getattr(owner, name) for name in names}
    contents = [keep(value) for value in before.values()]

    def put_back() -> None:
        for name, value in before.items():
            if getattr(owner, name, None) is not value:
                setattr(owner, name, value)
        for one in contents:
            one()

    return put_back


@contextlib.contextmanager
def as_before(model: Any) -> Generator[None]:
    """Leave `model.cost.cost` and the state of recurrent layers as they were, also when the block raises.

    The state is what a model that satisfies `HasHiddenState` says. Of any other, it is every attribute
    of those layers in `model.layers.layers`, nested ones included, whose `reset_cells` is False, as neon's.
    """
    put_back: list[PutBack] = []
    cost = getattr(model, "cost", None)
    if hasattr(cost, "cost"):
        put_back.append(keep_attributes(cost, "cost"))
    if isinstance(model, HasHiddenState):
        state = model.hidden_state()
        put_back.append(lambda: model.set_hidden_state(state))
    else:
        for layer in _layers_with_state(getattr(model, "layers", None)):
            put_back.append(keep_attributes(layer, *getattr(layer, "__dict__", ())))
    try:
        yield
    finally:
        for one in put_back:
            one()


def _layers_with_state(layers: Any) -> Iterator[Any]:
    """Yield the layers that keep their state from one minibatch to the next, however nested."""
    if is_nested(layers):
        for layer in layers:
            yield from _layers_with_state(layer)
        return
    if getattr(layers, "reset_cells", True) is False:
        yield layers
    inner = getattr(layers, "layers", None)
    if is_nested(inner):
        yield from _layers_with_state(inner)


def _nothing() -> None:
    """Put nothing back."""
