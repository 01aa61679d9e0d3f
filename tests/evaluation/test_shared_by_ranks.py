from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.evaluating import Batches, Mean, Raising, Scaling
from tests.support.exchanging import ExchangingRank, on_ranks, trained_on
from tests.support.pairs import Gathering, PairModel
from tests.support.runs import hand_loop, quiet
from trainsignal import Callback, LossCallback, MetricCallback, MultiLabelStatsCallback, keys
from trainsignal.errors import DataError, MissingAbilityError
from trainsignal.evaluation import Evaluations
from trainsignal.models.numpy_net import PrecisionRecall


class Changer(Callback):
    """One that doubles what the model gives, and says so."""

    writes = (keys.MODEL,)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        model.scale *= 2


class Plain(Callback):
    """One that declares nothing."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        pass


class Late(MetricCallback):
    """One that runs after the handlers."""

    optional_reads = (keys.RUN_STATE,)


class OnOddEpochs(MetricCallback):
    """A metric with a rule of its own."""

    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return time % 2 == 1


def part_of(rank: ExchangingRank) -> Batches:
    """Return a rank's one sample, which is its number plus 1: 1 and 2, whose mean is 1.5."""
    return Batches(1, [rank.rank + 1])


def on_two(made: Callable[[ExchangingRank, Any], Sequence[Callback]], **options: Any) -> list[Any]:
    """Train on two ranks, and return of each: the series' rows, what it exchanged, and its data set."""

    def work(rank: ExchangingRank) -> Any:
        data = part_of(rank)
        callbacks, sums = trained_on(rank, Scaling(), made(rank, data), **options)
        series = callbacks.callback_data
        rows = {
            key: series[key][:].tolist()
            for group in ("cost", "metrics")
            if group in series
            for key in (f"{group}/{name}" for name in series[group])
        }
        return rows, rank.calls, data, sums

    return on_ranks(2, work)


def test_loss_and_metrics_are_those_of_all_ranks_by_one_exchange_and_one_pass() -> None:
    for rows, calls, data, _ in on_two(
        lambda rank, data: [LossCallback(data), MetricCallback(data, Mean())], epochs=3
    ):
        assert rows == {"cost/loss": [1.5] * 3, "metrics/Mean": [1.5] * 3}
        assert calls == [("sum", 4)] * 3
        assert data.passes == 3


def test_all_data_sets_of_a_stretch_are_one_exchange() -> None:
    for rows, calls, _, _ in on_two(
        lambda rank, data: [LossCallback(data), LossCallback(Batches(1, [7]), label="other")]
    ):
        assert rows == {"cost/loss": [1.5], "cost/other": [7]}
        assert calls == [("sum", 4)]


def test_riders_travel_along_and_alone_where_nothing_is_due() -> None:
    for _, calls, _, sums in on_two(
        lambda rank, data: [LossCallback(data, epoch_freq=2)], epochs=2, riders=[1.0, 2.5]
    ):
        assert sums == [[2.0, 5.0]] * 2
        assert calls == [("sum", 2), ("sum", 4)]


def test_without_an_exchange_riders_come_back_and_nothing_is_prepared() -> None:
    data, model, riders = Batches(1, [1]), Scaling(), np.array([3.0])
    made = quiet(model)
    made.callbacks = [LossCallback(data)]
    evaluations = made.run.evaluations
    seen: list[Any] = []
    made.bus.subscribe(
        "epoch_end", lambda: seen.append((evaluations.prepare(model, 0, riders), data.passes)), first=True
    )
    hand_loop(made, 1)
    evaluations.finish(model)
    assert seen == [(riders, 0)]
    assert data.passes == 1
    assert evaluations.is_alone


def test_model_that_was_changed_is_evaluated_when_asked_again_in_one_exchange() -> None:
    for rows, calls, data, _ in on_two(lambda rank, data: [
        LossCallback(data), Changer(),
        MetricCallback(data, Mean()), MetricCallback(Batches(1, [5]), Mean("B")),
    ]):  # fmt: skip
        assert rows == {"cost/loss": [1.5], "metrics/Mean": [3], "metrics/B": [10]}
        assert calls == [("sum", 2), ("sum", 4)]
        assert data.passes == 2


@pytest.mark.parametrize("parting", [Plain, Changer])
def test_first_stretch_may_be_empty(parting: type[Callback]) -> None:
    for _, calls, _, _ in on_two(lambda rank, data: [parting(), LossCallback(data)], riders=[1.0]):
        assert calls == [("sum", 1), ("sum", 2)]


