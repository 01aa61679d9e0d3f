from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.browser import browser_page
from tests.support.report_runs import STARTED_AT, about, each_epoch, run, train_cost
from trainsignal.report.notebook_page import notice, page
from trainsignal.report.records import CallbackTime, Run, SavedCheckpoint, Series
from trainsignal.report.wording import moment, zoned_moment

HOSTILE = "</title></svg><script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"


def rows(html: str) -> list[list[str]]:
    """Return the cells of all rows of all tables."""
    found = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    return [row for row in found if row]


def facts(html: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html))


def test_facts_of_a_run_are_told() -> None:
    html = page(run())
    assert facts(html) == {
        "progress": "4 of 4 epochs, 40 minibatches",
        "started": zoned_moment(STARTED_AT), "ended": moment(STARTED_AT + 60), "duration": "1 min",
        "model": "Model", "script": "train.py", "host": "machine", "run id": "a1b2", "trainsignal": "1.0",
        "archive": "/runs/run.h5",
    }  # fmt: skip
    assert "<progress" not in html


def test_run_in_progress_has_a_bar() -> None:
    assert '<progress value="10" max="40"' in page(
        run(about=about(status="in progress", minibatches_done=10))
    )


def test_series_are_listed_with_their_last_and_best_values() -> None:
    loss = each_epoch("cost/loss", [1.5, 0.75, 0.5, 0.625], direction="min")
    cost = Series("cost/train", np.array([2.0, 0.25, 1.0]), "minibatch", direction="min")
    memory = each_epoch("system/memory", [2.0**30], unit="bytes")
    reported = each_epoch("metrics/acc", [0.5], reported_as="val acc")
    empty = each_epoch("metrics/none", [])
    missing = each_epoch("metrics/nan", [float("nan")], direction="max")
    assert rows(page(run(memory, loss, cost, reported, empty, missing))) == [
        ["cost/loss", "0.625", "0.5", "epoch 2"],
        ["cost/train", "1", "0.25", "minibatch 1"],
        ["metrics/nan", "NaN", "", ""],
        ["system/memory", "1 GiB", "", ""],
        ['metrics/acc <span class="soft">val acc</span>', "0.5", "", ""],
    ]


def test_slowest_callbacks_and_newest_checkpoints_are_listed() -> None:
    times = tuple(CallbackTime(f"C{number}", 9.0 - number, number) for number in range(7))
    saved = tuple(SavedCheckpoint(f"{number}.h5", number, 0, STARTED_AT) for number in range(4))
    again = SavedCheckpoint("0.h5", 5, 0, None)
    saved_at = f'<span class="unbroken">{moment(STARTED_AT)}</span>'
    html = page(run(callback_times=times, about=about(checkpoints=(*saved, again))))
    assert ["C0", "9 s"] in rows(html)
    assert ['C1 <span class="failed">⚠ failed once</span>', "8 s"] in rows(html)
    assert rows(html)[-3:] == [
        ["0.h5", "5", "0", ""], ["3.h5", "3", "0", saved_at], ["2.h5", "2", "0", saved_at]
    ]  # fmt: skip
    assert "and 2 more" in html
    assert "and 1 more" in html


def test_problems_are_told() -> None:
    problems = tuple(f"problem {number}" for number in range(9))
    assert re.findall("problem [0-9]", page(run(problems=problems))) == list(problems[:5])


def test_curves_of_a_group_share_a_chart_with_a_legend() -> None:
    html = page(run())
    assert html.count("<svg") == 2
    assert "<b>Cost</b>" in html
    assert re.findall(r"</i>(.*?)</span>", html) == ["train", "loss"]
    assert "<b>Accuracy</b></figcaption>" in html  # a legend would say the same
    assert "<title>cost/loss: last 0.625, best 0.5</title>" in html
    assert html.count("<circle") == 2  # best loss and best accuracy


def test_resumptions_are_marked_where_they_were() -> None:
    assert page(run(about=about(resumed_at=(20,)))).count("stroke-dasharray") == 2  # in each chart


def test_rows_that_nobody_knows_the_axis_of_are_drawn_by_number_without_marks() -> None:
    html = page(run(Series("mine", np.array([1.0, 2.0]), "row"), about=about(resumed_at=(20,))))
    assert ">row</text>" in html
    assert "stroke-dasharray" not in html


