"""What metrics of torchmetrics have gathered, as arrays, and merging those of several ranks.

torchmetrics itself merges them, as it does where it synchronises ranks by itself; only what it would ask
the other ranks for is there already. Imports no torchmetrics.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trainsignal.abilities import Array
from trainsignal.checkpoint.tree import is_sequence
from trainsignal.errors import ConfigurationError
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.tensors import host_values


def states_of_metric(metric: Any) -> dict[str, Array]:
    """Return the states of a metric, a collection or a metric of metrics, by name.

    Raises:
        ConfigurationError: there is none, or one that holds something else than tensors.
    """
    found: dict[str, Array] = {}
    for prefix, one in _metrics(metric):
        for name, state in one.metric_state.items():
            for index, value in _items(state):
                if not isinstance(value, torch.Tensor):
                    raise ConfigurationError(
                        f"{type(one).__name__} gathers a {type(value).__name__} in its state {name!r}: over "
                        "several ranks a metric has to gather tensors"
                    )
                found[_key(prefix, name, index)] = host_values(value)
    if not found:
        raise ConfigurationError(
            f"{type(metric).__name__} has no states that were made by torchmetrics' add_state: over several "
            "ranks it cannot be computed. Use a function (outputs, targets), or derive it from "
            "torchmetrics.Metric."
        )
    return found


def set_states(metric: Any, states: Sequence[Mapping[str, Array]], placed: Callable[[Array], Any]) -> None:
    """Have a metric hold the states of several, and not synchronise by itself any more.

    Args:
        metric: it has gathered a part, or nothing.
        states: of those that have gathered something, one or more.
        placed: brings an array to the device, as a tensor.
    """
    for prefix, one in _metrics(metric):
        one._to_sync = False  # what the metric was told as sync_on_compute
        one._update_count = max(1, one._update_count)  # else it warns that it was never given anything
        of_ranks: dict[int, list[Any]] = {}  # by the identity of the tensor that stands for them
        for name, state in one.metric_state.items():
            is_list = is_sequence(state)
            theirs = [placed(array) for of_rank in states for array in _arrays(of_rank, prefix, name)]
            if len(states) > 1 and theirs:
                stand_in = torch.zeros(())
                of_ranks[id(stand_in)] = theirs
                theirs = [stand_in]
            setattr(one, name, theirs if is_list else theirs[0])
        if len(states) > 1:
            one.sync(_asking(of_ranks), distributed_available=_always)


def _asking(of_ranks: Mapping[int, list[Any]]) -> Callable[..., list[Any]]:
    """Return what gives torchmetrics the tensors of all ranks for the one that stands for them."""

    def gather(tensor: Any, group: Any = None) -> list[Any]:
        return of_ranks.get(id(tensor), [tensor])  # it makes one itself for a list that is empty everywhere

    return gather


def _always() -> bool:
    return True


def _metrics(metric: Any) -> Iterator[tuple[str, Any]]:
    """Yield the metrics in a metric that have states, each with its place."""
    if isinstance(metric, torch.nn.Module):
        for prefix, one in metric.named_modules():
            if hasattr(one, "metric_state") and hasattr(one, "sync"):
                yield prefix, one


def _arrays(states: Mapping[str, Array], prefix: str, name: str) -> Iterator[Array]:
    """Yield the array of a state, or those of a list."""
    whole = states.get(_key(prefix, name, ""))
    if whole is not None:
        yield whole
        return
    keys = (_key(prefix, name, index) for index in itertools.count())
    yield from (states[key] for key in itertools.takewhile(states.__contains__, keys))


def _items(state: Any) -> Iterator[tuple[object, Any]]:
    """Yield what is in a state, each with its index in a list."""
    if is_sequence(state):
        yield from enumerate(state)
    else:
        yield "", state


def _key(prefix: str, name: str, index: object) -> str:
    return f"{prefix}:{name}:{index}"
