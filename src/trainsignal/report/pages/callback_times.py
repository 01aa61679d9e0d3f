"""What each callback cost: bars with their values, slowest first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from trainsignal.report.html_parts import callback_name
from trainsignal.report.pages import markup
from trainsignal.report.records import CallbackTime, Run
from trainsignal.report.wording import duration, failed

_SHOWN = 15


class CallbackTimes:
    """Seconds of each callback, and which of them failed; hidden where none are known.

    Args:
        run: whose callbacks.

    Attributes:
        model: Bokeh's element.
    """

    def __init__(self, run: Run) -> None:
        self.model: Any = markup.element()
        self.update(run)

    def update(self, run: Run) -> None:
        """Show the times of the run as it is now."""
        self.model.visible = bool(run.callback_times)
        bars = "".join(_bars(_fewer(run.callback_times)))
        self.model.text = f'<h2>Time per callback</h2><div class="bars">{bars}</div>'


def _fewer(times: Sequence[CallbackTime]) -> list[CallbackTime]:
    """Return the slowest ones, slowest first, and the sum of all others as one."""
    slowest_first = sorted(times, key=lambda one: -one.seconds)
    if len(slowest_first) <= _SHOWN:
        return slowest_first
    first, rest = slowest_first[: _SHOWN - 1], slowest_first[_SHOWN - 1 :]
    seconds, failures = sum(one.seconds for one in rest), sum(one.failures for one in rest)
    return [*first, CallbackTime(f"{len(rest)} others", seconds, failures)]


def _bars(times: Sequence[CallbackTime]) -> list[str]:
    """Return the HTML of a bar for each; the longest as wide as there is room."""
    longest = max((one.seconds for one in times), default=0.0)
    return [_bar(one, one.seconds / longest if longest > 0 else 0.0) for one in times]


def _bar(one: CallbackTime, share: float) -> str:
    told = f", {failed(one.failures)}" if one.failures else ""
    return (
        f'<div{" class=failing" if told else ""} title="{one.seconds!r} s{told}">'
        f'<span class="name">{callback_name(one)}</span>'
        f'<span class="track"><div class="bar" style="width: {100 * share:.2f}%"></div></span>'
        f'<span class="value">{escape(duration(one.seconds))}</span></div>'
    )
