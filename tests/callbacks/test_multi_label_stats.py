from __future__ import annotations

import io
import logging
import re
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tests.support import neon_reference
from tests.support.evaluating import Batches, Scaling, Tensor
from tests.support.neon_reference import NEON_DATA
from tests.support.runs import fit, hand_loop, quiet, tiny_model, tiny_set
from trainsignal import LossCallback, MetricCallback, MultiLabelStatsCallback
from trainsignal.errors import ConfigurationError, DataError, MissingAbilityError
from trainsignal.evaluation import tallies
from trainsignal.models.numpy_net import Accuracy, PrecisionRecall

DIGITS = list(range(10))


class Shares:
    """A metric of two labels with given shares, whatever the outputs."""

    metric_names = ("Share", "Rest")

    def __init__(self, table: Any, kind: Any = np.array) -> None:
        self.outputs = kind(table)

    def __call__(self, outputs: Any, targets: Any) -> None:
        pass


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError("nobody reads")


def shown(metric: Any, labels: Any = ("a", "b"), **options: Any) -> str:
    """Return what one epoch prints."""
    stream = io.StringIO()
    callbacks = quiet(Scaling())
    stats = MultiLabelStatsCallback(Batches(3, [1, 2], [6, 1]), labels, metric, stream=stream, **options)
    callbacks.callbacks = [stats]
    hand_loop(callbacks, 1)
    return stream.getvalue()


def shares_of_neons_scenario(epoch: int) -> Any:
    """Return precision and recall, (10, 2), that the callback archives for neon's weights."""
    reference = neon_reference.arrays("mlp")
    model = neon_reference.initialized_mlp(reference)
    neon_reference.set_params(model, reference, f"w_epoch{epoch:02}")
    metric = PrecisionRecall(10, binarize=True)
    callbacks = quiet(model)
    valid = neon_reference.data_set(reference, "valid")
    callbacks.callbacks = [MultiLabelStatsCallback(valid, DIGITS, metric, stream=io.StringIO())]
    hand_loop(callbacks, 1)
    series = callbacks.callback_data["metrics/per_label"]
    return np.array([[series[f"{name}/{digit}"][0] for name in metric.metric_names] for digit in DIGITS])


