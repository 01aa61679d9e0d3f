"""A run in a notebook: as HTML, and live while it trains; the only file that imports IPython."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trainsignal.errors import ConfigurationError
from trainsignal.receiver import Receiver, totals
from trainsignal.report import notebook_page
from trainsignal.report.reading import read_file
from trainsignal.report.records import CallbackTime, Run
from trainsignal.run import TrainingRun

SHORTEST_PAUSE_S: Final = 1.0
PAUSE_PER_DURATION: Final = 50
"""Drawing takes at most one part in so many of the time; but the run's begin and end are always drawn."""


def as_html(run: TrainingRun, receivers: Iterable[Receiver], wiring: Callable[[], str]) -> str:
    """Return a run as HTML, at any moment of it.

    Reads its shared data, so costs that are on a device are waited for.

    Args:
        run: any.
        receivers: whose time is listed.
        wiring: returns what is shown of a run that has not begun.
    """
    if not run.has_begun:
        return notebook_page.notice("The run has not begun. What is wired:", wiring())
    if not run.data:
        archive = _archive(run)
        elsewhere = "" if archive is None else f" Its archive can be: trainsignal report {archive}"
        return notebook_page.notice(
            f"The run is {run.exit_reason or 'in progress'}, and its callback_data was closed, so nothing of "
            f"it can be read here.{elsewhere}"
        )
    return notebook_page.page(read(run, receivers))


def read(run: TrainingRun, receivers: Iterable[Receiver]) -> Run:
    """Return what is known of a run of this process now, its callbacks' times included."""
    archive = _archive(run)
    # The file says when a run ended that nobody timed; of one in progress, now is later.
    found = read_file(
        run.data,
        name=type(run.model).__name__ if archive is None else archive.stem,
        path="" if archive is None or run.exit_reason is None else str(archive),
        drawings=False,
    )
    spent, failures = totals(receivers)
    times = [CallbackTime(name, seconds, failures[name]) for name, seconds in spent.items()]
    return replace(found, callback_times=tuple(sorted(times, key=lambda one: -one.seconds)))


def _archive(run: TrainingRun) -> Path | None:
    """Return where the run is archived, absolute; None where it is in memory alone."""
    path = Path(run.data.filename)
    return path if path.is_absolute() else None


def show(run: TrainingRun, receivers: Callable[[], Iterable[Receiver]], wiring: Callable[[], str]) -> None:
    """Display a run in the notebook's current cell, and follow it there until it is closed.

    Args:
        run: any.
        receivers: returns those whose time is listed.
        wiring: returns what is shown until the run begins.

    Raises:
        ConfigurationError: there is no notebook.
    """
    make_html = _maker()
    Display(run, lambda: make_html(as_html(run, receivers(), wiring))).begin()


class Display:
    """A place in a notebook where a run is drawn anew when something happened.

    Args:
        run: that is followed.
        draw: returns an object that IPython displays.
    """

    def __init__(self, run: TrainingRun, draw: Callable[[], Any]) -> None:
        self._run = run
        self._draw = draw
        self._clock = run.bus.clock
        self._due_s = float("-inf")
        self._handle: Any = None

    def begin(self) -> None:
        """Draw the run, and again when it goes on; one that is closed stays as it is."""
        self._handle = importlib.import_module("IPython.display").display(self._draw(), display_id=True)
        if self._run.exit_reason is not None:
            return
        subscribe = self._run.bus.subscribe
        following = [
            subscribe("train_begin", self._update, on_error="disable"),
            subscribe("minibatch_end", self._update_if_due, every="1s", on_error="disable"),
            subscribe("epoch_end", self._update_if_due, on_error="disable"),
        ]

        def end() -> None:
            for one in following:
                one.cancel()
            self._update()

        following.append(subscribe("run_closed", end, on_error="disable"))

    def _update_if_due(self) -> None:
        if self._clock() >= self._due_s:
            self._update()

    def _update(self) -> None:
        began_s = self._clock()
        self._handle.update(self._draw())
        ended_s = self._clock()
        self._due_s = ended_s + max(SHORTEST_PAUSE_S, PAUSE_PER_DURATION * (ended_s - began_s))


def _maker() -> Callable[[str], Any]:
    """Return what makes an object to display of HTML.

    IPython is imported where there is a notebook; only there has its shell a kernel.

    Raises:
        ConfigurationError: there is no notebook.
    """
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        raise ConfigurationError(
            "show() draws in notebooks, and this is none. In a terminal, use `trainsignal view run.h5` with "
            "the archive (output_file), or print(callbacks.summary())."
        )
    make: Callable[[str], Any] = importlib.import_module("IPython.display").HTML
    return make
