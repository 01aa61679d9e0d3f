"""Which series share a chart."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.report_runs import each_epoch, run, train_cost
from trainsignal import keys
from trainsignal.report.grouping import ChartGroup, group_series
from trainsignal.report.records import Series


def grouped(*names: str, **more: str) -> list[ChartGroup]:
    return group_series([run(*(each_epoch(name, [1.0], **more) for name in names))])


def lines(group: ChartGroup) -> list[str]:
    return [line.label for line in group.lines]


def test_training_cost_and_losses_share_one_chart() -> None:
    [chart] = grouped("cost/train", "cost/loss", "cost/loss_2")
    assert (chart.section, chart.title, chart.y_label, chart.unit) == ("costs", "Cost", "cost", None)
    assert lines(chart) == ["train", "loss", "loss_2"]


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["accuracy", "val_accuracy"], "accuracy"),
        (["train-rmse", "valid-rmse"], "rmse"),
        (["Accuracy", "Validation Accuracy", "TEST/accuracy"], "Accuracy"),
        (["validation_0-rmse", "validation_1-rmse"], "rmse"),
        (["Accuracy", "Accuracy_2", "val_Accuracy"], "Accuracy"),
        (["train%2Ff1", "eval%2Ff1"], "f1"),
    ],
    ids=["keras", "xgboost", "any case", "scikit-learn", "second writer", "a slash in the name"],
)
def test_values_of_a_metric_on_several_sets_share_a_chart(names: list[str], title: str) -> None:
    [chart] = grouped(*(keys.metric(name) for name in names))
    assert (chart.section, chart.title, chart.y_label) == ("metrics", title, title)
    assert lines(chart) == [name.replace("%2F", "/") for name in names]


@pytest.mark.parametrize(
    "names",
    [["top_1", "top_5"], ["train", "test"], ["trainability", "validity"], ["f1", "recall"]],
    ids=",".join,
)
def test_metrics_whose_names_only_look_alike_stay_apart(names: list[str]) -> None:
    assert [chart.title for chart in grouped(*(keys.metric(name) for name in names))] == names


def test_labels_of_a_metric_share_a_chart_and_have_their_own_names() -> None:
    [chart, whole] = grouped(
        keys.label_metric("Precision", "cat/dog"), keys.label_metric("Precision", "."), "metrics/Precision"
    )
    assert (chart.title, chart.y_label, whole.title) == ("Precision of each label", "Precision", "Precision")
    assert lines(chart) == ["cat/dog", "."]


def test_a_metric_that_stands_among_the_costs_is_not_drawn_twice() -> None:
    loss = each_epoch("cost/loss", [1.0], reported_as="val_loss")
    told_again = each_epoch("metrics/val_loss_2", [1.0], reported_as="val_loss")
    charts = group_series([run(loss, each_epoch("metrics/val_loss", [1.0]), told_again)])
    assert [chart.section for chart in charts] == ["costs"]


def test_metrics_stay_when_a_cost_was_reported_by_nobody() -> None:
    assert [chart.section for chart in grouped("cost/loss", "metrics/loss")] == ["costs", "metrics"]


def test_branches_and_innermost_branches_have_a_chart_each() -> None:
    every, inner = grouped("multicost/train[0]", "multicost/train[1]", "multicost/train_allbranches[0]")
    assert (every.section, every.title, lines(every)) == (
        "branches",
        "Cost of each branch",
        ["branch 0", "branch 1"],
    )
    assert inner.title == "Cost of each innermost branch"


def test_gan_series_are_apart() -> None:
    charts = grouped(keys.GAN_ITERATIONS, keys.GAN_COST, "gan/mine")
    assert [(chart.section, chart.title) for chart in charts] == [
        ("gan", "Updates of the generator"),
        ("gan", "Cost of the discriminator"),
        ("gan", "mine"),
    ]


def test_what_a_process_and_gpus_use_is_together_by_its_unit() -> None:
    memory = [each_epoch(key, [1.0], unit="bytes") for key in (keys.SYSTEM_MEMORY, keys.gpu_memory(1))]
    share = [each_epoch(key, [1.0], unit="percent") for key in (keys.SYSTEM_CPU, keys.gpu_utilization(1))]
    of_memory, of_share, other = group_series([run(*memory, *share, each_epoch("system/heat", [1.0]))])
    assert (of_memory.title, of_memory.unit, lines(of_memory)) == ("Memory", "bytes", ["process", "GPU 1"])
    assert (of_share.title, of_share.unit, lines(of_share)) == ("Utilization", "percent", ["CPU", "GPU 1"])
    assert (other.section, other.title) == ("system", "heat")


def test_a_series_of_another_unit_has_its_own_chart() -> None:
    charts = group_series(
        [run(each_epoch("metrics/a", [1.0]), each_epoch("metrics/val_a", [1.0], unit="seconds"))]
    )
    assert [chart.unit for chart in charts] == [None, "seconds"]


def test_rates_and_times_have_their_sections() -> None:
    rate, time = grouped("time/loss", "learning_rate")
    assert (rate.section, lines(rate)) == ("learning rate", ["learning rate"])
    assert (time.section, time.title, lines(time)) == ("time", "Seconds of evaluation", ["loss"])


def test_series_of_users_have_a_chart_each_but_columns_share_one() -> None:
    charts = grouped("mine/a%2Fb", "mine/c[0]", "mine/c[1]", "learning_rates")
    assert [(chart.section, chart.title, lines(chart)) for chart in charts] == [
        ("other", "mine/a/b", ["mine/a/b"]),
        ("other", "mine/c", ["0", "1"]),
        ("other", "learning_rates", ["learning_rates"]),
    ]


def test_series_whose_rows_are_nothing_known_are_apart() -> None:
    by_row = Series("cost/mine", np.ones(3), "row")
    charts = group_series([run(train_cost(), by_row)])
    assert [chart.axis for chart in charts] == ["moment", "row"]


def test_series_without_rows_have_no_chart() -> None:
    assert group_series([run(each_epoch("cost/loss", []))]) == []


def test_sections_have_one_order_whatever_the_archive_has() -> None:
    charts = grouped(
        "mine", "time/loss", "system/cpu", "learning_rate", "metrics/a", "gan/cost_dis", "cost/train"
    )
    assert [chart.section for chart in charts] == [
        "costs",
        "gan",
        "metrics",
        "learning rate",
        "system",
        "time",
        "other",
    ]


def test_series_of_several_runs_share_charts_and_say_whose_they_are() -> None:
    first = run(train_cost(), each_epoch("metrics/a", [1.0]), name="sgd")
    second = run(train_cost(), each_epoch("metrics/a", [1.0]), name="adam")
    cost, metric = group_series([first, second])
    assert lines(cost) == ["sgd · train", "adam · train"]
    assert [(line.run, line.name) for line in cost.lines] == [(0, "train"), (1, "train")]
    assert lines(metric) == ["sgd", "adam"]  # the title says the rest


def test_what_the_title_says_is_left_out_only_where_no_line_has_another_name() -> None:
    series = (each_epoch("metrics/a", [1.0]), each_epoch("metrics/val_a", [1.0]))
    [metric] = group_series([run(*series, name="sgd"), run(*series, name="adam")])
    assert lines(metric) == ["sgd · a", "sgd · val_a", "adam · a", "adam · val_a"]


def test_nan_among_the_parameters_are_a_chart_only_if_there_were_any() -> None:
    none, some = each_epoch("hist_nan", [0.0, 0.0]), each_epoch("hist_nan_2", [0.0, 3.0])

    assert group_series([run(none)]) == []
    assert [group.title for group in group_series([run(none, some)])] == ["NaN among the parameters"]