def test_changer_that_evaluates_is_exchanged_for_itself() -> None:
    class Tuning(LossCallback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)
            model.scale *= 2

    for rows, calls, _, _ in on_two(lambda rank, data: [
        LossCallback(data), Tuning(data, label="tuned"), MetricCallback(data, Mean()),
    ]):  # fmt: skip
        assert rows == {"cost/loss": [1.5], "cost/tuned": [1.5], "metrics/Mean": [3]}
        assert calls == [("sum", 2)] * 3


def test_one_that_runs_after_the_handlers_begins_another_stretch() -> None:
    for rows, calls, _, _ in on_two(lambda rank, data: [LossCallback(data), Late(data, Mean())]):
        assert rows["metrics/Mean"] == [1.5]
        assert calls == [("sum", 2), ("sum", 2)]


def test_one_that_decides_by_itself_is_exchanged_when_it_asks() -> None:
    for rows, calls, _, _ in on_two(
        lambda rank, data: [LossCallback(data), OnOddEpochs(data, Mean())], epochs=2
    ):
        assert rows["metrics/Mean"][1] == 1.5
        assert calls == [("sum", 2)] * 3


def test_asking_again_and_for_something_else_is_exchanged_at_once() -> None:
    class Twice(MetricCallback):
        optional_reads = ()

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)
            self.metric = Mean("Mean", 10)
            super().on_epoch_end(callback_data, model, epoch)

    for rows, calls, _, _ in on_two(lambda rank, data: [Twice(data, Mean())]):
        assert rows == {"metrics/Mean": [15]}
        assert calls == [("sum", 2)] * 2


def test_what_is_asked_amid_an_epoch_is_exchanged_at_once_and_not_kept() -> None:
    class Eager(LossCallback):
        optional_reads = ()

        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)
            model.scale *= 2

    for rows, calls, _, _ in on_two(lambda rank, data: [Eager(data)]):
        assert rows == {"cost/loss": [3]}
        assert calls == [("sum", 2)] * 2


def test_only_the_first_ranks_callbacks_evaluate_for_themselves_and_part_nothing() -> None:
    def work(rank: ExchangingRank) -> Any:
        data = part_of(rank)
        shared = [LossCallback(data), MetricCallback(data, Mean())]
        own = [Plain(), LossCallback(Batches(1, [40]), label="own")] if rank.rank == 0 else []
        in_order = [shared[0], Changer(), *own, shared[1]]
        callbacks, _ = trained_on(rank, Scaling(), in_order, only_here=own, epochs=2)
        series = callbacks.callback_data
        found = [series[key][:].tolist() for key in ("metrics/Mean", "cost/own") if key in series]
        return found, rank.calls

    first, second = on_ranks(2, work)
    assert first == ([[3, 6], [80, 160]], [("sum", 2)] * 4)
    assert second == ([[3, 6]], [("sum", 2)] * 4)


# -- errors --------------------------------------------------------------------------------------------


def test_error_of_a_rank_is_its_callbacks_and_the_others_have_nan() -> None:
    for rank, (rows, calls, _, _) in enumerate(on_two(
        lambda rank, data: [
            LossCallback(data), MetricCallback(data, Raising("M") if rank.rank else Mean("M")),
        ],
        epochs=2, on_error="log",
    )):  # fmt: skip
        assert rows["cost/loss"] == [1.5, 1.5]
        assert np.isnan(rows["metrics/M"]).all(), rank
        assert calls == [("sum", 4)] * 2


def test_error_ends_the_run_where_it_occurred() -> None:
    with pytest.raises(ZeroDivisionError, match="this metric alone") as raised:
        on_two(lambda rank, data: [MetricCallback(data, Raising() if rank.rank else Mean())])
    assert raised.value.__notes__ == ["while MetricCallback handled epoch_end, epoch 0", "on rank 1"]


@pytest.mark.parametrize("before", [[], [Changer]], ids=["first stretch", "later stretch"])
def test_others_do_not_wait_for_a_callback_that_was_disabled(before: list[type[Callback]]) -> None:
    for rows, calls, _, _ in on_two(
        lambda rank, data: [
            LossCallback(data), *(kind() for kind in before),
            MetricCallback(data, Raising("M") if rank.rank else Mean("M")),
        ],
        epochs=3, on_error="disable",
    ):  # fmt: skip
        assert np.isnan(rows["metrics/M"]).all()
        assert rows["cost/loss"] == ([1.5, 3, 6] if before else [1.5] * 3)
        assert calls == ([("sum", 2)] * 6 if before else [("sum", 4)] * 3)


