"""What each callback cost, as bars."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.browser import browser_page
from tests.support.pieces import HOSTILE, shown
from tests.support.report_runs import run
from trainsignal.report.pages.callback_times import CallbackTimes
from trainsignal.report.records import CallbackTime


def bars_of(*times: CallbackTime) -> list[tuple[str, float, str]]:
    """Return name, width in percent and value of each bar."""
    html = CallbackTimes(run(callback_times=times)).model.text
    found = re.findall(r'"name">(.*?)</span><span.*?width: ([\d.]+)%.*?"value">(.*?)</span>', html)
    return [(name, float(width), value) for name, width, value in found]


def test_bars_stand_slowest_first_with_their_values() -> None:
    bars = bars_of(CallbackTime("Quick", 0.5, 0), CallbackTime("Slow", 2.0, 0))

    assert bars == [("Slow", 100.0, "2 s"), ("Quick", 25.0, "0.5 s")]


def test_beyond_fifteen_the_quickest_are_summed() -> None:
    times = [CallbackTime(f"Callback{seconds}", float(seconds), seconds % 2) for seconds in range(1, 18)]
    bars = bars_of(*times)

    assert len(bars) == 15
    assert bars[0][0].startswith("Callback17")
    assert bars[13][0] == "Callback4"
    assert bars[14][0].startswith("3 others")
    assert bars[14][2] == "6 s"
    assert "failed 2 times" in bars[14][0]


def test_fifteen_stand_each_for_itself() -> None:
    assert bars_of(*(CallbackTime(f"Callback{n}", 1.0, 0) for n in range(15)))[-1][0] == "Callback14"


@pytest.mark.parametrize(("failures", "words"), [(1, "failed once"), (1200, "failed 1,200 times")])
def test_failures_are_marked(failures: int, words: str) -> None:
    assert words in CallbackTimes(run(callback_times=(CallbackTime("A", 1.0, failures),))).model.text
    assert "failed" not in CallbackTimes(run(callback_times=(CallbackTime("A", 1.0, 0),))).model.text


def test_none_recorded_show_nothing_until_there_are_some() -> None:
    times = CallbackTimes(run())
    assert not times.model.visible

    times.update(run(callback_times=(CallbackTime("A", 0.0, 0),)))
    assert times.model.visible


def test_a_bar_is_as_long_as_its_share_and_tells_exact_seconds(tmp_path: Path) -> None:
    times = (CallbackTime(HOSTILE, 1 / 3, 0), CallbackTime("Slow", 4 / 3, 2))

    with browser_page() as tab:
        tab.open(shown(tmp_path, CallbackTimes(run(callback_times=times)).model))
        slow, quick = tab.page.locator(".bar").all()
        slow_box, quick_box = slow.bounding_box(), quick.bounding_box()

        assert quick_box["width"] == pytest.approx(slow_box["width"] / 4, abs=1)
        assert tab.page.locator("[title]").last.get_attribute("title") == "0.3333333333333333 s"
        assert tab.page.locator(".name").last.inner_text() == HOSTILE
        assert slow.evaluate("bar => getComputedStyle(bar).backgroundColor") == "rgb(198, 40, 40)"
        assert tab.console == []
