"""The height of charts: linear or logarithmic, switched for all of them at once, with ticks in their unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.toolkit import models


class YScales:
    """The button that turns all charts logarithmic, and what they are dressed in.

    Attributes:
        toggle: the button.
        switch: what the browser does when it is pressed.
    """

    def __init__(self) -> None:
        self._linear_scale, self._log_scale = models.LinearScale(), models.LogScale()
        self._tickers: dict[str, Any] = {
            "linear": models.BasicTicker(),
            "bytes": _byte_ticker(),
            "log": models.CustomJSTicker(major_code=resource("log_ticker.js")),
        }
        words = resource("words.js")
        self._formatters: dict[str, Any] = {
            "linear": models.BasicTickFormatter(power_limit_low=-5),
            "bytes": models.CustomJSTickFormatter(code=words + resource("byte_ticks.js")),
            "log": models.CustomJSTickFormatter(code=words + resource("log_ticks.js")),
        }
        self.toggle: Any = models.Toggle(label="log scale", name="log scale")
        self.switch: Any = models.CustomJS(args={}, code=resource("y_scales.js"))
        self.toggle.js_on_change("active", self.switch)

    def dress(self, figure: Any, unit: str | None, *, is_log_possible: bool) -> None:
        """Give a figure the scale that is chosen, and ticks for its unit.

        Args:
            figure: any.
            unit: of its values; bytes are never drawn on a logarithmic scale.
            is_log_possible: most of its values are above 0.
        """
        is_log = self.toggle.active and is_log_possible and unit != "bytes"
        kind = "log" if is_log else "bytes" if unit == "bytes" else "linear"
        figure.tags = [unit or ""]
        figure.y_scale = self._log_scale if is_log else self._linear_scale
        figure.yaxis.ticker = self._tickers[kind]
        figure.yaxis.formatter = self._formatters[kind]

    def switch_all(self, figures: Sequence[Any]) -> None:
        """Have the button switch these figures, which were dressed before."""
        self.switch.args = {
            "figures": list(figures),
            "linear_scale": self._linear_scale,
            "log_scale": self._log_scale,
            "tickers": self._tickers,
            "formatters": self._formatters,
        }


def _byte_ticker() -> Any:
    """Return what chooses round numbers of bytes, KiB, MiB, GiB or TiB."""
    round_numbers = {"mantissas": [1, 2, 5], "base": 10}
    smallest = models.AdaptiveTicker(
        **round_numbers, max_interval=500
    )  # none smaller: it serves what is left
    others = [
        models.AdaptiveTicker(**round_numbers, min_interval=1024**power, max_interval=500 * 1024**power)
        for power in range(1, 4)
    ]
    largest = models.AdaptiveTicker(**round_numbers, min_interval=1024**4)
    return models.CompositeTicker(tickers=[smallest, *others, largest])
