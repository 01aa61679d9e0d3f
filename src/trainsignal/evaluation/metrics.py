"""What a metric tells of itself: names of its values, and which of them are better."""

from __future__ import annotations

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
    if not names or isinstance(names, str):
        raise ConfigurationError(f"metric={metric!r} has no metric_names, a list with one name a value")


def directions_of(metric: Any) -> list[str | None]:
    """Return "min" or "max" for each of the metric's values; None where it does not tell."""
    known: dict[str, str] = getattr(metric, "directions", {})
    return [known.get(name) for name in metric.metric_names]