@pytest.mark.parametrize("after", [[], [Mean("C")]], ids=["alone", "with another"])
def test_one_that_decides_by_itself_comes_after_what_was_due_before_it(after: list[Mean]) -> None:
    for rows, calls, _, _ in on_two(
        lambda rank, data: [
            Changer(), MetricCallback(data, Raising("M") if rank.rank else Mean("M")),
            OnOddEpochs(data, Mean("Odd")), *(MetricCallback(data, one) for one in after),
        ],
        epochs=2, on_error="disable",
    ):  # fmt: skip
        assert rows["metrics/Odd"][1] == 1.5 * 4
        assert rows.get("metrics/C", [3, 6]) == [3, 6]
        assert calls == [("sum", 2 + 2 * len(after))] * 2 + [("sum", 2)]


def test_rank_that_does_not_come_to_a_stretch_passes_it_by() -> None:
    class Absent(MetricCallback):
        reads = ()

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            if self.eval_set.batches != ([2],):
                super().on_epoch_end(callback_data, model, epoch)

    first, second = on_two(lambda rank, data: [
        Changer(), Absent(data, Mean("A")), Changer(), MetricCallback(data, Mean("B")),
    ])  # fmt: skip
    assert np.isnan([first[0]["metrics/A"], second[0]["metrics/A"]]).all()
    assert first[0]["metrics/B"] == second[0]["metrics/B"] == [6]
    assert second[2].passes == 1, "what it passes by it does not evaluate"


def test_what_nobody_fetched_is_forgotten_after_the_epochs_end() -> None:
    class AtTheEnd(LossCallback):
        optional_reads = ()

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            pass

        def on_train_end(self, callback_data: Any, model: Any) -> None:
            model.scale *= 2
            super().on_epoch_end(callback_data, model, 0)

    for rows, _, _, _ in on_two(lambda rank, data: [AtTheEnd(data)]):
        assert rows == {"cost/loss": [3]}


# -- before the first epoch ----------------------------------------------------------------------------


def test_empty_part_of_a_rank_is_fine_and_an_empty_set_of_one_process_is_not() -> None:
    def callbacks(data: Any) -> list[Callback]:
        return [
            LossCallback(data), MetricCallback(data, Mean()),
            MultiLabelStatsCallback(data, ["a"], PrecisionRecall(1)),
        ]  # fmt: skip

    def work(rank: ExchangingRank) -> Any:
        made, _ = trained_on(rank, Scaling(), callbacks(Batches(rank.rank, [4])))
        return [made.callback_data[key][0] for key in ("cost/loss", "metrics/Mean")]

    assert on_ranks(2, work) == [[4, 4]] * 2
    for one in callbacks(Batches(0)):
        made = quiet(Scaling())
        made.callbacks = [one]
        with pytest.raises(DataError, match="eval_set: Batches is empty"):
            made.on_train_begin(1)


def test_sets_that_are_empty_everywhere_are_an_error_of_every_rank() -> None:
    with pytest.raises(DataError, match="on any rank"):
        on_ranks(2, lambda rank: trained_on(rank, Scaling(), [LossCallback(Batches(0))]))


