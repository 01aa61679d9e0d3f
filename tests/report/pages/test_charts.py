"""All charts of a page, and how they are brought up to date."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.report_runs import about, each_epoch, run, timeline, train_cost
from trainsignal.report.pages.charts import Charts
from trainsignal.report.pages.comparison import Comparison
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Run, Series
from trainsignal.report.timeline import Timeline


def shown(charts: Charts) -> list[Any]:
    return [model for section in charts.sections for model in section.models]


def sources(model: Any) -> list[Any]:
    """Return the points of the lines of a figure, in their order."""
    lines = (models.Line, models.Step)
    return [one.data_source for one in model.renderers if isinstance(one.glyph, lines)]


def titles(charts: Charts) -> list[str]:
    return [model.title.text for model in shown(charts)]


def axis_buttons(charts: Charts) -> Any:
    return charts.controls.children[0]


def noisy(rows: int, key: str = "cost/train") -> Series:
    return Series(key, np.random.default_rng(0).random(rows), "minibatch")


def test_a_page_has_a_figure_for_each_group_with_its_title_unit_and_points() -> None:
    memory = each_epoch("system/memory", [2.0**30], unit="bytes")
    took = each_epoch("time/loss", [0.5, 0.25], unit="seconds")
    charts = Charts([run(train_cost(), memory, took)], "epoch")
    assert [section.name for section in charts.sections] == ["costs", "system", "time"]
    assert titles(charts) == ["Cost", "Memory", "Seconds of evaluation"]
    assert [figure.yaxis.axis_label for figure in shown(charts)] == ["cost", "memory", "time (seconds)"]
    [points] = sources(shown(charts)[2])
    assert points.data["value"].tolist() == [0.5, 0.25]


def test_a_learning_rate_is_drawn_in_steps() -> None:
    [figure] = shown(Charts([run(each_epoch("learning_rate", [0.5, 0.25], holds_from_begin=True))], "epoch"))
    assert [one.glyph.mode for one in figure.renderers if isinstance(one.glyph, models.Step)] == ["after"]


@pytest.mark.parametrize("axis", ["epoch", "minibatch", "time"])
def test_charts_are_drawn_against_the_axis_that_was_asked_for(axis: Any) -> None:
    charts = Charts([run()], axis)
    assert axis_buttons(charts).labels[axis_buttons(charts).active] == axis
    assert {one.glyph.x for figure in shown(charts) for one in figure.renderers} == {axis}


def test_an_axis_that_no_run_knows_is_not_offered() -> None:
    untimed = Timeline(timeline().minibatches, np.full(5, np.nan))
    charts = Charts([run(timeline=untimed)], "time")
    assert axis_buttons(charts).labels == ["epoch", "minibatch"]
    assert axis_buttons(charts).active == 0


def test_an_axis_is_offered_once_it_is_known_and_the_chosen_one_stays() -> None:
    charts = Charts([run(timeline=Timeline(timeline().minibatches, np.full(5, np.nan)))], "minibatch")
    charts.update([run()])
    assert axis_buttons(charts).labels == ["epoch", "minibatch", "time"]
    assert axis_buttons(charts).active == 1


def test_an_axis_that_is_no_longer_known_gives_way_to_epochs() -> None:
    charts = Charts([run()], "time")
    charts.update([run(timeline=Timeline(timeline().minibatches, np.full(5, np.nan)))])
    assert axis_buttons(charts).active == 0


def test_charts_of_moments_share_their_range_and_those_of_rows_have_their_own() -> None:
    by_row = Series("mine/a", np.ones(3), "row")
    cost, metric, other = shown(Charts([run(train_cost(), each_epoch("metrics/a", [1]), by_row)], "epoch"))
    assert cost.x_range is metric.x_range
    assert other.x_range is not cost.x_range
    assert other.xaxis.axis_label == "row"


def test_new_values_come_into_the_same_figures() -> None:
    charts = Charts([run(each_epoch("cost/loss", [2]))], "epoch")
    before = shown(charts)
    assert not charts.update([run(each_epoch("cost/loss", [2, 1]))])
    assert shown(charts) == before
    assert sources(before[0])[0].data["value"].tolist() == [2, 1]


def test_what_has_not_changed_is_not_sent_again() -> None:
    charts = Charts([run()], "epoch")
    before = [source.data for figure in shown(charts) for source in sources(figure)]
    charts.update([run()])
    after = [source.data for figure in shown(charts) for source in sources(figure)]
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_a_new_series_brings_a_chart_and_leaves_the_others() -> None:
    charts = Charts([run(train_cost())], "epoch")
    [cost] = shown(charts)
    assert charts.update([run(train_cost(), each_epoch("metrics/a", [1]))])
    assert shown(charts)[0] is cost
    assert titles(charts) == ["Cost", "a"]


def test_a_series_that_is_gone_takes_its_chart_along() -> None:
    charts = Charts([run(train_cost(), each_epoch("metrics/a", [1]))], "epoch")
    assert charts.update([run(train_cost())])
    assert titles(charts) == ["Cost"]


def test_a_chart_of_new_lines_is_made_anew() -> None:
    charts = Charts([run(train_cost())], "epoch")
    assert charts.update([run(train_cost(), each_epoch("cost/loss", [1]))])
    [cost] = shown(charts)
    assert [item.label.value for item in cost.below[1].items] == ["train", "loss"]


def test_a_new_chart_is_as_logarithmic_as_the_others() -> None:
    charts = Charts([run(train_cost())], "epoch")
    charts.controls.children[1].active = True
    signs = each_epoch("metrics/below", [-1])
    memory = each_epoch("system/memory", [1], unit="bytes")
    charts.update([run(train_cost(), each_epoch("metrics/a", [1]), signs, memory)])
    _, above, below, of_bytes = shown(charts)
    assert isinstance(above.y_scale, models.LogScale)
    assert isinstance(below.y_scale, models.LinearScale)
    assert isinstance(of_bytes.y_scale, models.LinearScale)


def test_without_a_value_to_draw_a_sentence_says_so_until_there_is_one() -> None:
    charts = Charts([run(each_epoch("metrics/<a>", [np.nan, np.inf]))], "epoch")
    [said] = shown(charts)
    assert said.text == '<p class="soft">&lt;a&gt;: not drawn: 1 NaN or missing, 1 infinite</p>'
    assert not charts.update([run(each_epoch("metrics/<a>", [np.nan, np.inf, np.nan]))])
    assert "2 NaN" in said.text
    charts.update([run(each_epoch("metrics/<a>", [np.nan, 1]))])
    assert titles(charts) == ["<a>"]


def test_a_chart_says_what_of_it_is_not_drawn() -> None:
    [figure] = shown(Charts([run(each_epoch("cost/loss", [1, np.nan, np.nan, -np.inf]))], "epoch"))
    assert next(one.text for one in figure.above if one.visible) == "not drawn: 2 NaN or missing, 1 infinite"


def test_a_chart_that_draws_all_says_nothing_of_it() -> None:
    gaps = Series("gan/cost_dis", np.array([1, np.nan]), "minibatch", is_sparse=True)
    [figure] = shown(Charts([run(gaps)], "epoch"))
    assert not any(one.visible for one in figure.above if one is not figure.title)


def test_a_run_has_one_colour_and_a_series_one_dash() -> None:
    runs = [run(train_cost(), each_epoch("cost/loss", [1]), name=name) for name in ("a", "b")]
    [figure] = shown(Charts(runs, "epoch"))
    lines = [one.glyph for one in figure.renderers if isinstance(one.glyph, models.Line)]
    colours, dashes = [one.line_color for one in lines], [one.line_dash for one in lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert dashes[0] == dashes[2] != dashes[1] == dashes[3]


def test_as_many_runs_as_colours_have_the_dashes_of_two() -> None:
    dashes: list[list[list[int]]] = []
    for count in (2, 8):
        runs = [run(train_cost(), each_epoch("cost/loss", [1]), name=f"{number}") for number in range(count)]
        [figure] = shown(Charts(runs, "epoch"))
        lines = [one.glyph for one in figure.renderers if isinstance(one.glyph, models.Line)]
        dashes.append([one.line_dash for one in lines[:2]])
    assert dashes[0] == dashes[1]


def test_more_runs_than_colours_differ_by_their_dashes_and_the_first_series_has_that_of_the_table() -> None:
    runs = [run(train_cost(), each_epoch("cost/loss", [1]), name=f"run {number}") for number in range(16)]
    [figure] = shown(Charts(runs, "epoch"))
    lines = [one.glyph for one in figure.renderers if isinstance(one.glyph, models.Line)]
    looks = [(one.line_color, *one.line_dash) for one in lines]
    assert len(set(looks)) == 32
    swatches = re.findall(r'stroke="(.*?)" stroke-dasharray="(.*?)"', Comparison(runs).model.text)
    told = [(colour, *map(int, dash.replace("none", "").split())) for colour, dash in swatches]
    assert told == looks[::2]


def test_more_lines_than_colours_differ_by_their_dashes() -> None:
    labels = [each_epoch(f"metrics/per_label/P/{label}", [1]) for label in range(20)]
    [figure] = shown(Charts([run(*labels)], "epoch"))
    looks = [
        (one.glyph.line_color, str(one.glyph.line_dash))
        for one in figure.renderers
        if isinstance(one.glyph, models.Line)
    ]
    assert len(set(looks)) == 20


def test_a_legend_that_repeats_the_title_is_hidden() -> None:
    figures = shown(Charts([run(each_epoch("metrics/a", [1]), each_epoch("metrics/val_b", [1]))], "epoch"))
    assert [figure.below[1].visible for figure in figures] == [False, True]


def test_long_names_are_shortened_where_they_would_not_fit() -> None:
    [figure] = shown(Charts([run(each_epoch(f"metrics/val_{'a' * 99}", [1]))], "epoch"))
    assert figure.title.text == "a" * 30 + "…" + "a" * 29
    assert figure.below[1].items[0].label.value == "val_" + "a" * 16 + "…" + "a" * 19
    assert sources(figure)[0].tags[0]["label"] == "val_" + "a" * 99


def test_names_are_not_taken_for_tex() -> None:
    [figure] = shown(Charts([run(each_epoch("metrics/val_$$x$$", [1]))], "epoch"))
    shown_texts = [figure.title.text, figure.yaxis.axis_label, figure.below[1].items[0].label.value]
    assert not any("$$" in text for text in shown_texts)


def test_many_long_lines_have_few_points_each() -> None:
    long = [noisy(5_000, f"mine/a[{index}]") for index in range(70)]
    [figure] = shown(Charts([run(*long)], "epoch"))
    total = sum(one.data["value"].size for one in sources(figure))
    assert 60_000 < total <= 72_000


def test_what_is_looked_at_is_shown_in_full_detail() -> None:
    charts = Charts([run(noisy(40_000), timeline=timeline(4, 10_000))], "minibatch")
    [figure] = shown(charts)
    charts.x_range.update(start=1001, end=1500)
    charts.show_detail()
    rows = sources(figure)[0].data["row"]
    assert set(range(1000, 1500)) <= set(rows.tolist())
    charts.update([run(noisy(40_001), timeline=timeline(4, 10_000))])
    assert set(range(1000, 1500)) <= set(sources(figure)[0].data["row"].tolist())


def test_a_series_that_is_still_the_same_is_not_looked_through_again() -> None:
    cost = noisy(40_000)
    charts = Charts([run(cost, timeline=timeline(4, 10_000))], "minibatch")
    [figure] = shown(charts)
    drawn = set(sources(figure)[0].data["row"].tolist())
    new = next(row for row in range(10_000) if row not in drawn)
    cost.values[new] = 5

    charts.update([run(cost, timeline=timeline(4, 10_000))])
    charts.x_range.update(start=20_001, end=20_500)
    charts.show_detail()
    assert new not in sources(figure)[0].data["row"]

    charts.update([run(replace(cost), timeline=timeline(4, 10_000))])
    assert new in sources(figure)[0].data["row"]


def many(count: int, values: list[float], *more: Series) -> Run:
    return run(
        *(each_epoch(f"metrics/m{index}", [value + index for value in values]) for index in range(count)),
        *more,
    )


def test_of_many_charts_most_share_one_in_which_a_reader_chooses() -> None:
    charts = Charts([many(500, [1.0, 2.0])], "epoch")
    *alone, choice = shown(charts)
    assert len(alone) == 23
    select, figure = choice.children
    assert [text for _, text in select.options] == [f"m{index}" for index in range(23, 500)]
    assert figure.title.text == "m23"
    assert sources(figure)[0].data["value"].tolist() == [24, 25]


def test_what_is_not_chosen_is_brought_up_to_date_too() -> None:
    charts = Charts([many(30, [1.0])], "epoch")
    choice = shown(charts)[-1]
    assert not charts.update([many(30, [1.0, 2.0])])
    assert shown(charts)[-1] is choice
    [show] = choice.children[0].js_property_callbacks["change:value"]
    assert show.args["stored"][6][0].data["value"].tolist() == [30, 31]  # 23 stand alone


def test_words_of_what_is_not_chosen_change_with_it() -> None:
    charts = Charts([many(30, [1.0])], "epoch")
    charts.update([many(30, [1.0, np.nan])])
    [show] = shown(charts)[-1].children[0].js_property_callbacks["change:value"]
    assert show.args["groups"][0]["note"] == "not drawn: 1 NaN or missing"


def test_many_charts_without_values_are_sentences_and_those_of_rows_are_apart() -> None:
    odd = [
        each_epoch("metrics/none", [np.nan]),
        *(Series(f"metrics/r{i}", np.ones(2), "row") for i in range(2)),
    ]
    charts = Charts([many(30, [1.0], *odd)], "epoch")
    *_, said, of_moments, of_rows = shown(charts)
    assert "none" in said.text
    assert len(of_moments.children[0].options) == 7
    assert len(of_rows.children[0].options) == 2


def test_marks_stand_in_charts_of_moments() -> None:
    stopped = run(train_cost(), Series("mine/a", np.ones(3), "row"), about=about(status="stopped"))
    of_moments, of_rows = shown(Charts([stopped], "epoch"))
    assert [any(one.name == "marks" for one in figure.renderers) for figure in (of_moments, of_rows)] == [
        True,
        False,
    ]


def test_a_run_without_series_has_no_sections() -> None:
    assert Charts([run(each_epoch("cost/loss", []))], "epoch").sections == []


@pytest.mark.parametrize(("value", "span"), [(-5.0, 1.0), (0.0, 1.0), (np.nan, 1.0)])
def test_a_chart_of_one_value_shows_a_fifth_of_it_around_it(value: float, span: float) -> None:
    charts = Charts([run(each_epoch("metrics/flat", [value, value, value]), train_cost())], "epoch")
    spans = [model.y_range.default_span for model in shown(charts) if isinstance(model, models.Plot)]
    assert spans[-1] == (span if np.isfinite(value) else spans[0])


def test_a_chart_grows_with_its_legend() -> None:
    few, many = (
        Charts([run(*(each_epoch(f"cost/{index}", [1.0]) for index in range(count)))], "epoch")
        for count in (6, 12)
    )
    assert shown(many)[0].height == shown(few)[0].height + 40
