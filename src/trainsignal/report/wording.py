"""Durations, moments, numbers and states in words, the same on pages, in terminals and in notebooks."""

from __future__ import annotations

import math
import time
from datetime import timedelta, timezone

from trainsignal.report.records import About

_BYTE_STEPS = ("bytes", "KiB", "MiB", "GiB", "TiB")

_TIME_STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
"""Seconds and name of each unit, and of the next smaller one."""

_STATES = {
    "killed": "killed: its process is gone, and closed nothing",
    "unknown": "nobody noted how it ended",
}


def duration(seconds: float) -> str:
    """Return a length of time: "0.31 s", "45.2 s", "3 min 12 s", "3 h 12 min", "2 d 5 h"."""
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    size, unit, smaller, smaller_unit = next(step for step in _TIME_STEPS if whole >= step[0])
    rest = whole % size // smaller
    return f"{whole // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")


def moment(seconds: float) -> str:
    """Return a moment, given in seconds since 1970-01-01 UTC, as local time: "2026-11-22 19:02:26"."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):  # no moment of any calendar
        return "at no known time"


def zoned_moment(seconds: float) -> str:
    """Return a moment with the time zone, for readers elsewhere: "2026-11-22 19:02:26 UTC+01:00"."""
    told = moment(seconds)
    try:
        return f"{told} {timezone(timedelta(seconds=time.localtime(seconds).tm_gmtoff))}"
    except (ValueError, OverflowError, OSError):
        return told


def number(value: float) -> str:
    """Return a number with six significant digits."""
    return "NaN" if math.isnan(value) else f"{value:.6g}"


def amount(value: float, unit: str | None) -> str:
    """Return a number with its unit: "1.5 GiB" for bytes, "3.2 s" for seconds, "45 %" for percent."""
    if unit is None or not math.isfinite(value):
        return number(value)
    if unit == "bytes":
        step = 0
        while abs(value) >= 1024 and step < len(_BYTE_STEPS) - 1:
            value, step = value / 1024, step + 1
        return f"{value:.4g} {_BYTE_STEPS[step]}"
    if unit == "seconds":
        return duration(value) if value >= 0 else f"{value:.3g} s"
    return f"{number(value)} {'%' if unit == 'percent' else unit}"


def counted(number: int, word: str) -> str:
    """Return a number of things: "1 layer", "1,200 layers"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def failed(times: int) -> str:
    """Return how many times something failed, 1 or more: "failed once", "failed 1,200 times"."""
    return "failed once" if times == 1 else f"failed {times:,} times"


def shortened(text: str, longest: int) -> str:
    """Return a text of at most so many characters: of a longer one the middle is left out.

    Names of series differ at their ends: "metrics/per_label/Precision/cat".
    """
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}…{text[len(text) - (longest - 1) // 2 :]}"


def ending(about: About) -> str:
    """Return why a run ended, and who said so: "stopped by EarlyStopCallback: the loss rises"."""
    by = ""
    if about.author is not None:
        by = f" {'in' if about.status == 'failed' else 'by'} {about.author}"
    why = "" if about.detail is None else f": {about.detail}"
    return f"{_STATES.get(about.status, about.status)}{by}{why}"


def progress(about: About) -> str:
    """Return how far a run came: "7 of 12 epochs, 315 minibatches"."""
    asked = "" if about.total_epochs is None else f" of {about.total_epochs}"
    word = "epoch" if (about.total_epochs or about.epochs_complete) == 1 else "epochs"
    done = about.minibatches_done
    minibatches = f", {done:,} minibatch{'' if done == 1 else 'es'}" if done else ""
    return f"{about.epochs_complete}{asked} {word}{minibatches}"