def test_series_without_a_finite_value_are_not_drawn() -> None:
    assert "<svg" not in page(run(each_epoch("metrics/a", [float("nan"), float("inf")])))


def test_what_is_only_on_a_page_is_told() -> None:
    html = page(run(histogram_count=1, map_layer_count=1))
    assert "1 histogram, feature maps of 1 layer: <code>trainsignal report</code> draws them." in html


def many(count: int, rows: int) -> Run:
    generator = np.random.default_rng(1)
    return run(
        *(
            each_epoch("metrics/" + f"{number}" * 500, generator.normal(size=rows).tolist())
            for number in range(count)
        )
    )


def test_five_hundred_series_stay_small() -> None:
    html = page(many(500, 1000))
    assert len(html) < 100_000
    assert html.count("<svg") == 12
    assert "488 more charts" in html


def test_many_curves_of_one_chart_stay_small() -> None:
    labels = [each_epoch(f"metrics/per_label/F/{number}", [1.0, 2.0] * 500) for number in range(50)]
    html = page(run(*labels))
    assert html.count("<polyline") == 8
    assert "and 42 more</span>" in html
    assert len(html) < 20_000


def test_ten_million_minibatches_stay_small_and_keep_their_spike() -> None:
    values = np.zeros(10_000_000, "f4")
    values[1_234_567] = 5
    html = page(run(Series("cost/train", values, "minibatch")))
    assert len(html) < 20_000
    heights = {point.split(",")[1] for point in re.findall(r"[0-9]+,[0-9]+", html.partition("points=")[2])}
    assert len(heights) == 2


def test_notice_keeps_the_lines_of_a_text() -> None:
    assert "<pre>a\n  &lt;b&gt;</pre>" in notice("Wait & see", "a\n  <b>")
    assert "Wait &amp; see" in notice("Wait & see")
    assert "<pre>" not in notice("Wait & see")


def test_a_path_that_is_no_text_is_shown_by_its_escape() -> None:
    path = "/runs/\udcff.h5"
    for html in (page(run(path=path)), notice(f"gone: {path}", path)):
        assert html.encode()
        assert "/runs/\\udcff.h5" in html


def test_names_from_an_archive_run_nothing_and_ask_for_nothing(tmp_path: Path) -> None:
    told = about(
        model=HOSTILE, script=HOSTILE, host=HOSTILE, detail=HOSTILE, author=HOSTILE, status="failed",
        checkpoints=(SavedCheckpoint(HOSTILE, 0, 0, None),),
    )  # fmt: skip
    series = each_epoch(f"metrics/{HOSTILE}", [1.0, 2.0], unit=HOSTILE, reported_as=HOSTILE, direction="max")
    hostile = run(
        series, train_cost(key=HOSTILE), name=HOSTILE, path=HOSTILE, about=told, problems=(HOSTILE,),
        callback_times=(CallbackTime(HOSTILE, 1.0, 0),),
    )  # fmt: skip
    file = tmp_path / "page.html"
    file.write_text(
        f"<!doctype html><meta charset=utf-8><title>safe</title>{page(hostile)}", encoding="utf-8"
    )
    with browser_page() as tab:
        tab.page.goto(file.as_uri())
        assert tab.page.title() == "safe"
        assert tab.page.locator("script, img").count() == 0
        assert tab.page.locator(".headline b").inner_text() == HOSTILE
        assert tab.console == []
        assert tab.requests == []


@pytest.mark.parametrize("width", [420, 900])
def test_nothing_is_wider_than_its_place_and_no_label_is_cut(width: int, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><meta charset=utf-8>{page(run())}", encoding="utf-8")
    with browser_page(width=width) as tab:
        tab.page.goto(file.as_uri())
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        overhang = """[...document.querySelectorAll('svg')].map(svg => {
            const outer = svg.getBoundingClientRect();
            return Math.min(...[...svg.querySelectorAll('text')].map(
                text => text.getBoundingClientRect().left - outer.left));
        })"""
        assert min(tab.page.evaluate(overhang)) >= 0