def test_labels_of_several_ranks_are_printed_once_and_told_to_be_means(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def work(rank: ExchangingRank) -> Any:
        callback = MultiLabelStatsCallback(Batches(1, [1]), ["a"], PrecisionRecall(1))
        made, _ = trained_on(rank, Scaling(), [callback], epochs=2)
        return made.callback_data["metrics/per_label/Precision/a"][:].tolist()

    assert on_ranks(2, work) == [[pytest.approx(1, abs=1e-5)] * 2] * 2
    assert sum("means over 2 parts" in one.getMessage() for one in caplog.records) == 1
    assert capsys.readouterr().out == 2 * "[Precision: 99% Recall: 99% ] -> a\n"


def test_metric_that_cannot_be_merged_is_refused_before_the_first_epoch() -> None:
    class Inferring(PairModel):
        def fprop(self, x: Any, inference: bool = False) -> Any:
            raise AssertionError("a model of pairs predicts")

        def eval(self, dataset: Any, metric: Any) -> Any:
            raise AssertionError("what can infer is evaluated in a shared pass")

    with pytest.raises(MissingAbilityError, match="Inferring cannot merge") as raised:
        on_ranks(1, lambda rank: trained_on(rank, Inferring(), [MetricCallback([], Gathering())]))
    assert raised.value.__notes__[0] == "while MetricCallback handled train_begin"


@pytest.mark.parametrize("kind", ["loss", "metric", "labels"])
def test_others_do_not_wait_for_a_rank_whose_callback_could_not_begin(kind: str) -> None:
    class Failing(Callback):
        """One that makes the series of the other callback impossible."""

        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_dataset("cost", data=1)
            callback_data.create_dataset("metrics", data=1)

    def work(rank: ExchangingRank) -> Any:
        data = part_of(rank)
        evaluating: dict[str, Callback] = {
            "loss": LossCallback(data),
            "metric": MetricCallback(data, Mean()),
            "labels": MultiLabelStatsCallback(data, ["a"], PrecisionRecall(1)),
        }
        made = [*([Failing()] if rank.rank else []), evaluating[kind]]
        trained_on(rank, Scaling(), made, on_error="disable")
        return rank.calls

    first, second = on_ranks(2, work)
    assert first == second
    assert len(first) == 1


@pytest.mark.parametrize("made", [LossCallback, lambda data: MetricCallback(data, Mean())])
def test_others_do_not_wait_for_a_rank_whose_data_set_is_refused(made: Any) -> None:
    for _, calls, _, _ in on_two(
        lambda rank, data: [made([1] if rank.rank else data)], on_error="disable"
    ):  # fmt: skip
        assert calls == [("sum", 2)]


def test_model_that_evaluates_by_itself_exchanges_nothing() -> None:
    class Evaluating:
        finished = False

        def eval(self, dataset: Any, metric: Any) -> Any:
            return [7.0]

    def work(rank: ExchangingRank) -> Any:
        made, _ = trained_on(rank, Evaluating(), [MetricCallback(part_of(rank), Mean())])
        return made.callback_data["metrics/Mean"][0], rank.calls

    assert on_ranks(2, work) == [(7, [])] * 2


# -- in any order --------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.tuples(st.just("loss"), st.integers(0, 1), st.sampled_from([1, 2])),
    st.tuples(st.just("metric"), st.integers(0, 1), st.sampled_from([1, 2])),
    st.tuples(st.sampled_from(["gated", "late"]), st.integers(0, 1), st.just(1)),
    st.tuples(st.sampled_from(["plain", "changer"]), st.just(0), st.sampled_from([1, 2])),
)


def piece(kind: str, frequency: int, number: int, data: Any) -> Callback:
    makers: dict[str, Callable[[], Callback]] = {
        "loss": lambda: LossCallback(data, frequency, label=f"L{number}"),
        "metric": lambda: MetricCallback(data, Mean(f"M{number}"), frequency),
        "gated": lambda: OnOddEpochs(data, Mean(f"M{number}")),
        "late": lambda: Late(data, Mean(f"M{number}")),
        "plain": lambda: Plain(epoch_freq=frequency),
        "changer": lambda: Changer(epoch_freq=frequency),
    }
    return makers[kind]()


@settings(max_examples=30, deadline=None)
@given(st.lists(PIECES, max_size=6), st.integers(1, 3))
def test_values_are_those_of_one_process_in_any_order(pieces: list[Any], size: int) -> None:
    def made(sets: list[Batches]) -> list[Callback]:
        return [piece(kind, freq, number, sets[which]) for number, (kind, which, freq) in enumerate(pieces)]

    def rows(callbacks: Any) -> dict[str, list[float]]:
        data = callbacks.callback_data
        return {
            name: data[name][:].tolist()
            for number in range(len(pieces))
            for name in (f"cost/L{number}", f"metrics/M{number}")
            if name in data
        }

    def work(rank: ExchangingRank) -> Any:
        sets = [Batches(1, [rank.rank]), Batches(2, [8, 4]) if rank.rank == size - 1 else Batches(0)]
        return rows(trained_on(rank, Scaling(), made(sets), epochs=2)[0])

    alone = quiet(Scaling())
    alone.callbacks = made([Batches(size, [*range(size)]), Batches(2, [8, 4])])
    hand_loop(alone, 2, minibatches=1)
    expected = rows(alone)
    for got in on_ranks(size, work):
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(got[name], values, rtol=1e-6)


def test_evaluations_of_no_run_are_alone() -> None:
    assert Evaluations(lambda: None).is_alone