@pytest.mark.parametrize("epoch", range(4))
def test_values_are_scikit_learns_of_all_samples_that_neon_evaluated(epoch: int) -> None:
    reference = neon_reference.arrays("mlp")
    outputs = np.concatenate(list(reference[f"eval_outputs/epoch{epoch:02}"]), axis=1)[:, :300]
    targets = np.concatenate(list(reference[f"eval_targets/epoch{epoch:02}"]), axis=1)[:, :300]
    precision, recall, *_ = precision_recall_fscore_support(targets.argmax(0), outputs.argmax(0))
    expected = np.stack([precision, recall], axis=1)
    np.testing.assert_allclose(shares_of_neons_scenario(epoch), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("epoch", range(4))
def test_metric_is_neons_minibatch_for_minibatch(epoch: int) -> None:
    reference = neon_reference.arrays("mlp")
    metric, tables = PrecisionRecall(10, binarize=True), []
    for outputs, targets in zip(
        reference[f"eval_outputs/epoch{epoch:02}"], reference[f"eval_targets/epoch{epoch:02}"], strict=True
    ):
        metric(outputs, targets)
        tables.append(metric.outputs)
    np.testing.assert_allclose(tables, reference[f"prec_recall_per_batch/epoch{epoch:02}"], atol=1e-5)
    mean = reference[f"prec_recall_mean/epoch{epoch:02}"]
    np.testing.assert_allclose(np.mean(tables, axis=0), mean, atol=1e-5)
    assert shown(Shares(mean), DIGITS) == neons_lines(epoch).replace("Precision", "Share").replace(
        "Recall", "Rest"
    )


def neons_lines(epoch: int) -> str:
    """Return what neon printed for the labels at an epoch's end."""
    console = (NEON_DATA / "mlp.console.txt").read_text(encoding="utf-8")
    lines = re.findall(r"^\[Precision: .*$", console, re.MULTILINE)
    return "".join(f"{line}\n" for line in lines[10 * epoch : 10 * epoch + 10])


@pytest.mark.parametrize("share, percent", [
    (0.999, "99"), (1.0, "100"), (0.0, "0"), (float("nan"), "nan"), (float("inf"), "inf"),
])  # fmt: skip
def test_percentages_are_cut_off_as_in_neon(share: float, percent: str) -> None:
    assert shown(Shares([[share, 0.5]]), ["a"]) == f"[Share: {percent}% Rest: 50% ] -> a\n"


def test_labels_may_be_fewer_than_the_classes_and_anything_with_a_name() -> None:
    assert shown(Shares([[0.25, 0.5], [1, 1]]), iter([7])) == "[Share: 25% Rest: 50% ] -> 7\n"


def test_values_may_come_in_a_tensor() -> None:
    assert shown(Shares([[0.25, 0.5]], Tensor), ["a"]) == "[Share: 25% Rest: 50% ] -> a\n"


def test_lines_go_to_standard_output_of_that_moment(capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = quiet(Scaling())
    callbacks.callbacks = [MultiLabelStatsCallback(Batches(1, [1]), ["a"], Shares([[0.25, 0.5]]))]
    hand_loop(callbacks, 1)
    assert capsys.readouterr().out == "[Share: 25% Rest: 50% ] -> a\n"


def test_process_without_standard_output_is_none_the_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    callbacks = quiet(Scaling())
    callbacks.callbacks = [MultiLabelStatsCallback(Batches(1, [1]), ["a"], Shares([[0.25, 0.5]]))]
    hand_loop(callbacks, 1)
    assert callbacks.callback_data["metrics/per_label/Share/a"][0] == 0.25


def test_stream_that_fails_is_told_of_and_training_goes_on() -> None:
    callbacks = quiet(Scaling())
    callbacks.callbacks = [
        MultiLabelStatsCallback(Batches(1, [1]), ["a"], Shares([[0.25, 0.5]]), stream=Broken())
    ]
    hand_loop(callbacks, 2)
    assert callbacks.run.problems == ["values of labels cannot be printed: nobody reads. Training goes on."]
    assert callbacks.callback_data["metrics/per_label/Share/a"][:].tolist() == [0.25, 0.25]


def test_stream_that_fails_where_there_is_no_run_raises() -> None:
    stats = MultiLabelStatsCallback(Batches(1, [1]), ["a"], Shares([[0.25, 0.5]]), stream=Broken())
    data = {f"metrics/per_label/{name}/a": [0.0] for name in ("Share", "Rest")}
    with pytest.raises(BrokenPipeError):
        stats.on_epoch_end(data, Scaling(), 0)  # type: ignore[arg-type]  # lists will do
    assert data["metrics/per_label/Rest/a"] == [0.5]


def test_series_tell_axis_and_direction() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    metric = PrecisionRecall(2, binarize=True)
    callbacks.callbacks = [
        MultiLabelStatsCallback(tiny_set(), ["a", "b"], metric, [0, 2], stream=io.StringIO())
    ]
    fit(model, callbacks, 3)
    series = callbacks.callback_data["metrics/per_label/Recall/b"]
    attributes = {key: np.asarray(value).tolist() for key, value in series.attrs.items()}
    assert attributes == {"time_markers": "epoch_freq", "epochs": [0, 2], "direction": "max"}
    assert series.shape == (2,)
    assert not np.isnan(series[:]).any()


@pytest.mark.parametrize("label, step", [("and/or", "and%2For"), (".", "%2E"), ("a cat", "a cat")])
def test_label_that_would_be_a_path_is_written_as_a_name(label: str, step: str) -> None:
    callbacks = quiet(Scaling())
    callbacks.callbacks = [
        MultiLabelStatsCallback(Batches(1, [1]), [label], Shares([[0.25, 0.5]]), stream=io.StringIO())
    ]
    hand_loop(callbacks, 1)
    assert list(callbacks.callback_data["metrics/per_label/Share"]) == [step]


def test_two_of_one_metric_are_numbered_and_stand_beside_the_metric_itself() -> None:
    model, data = tiny_model(), tiny_set()
    callbacks = quiet(model)
    metric = PrecisionRecall(2, binarize=True)
    callbacks.callbacks = [
        MetricCallback(data, metric),
        *(MultiLabelStatsCallback(data, ["a", "b"], metric, stream=io.StringIO()) for _ in range(2)),
    ]
    fit(model, callbacks, 1)
    assert set(callbacks.callback_data["metrics"]) == {"Precision", "Recall", "per_label"}
    assert set(callbacks.callback_data["metrics/per_label/Recall"]) == {"a", "b", "a_2", "b_2"}


def test_pass_is_shared_with_the_loss() -> None:
    data, model = Batches(3, [1, 2], [6, 1]), Scaling()
    callbacks = quiet(model)
    callbacks.callbacks = [
        LossCallback(data),
        MultiLabelStatsCallback(data, ["a"], Shares([[0.25, 0.5]]), stream=io.StringIO()),
    ]
    hand_loop(callbacks, 2)
    assert data.passes == 2


def test_values_that_are_not_of_the_whole_set_are_told_of_once_a_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tallies, "MOST_GATHERED_BYTES", 16)
    data = Batches(4, [1, 2], [6, 1])
    stats = MultiLabelStatsCallback(data, ["a"], Shares([[0.25, 0.5]]), stream=io.StringIO())
    for _ in range(2):
        caplog.clear()
        callbacks = quiet(Scaling())
        callbacks.callbacks = [stats]
        with caplog.at_level(logging.WARNING, logger="trainsignal.callbacks.multi_label_stats"):
            hand_loop(callbacks, 2)
        assert [one.getMessage()[:38] for one in caplog.records] == ["values of labels are means over 2 part"]


@pytest.mark.parametrize("labels, message", [
    ("abc", "labels='abc': expected a list"), (None, "labels=None: expected a list"),
    ([], "expected one or more names"), (["a", ""], "none of them empty"),
    (["a", "b", "a"], "'a' is there twice; give each class its own name"),
    (iter([1, "1"]), "'1' is there twice"),
    (["a", "b", "c"], "3 labels, but Shares has values of 2 classes"),
], ids=repr)  # fmt: skip
def test_labels_that_are_no_names_of_classes_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MultiLabelStatsCallback(tiny_set(), labels, Shares(np.zeros((2, 2))))


@pytest.mark.parametrize("metric, message", [
    (Accuracy(), "Accuracy has no `outputs`"), (Accuracy, r"pass Accuracy\(\)"),
    (Shares(np.zeros(2)), r"outputs has shape \(2,\), .* \(classes, 2\): for each label Share and Rest"),
    (Shares(np.zeros((2, 3))), r"outputs has shape \(2, 3\), expected \(classes, 2\)"),
])  # fmt: skip
def test_metric_without_a_row_for_each_label_is_refused(metric: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MultiLabelStatsCallback(tiny_set(), ["a"], metric)


def test_metric_whose_values_change_their_shape_is_refused() -> None:
    class Shrinking(Shares):
        def __call__(self, outputs: Any, targets: Any) -> None:
            self.outputs = np.zeros((1, 2))

    with pytest.raises(ConfigurationError, match="2 labels, but Shrinking has values of 1 classes"):
        shown(Shrinking(np.zeros((2, 2))))


def test_missing_set_is_refused() -> None:
    with pytest.raises(DataError, match="eval_set=None"):
        MultiLabelStatsCallback(None, ["a"], Shares([[0, 0]]))


def test_model_that_cannot_infer_is_refused_before_the_run() -> None:
    callbacks = quiet()
    callbacks.callbacks = [MultiLabelStatsCallback(tiny_set(), ["a"], Shares([[0, 0]]))]
    with pytest.raises(MissingAbilityError, match="MultiLabelStatsCallback needs a model with fprop"):
        callbacks.on_train_begin(1)
