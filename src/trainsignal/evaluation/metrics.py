"""What a metric tells of itself: names of its values, which of them are better, and how it gathers."""

from __future__ import annotations

import functools
from typing import Any

from trainsignal.errors import ConfigurationError


def check_metric(metric: Any) -> None:
    """Refuse what is no metric.

    Raises:
        ConfigurationError: a class instead of an instance, or one without names.
    """
    if isinstance(metric, type):
        raise ConfigurationError(f"metric={metric.__name__}: that is a class; pass {metric.__name__}()")
    names = getattr(metric, "metric_names", None)
    if isinstance(names, str) or not (names or names_of(metric)):
        raise ConfigurationError(
            f"metric={metric!r} has no metric_names, a list with one name a value; nor is it a metric of "
            "torchmetrics or Keras, or a function that has a name, as one made by def"
        )


def names_of(metric: Any) -> list[str]:
    """Return one name for each value of a metric; none where it has none."""
    if hasattr(metric, "metric_names"):
        return list(metric.metric_names)
    if hasattr(metric, "compute") and hasattr(metric, "keys"):  # a collection of torchmetrics
        return [str(name) for name in metric.keys()]  # noqa: SIM118  # iterating it gives the metrics' names only since 1.0
    if hasattr(metric, "compute"):
        return [type(metric).__name__]
    if hasattr(metric, "update_state"):
        return [str(metric.name)]
    function = metric.func if isinstance(metric, functools.partial) else metric
    name: str = getattr(function, "__name__", type(function).__name__ if callable(function) else "")
    return [name] if name.isidentifier() else []


def check_values(metric: Any, values: int) -> None:
    """Refuse another number of values than the metric has names for.

    Raises:
        ConfigurationError: `values`, how many it gave, is such a number.
    """
    names = names_of(metric)
    if values != len(names):
        raise ConfigurationError(
            f"{type(metric).__name__} gave {values} values for its metric_names {names!r}. "
            "Give it an attribute metric_names, a list with one name a value"
        )


def gathers_states(metric: Any) -> bool:
    """Return whether a metric gathers by itself, with `update` and `compute`, as those of torchmetrics."""
    return hasattr(metric, "update") and hasattr(metric, "compute")


def keeps_variables(metric: Any) -> bool:
    """Return whether a metric gathers by itself, with `update_state` and `result`, as those of Keras."""
    return hasattr(metric, "update_state") and hasattr(metric, "result")


def is_mean_of_ranks(metric: Any) -> bool:
    """Return whether the mean of the ranks' values, weighted by samples, is not the value of all samples.

    So it is of a Keras metric that is no mean over samples itself, an AUC say; of torchmetrics' states are
    gathered, and all else is a mean over minibatches in a single process too.
    """
    if gathers_states(metric) or not keeps_variables(metric):
        return False
    home = next(kind for kind in type(metric).__mro__ if "result" in vars(kind))
    return not (home.__name__ == "Mean" and home.__module__.partition(".")[0] == "keras")


def directions_of(metric: Any) -> list[str | None]:
    """Return "min" or "max" for each of the metric's values; None where it does not tell."""
    known: dict[str, str] = getattr(metric, "directions", {})
    return [known.get(name) or _told_by(metric, name) for name in names_of(metric)]


def _told_by(metric: Any, name: str) -> str | None:
    """Return what torchmetrics says of a metric, or of that one of a collection."""
    one = metric[name] if hasattr(metric, "compute") and hasattr(metric, "keys") else metric
    is_higher_better: bool | None = getattr(one, "higher_is_better", None)
    if is_higher_better is None:
        return None
    return "max" if is_higher_better else "min"
