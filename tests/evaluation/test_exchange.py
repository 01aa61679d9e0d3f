from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.evaluating import Batches, Mean, Raising, Scaling, Tensor
from tests.support.exchanging import ExchangingRank, on_ranks
from tests.support.pairs import Gathering, PairModelWithLoss, StateMetric, batch, mean_output
from tests.support.runs import FakeClock
from trainsignal.errors import ConfigurationError, DataError, MissingAbilityError
from trainsignal.evaluation import CostTally, LabelTally, MetricTally, Outcome, Request, evaluate
from trainsignal.evaluation.exchange import Alone, exchanged, pass_by
from trainsignal.models.numpy_net import PrecisionRecall

NO_RIDERS = np.empty(0)


def loss(dataset: Any) -> Request:
    return Request(dataset, CostTally, FakeClock())


def mean(dataset: Any, metric: Any = None) -> Request:
    return Request(dataset, MetricTally, Mean() if metric is None else metric)


def outcomes_of(model: Any, *of_ranks: Sequence[Request]) -> list[list[Outcome]]:
    """Return what became of each rank's requests."""
    return on_ranks(len(of_ranks), lambda rank: exchanged(rank, model, of_ranks[rank.rank], NO_RIDERS)[0])


def values(outcomes: Sequence[Outcome]) -> list[Any]:
    return [np.asarray(one.result()).tolist() for one in outcomes]


class Swapping:
    """Two values in columns of neon's: the first, and the sum of both rows."""

    metric_names = ("first", "both")

    def __call__(self, y: Any, t: Any, calcrange: Any) -> Any:
        both = np.stack([y[0, calcrange], (y + t)[0, calcrange]])
        return both.mean(axis=1, dtype=np.float64)


class Ragged:
    """A data set of numbered samples in minibatches of two, the last filled up; one row of inputs."""

    def __init__(self, samples: Sequence[float]) -> None:
        self.samples, self.ndata = list(samples), len(samples)
        self.batch_size = 2

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for first in range(0, self.ndata, 2):
            part = [*self.samples[first : first + 2], 1e6][:2]
            columns = np.array([part], np.float32)
            yield columns, 3 * columns


NUMBERS = st.floats(-1e3, 1e3, width=32)
SHARDS = st.lists(st.lists(NUMBERS, max_size=7), min_size=1, max_size=4).filter(any)


# -- the values of the whole ---------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(SHARDS)
def test_shards_of_any_sizes_give_the_values_of_the_whole(shards: list[list[float]]) -> None:
    model, requests = Scaling(), (loss, lambda dataset: mean(dataset, Swapping()))
    whole = Ragged([sample for shard in shards for sample in shard])
    expected = [one.result() for one in evaluate(model, [make(whole) for make in requests])]
    for got in outcomes_of(model, *([make(Ragged(shard)) for make in requests] for shard in shards)):
        cost, seconds = got[0].result()
        assert (cost, seconds) == (pytest.approx(expected[0][0], rel=1e-12, abs=1e-12), 0)
        np.testing.assert_allclose(got[1].result(), expected[1], rtol=2e-7, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(SHARDS)
def test_shards_of_pairs_give_the_values_of_the_whole(shards: list[list[float]]) -> None:
    def dataset(samples: list[float]) -> list[Any]:
        return [batch(*samples[first : first + 2]) for first in range(0, len(samples), 2)]

    model = PairModelWithLoss()
    whole = np.array([sample for shard in shards for sample in shard])
    for got in outcomes_of(
        model, *([loss(dataset(shard)), mean(dataset(shard), mean_output)] for shard in shards)
    ):
        assert got[0].result()[0] == pytest.approx(np.abs(2 * whole).mean(), rel=1e-6)
        assert got[1].result()[0] == pytest.approx((2 * whole).mean(), rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("sizes", [(5, 3), (8, 0), (0, 1, 7)], ids=str)
def test_values_of_labels_are_means_over_the_ranks_that_have_samples(sizes: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    scores, truth = generator.random((3, 8)), np.eye(3)[:, generator.integers(0, 3, 8)]

    class Columns:
        def __init__(self, first: int, count: int) -> None:
            self.ndata, self.first = count, first

        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            part = slice(self.first, self.first + self.ndata)
            yield scores[:, part], truth[:, part]

    starts = np.cumsum([0, *sizes])
    metrics = [PrecisionRecall(3, binarize=True) for _ in sizes]
    parts = [Columns(int(first), count) for first, count in zip(starts, sizes, strict=False)]
    got = outcomes_of(
        Scaling(), *([Request(one, LabelTally, metric)] for one, metric in zip(parts, metrics, strict=True))
    )
    alone = [
        evaluate(Scaling(), [Request(one, LabelTally, PrecisionRecall(3, binarize=True))])[0].result().table
        * one.ndata
        for one in parts
        if one.ndata
    ]
    for (outcome,) in got:
        np.testing.assert_allclose(outcome.result().table, sum(alone) / 8, rtol=1e-6)
        assert outcome.result().parts == len(alone)


def test_metric_of_keras_is_the_mean_of_the_ranks_weighted_by_samples() -> None:
    parts = [[batch(1.0, target=2.0)], [batch(1.0, 1.0, target=3.0)], []]
    metrics = [StateMetric() for _ in parts]
    got = outcomes_of(
        PairModelWithLoss(), *([mean(part, metric)] for part, metric in zip(parts, metrics, strict=True))
    )
    for (outcome,) in got:  # the sums of targets are 2 and 6, of 1 and 2 samples
        np.testing.assert_allclose(outcome.result(), [(1 * 2 + 2 * 6) / 3], rtol=1e-6)
    assert [metric.total for metric in metrics] == [0.0] * 3


def test_one_sum_and_no_gather_serve_all_requests_on_all_data_sets_and_the_riders() -> None:
    def work(rank: ExchangingRank) -> Any:
        one, other = Batches(1, [rank.rank]), Batches(1, [10])
        outcomes, riders = exchanged(
            rank, Scaling(), [loss(one), loss(other), mean(one)], np.array([1.0, rank.rank])
        )
        return values(outcomes), riders.tolist(), rank.calls, (one.passes, other.passes)

    for got in on_ranks(3, work):
        assert got == ([[1.0, 0], [10.0, 0], [1.0]], [3.0, 3.0], [("sum", 8)], (1, 1))


def test_nothing_is_exchanged_where_there_is_nothing() -> None:
    outcomes, riders = exchanged(ExchangingRank(0, None), Scaling(), [], NO_RIDERS)  # type: ignore[arg-type]
    assert (outcomes, riders.tolist()) == ([], [])


def test_one_rank_for_itself_has_its_own_values() -> None:
    (outcome,), riders = exchanged(Alone(), Scaling(), [loss(Batches(3, [1, 2], [6, 9]))], np.array([5.0]))
    assert (outcome.result(), riders.tolist()) == ((3, 0), [5])
    assert Alone().gather(b"mine") == [b"mine"]


def test_seconds_of_the_loss_are_those_of_the_pass_and_not_of_the_waiting() -> None:
    clock = FakeClock()

    class Slow(Batches):
        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            clock.now += 2
            yield from super().__iter__()

    class Waiting(Alone):
        def sum(self, given: Any) -> Any:
            clock.now += 100
            return given

    (outcome,), _ = exchanged(Waiting(), Scaling(), [Request(Slow(1, [1]), CostTally, clock)], NO_RIDERS)
    assert outcome.result() == (1, 2)


# -- no samples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [Batches(0), Batches(0, [1]), Batches(4)], ids=["no", "more", "none"])
def test_rank_without_samples_takes_part(empty: Batches) -> None:
    for outcomes in outcomes_of(Scaling(), *([loss(one), mean(one)] for one in (empty, Batches(1, [5])))):
        assert values(outcomes) == [[5, 0], [5]]


def test_rank_without_samples_gives_as_many_zeros_as_there_are_names() -> None:
    class Extremes:
        metric_names = ("least", "most")

        def __call__(self, outputs: Any, targets: Any) -> Any:
            return np.array([outputs.values.min(), outputs.values.max()])

    class MissingAtFirst(StateMetric):
        def result(self) -> Any:
            return super().result() if self.total else np.nan

    parts: list[Any] = [[], [batch(1.0, 3.0, target=2.0)]]
    for extremes, total in outcomes_of(
        PairModelWithLoss(), *([mean(part, Extremes()), mean(part, MissingAtFirst())] for part in parts)
    ):
        assert (extremes.result().tolist(), total.result().tolist()) == ([2, 6], [4])


@pytest.mark.parametrize("model, empty", [
    (Scaling(), Batches(0)), (PairModelWithLoss(), []),
], ids=["columns", "pairs"])  # fmt: skip
def test_set_that_is_empty_on_all_ranks_is_an_error_on_all(model: Any, empty: Any) -> None:
    for outcomes in outcomes_of(model, *([loss(empty), mean(empty, mean_output)] for _ in range(2))):
        for outcome in outcomes:
            with pytest.raises(DataError, match="yielded no minibatch to evaluate on, on any rank"):
                outcome.result()


# -- errors --------------------------------------------------------------------------------------------


class Broken(Batches):
    """A data set that cannot be read to its end."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        yield from super().__iter__()
        raise OSError("the disk")


def test_error_of_a_metric_on_one_rank_is_its_own_and_the_others_get_nan() -> None:
    first, second = outcomes_of(
        Scaling(), *([loss(one), mean(one, metric)] for one, metric in (
            (Batches(1, [1]), Raising()), (Batches(1, [3]), Mean()),
        ))
    )  # fmt: skip
    assert values([first[0], second[0]]) == [[2, 0], [2, 0]]
    with pytest.raises(ZeroDivisionError, match="this metric alone"):
        first[1].result()
    assert np.isnan(second[1].result()).all()
    assert second[1].result().shape == (1,)


def test_error_of_the_data_set_on_one_rank_is_that_of_all_its_requests_there() -> None:
    good = Batches(1, [4])
    first, second = outcomes_of(
        Scaling(), *([loss(one), loss(good), mean(one)] for one in (Broken(1, [1]), Batches(1, [3])))
    )
    for outcome in (first[0], first[2]):
        with pytest.raises(OSError, match="the disk"):
            outcome.result()
    assert values([first[1], second[1]]) == [[4, 0], [4, 0]]
    assert np.isnan([second[0].result()[0], second[2].result()[0]]).all()


def test_error_of_the_model_on_one_rank_is_its_own() -> None:
    class Failing(Scaling):
        def fprop(self, x: Any, inference: bool = False) -> Any:
            raise OSError("the device")

    def work(rank: ExchangingRank) -> Any:
        model = Failing() if rank.rank else Scaling()
        return exchanged(rank, model, [loss(Batches(1, [1]))], NO_RIDERS)[0][0]

    good, bad = on_ranks(2, work)
    assert np.isnan(good.result()[0])
    with pytest.raises(OSError, match="the device"):
        bad.result()


@pytest.mark.parametrize("is_pair", [False, True], ids=["columns", "pairs"])
def test_metric_of_another_number_of_values_is_told_where_it_is_and_nobody_waits(is_pair: bool) -> None:
    class Changing(Mean):
        def __init__(self, count: int) -> None:
            self.metric_names, self.count = ["a", "b"], count

        def __call__(self, y: Any, t: Any, calcrange: Any = None) -> Any:
            return np.ones(self.count)

    model: Any = PairModelWithLoss() if is_pair else Scaling()
    dataset: Any = [batch(1.0)] if is_pair else Batches(1, [1])
    good, bad = outcomes_of(model, *([mean(dataset, Changing(count))] for count in (2, 3)))
    assert np.isnan(good[0].result()).tolist() == [True, True]
    with pytest.raises(ConfigurationError, match=r"Changing gave 3 values for its metric_names \['a', 'b'\]"):
        bad[0].result()


def test_values_of_labels_are_missing_where_a_rank_failed() -> None:
    class Failing(PrecisionRecall):
        def __call__(self, *args: Any) -> Any:
            raise ZeroDivisionError

    columns = Batches(1, [1.0])
    good, bad = outcomes_of(
        Scaling(), *([Request(columns, LabelTally, one)] for one in (PrecisionRecall(1), Failing(1)))
    )
    assert np.isnan(good[0].result().table).tolist() == [[True, True]]
    with pytest.raises(ZeroDivisionError):
        bad[0].result()


def test_pass_goes_on_to_its_end_where_all_requests_have_failed_for_other_ranks_may_wait() -> None:
    model, data = Scaling(), Batches(4, [1, 2], [3, 4])
    exchanged(Alone(), model, [mean(data, Raising())], NO_RIDERS)
    assert model.forwards == 2
    pairs = PairModelWithLoss()
    exchanged(Alone(), pairs, [mean([batch(1.0)] * 3, Raising())], NO_RIDERS)
    assert pairs.forwards == 3


def test_wish_to_stop_comes_out_at_once() -> None:
    def interrupted(outputs: Any, targets: Any, calcrange: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exchanged(Alone(), Scaling(), [mean(Batches(1, [1]), interrupted)], NO_RIDERS)


def test_rank_that_passes_by_gives_nan_and_evaluates_nothing() -> None:
    data = Batches(1, [1])

    def work(rank: ExchangingRank) -> Any:
        if rank.rank:
            pass_by(rank, Scaling(), [loss(data), mean(data)])
            return None
        return exchanged(rank, Scaling(), [loss(Batches(1, [2])), mean(Batches(1, [2]))], NO_RIDERS)[0]

    got, _ = on_ranks(2, work)
    assert np.isnan([got[0].result()[0], got[1].result()[0]]).all()
    assert data.passes == 0


# -- metrics that gather states ------------------------------------------------------------------------


class Merger(PairModelWithLoss):
    """A model that merges `Gathering`: the largest output of all ranks."""

    merged: list[int]

    def metric_states(self, metric: Any) -> dict[str, Any]:
        return {"largest": np.array(metric.largest)}

    def set_metric_states(self, metric: Any, states: Sequence[Any]) -> None:
        assert self.is_evaluating
        self.merged = [len(states)]
        metric.largest = max(float(one["largest"]) for one in states)


@pytest.mark.parametrize("parts, ranks_with_samples", [
    (([batch(1.0)], [batch(3.0, 2.0)]), 2), (([], [batch(3.0)]), 1), (([batch(3.0)], []), 1),
], ids=["both", "second", "first"])  # fmt: skip
def test_states_are_gathered_once_and_merged_of_ranks_with_samples(
    parts: tuple[list[Any], list[Any]], ranks_with_samples: int
) -> None:
    def work(rank: ExchangingRank) -> Any:
        part, model = parts[rank.rank], Merger()
        requests = [mean(part, Gathering()), loss(part), mean(part, Gathering())]
        outcomes, _ = exchanged(rank, model, requests, NO_RIDERS)
        assert not model.is_evaluating
        return outcomes[0].result(), outcomes[2].result(), rank.calls, model.merged

    for got in on_ranks(2, work):
        assert got == ([6.0], [6.0], [("sum", 2), ("gather", 1)], [ranks_with_samples])


def test_states_of_no_sample_on_any_rank_are_an_error_on_all() -> None:
    for (outcome,) in outcomes_of(Merger(), *([mean([], Gathering())] for _ in range(2))):
        with pytest.raises(DataError, match="on any rank"):
            outcome.result()


def test_rank_whose_metric_fails_leaves_the_others_nan() -> None:
    class Failing(Gathering):
        def update(self, outputs: Any, targets: Any) -> None:
            raise ZeroDivisionError

    part = [batch(1.0)]
    (good,), (bad,) = outcomes_of(Merger(), [mean(part, Gathering())], [mean(part, Failing())])
    assert np.isnan(good.result()).tolist() == [True]
    with pytest.raises(ZeroDivisionError):
        bad.result()


def test_rank_whose_data_set_fails_leaves_the_others_nan() -> None:
    class Unreadable:
        def __iter__(self) -> Any:
            raise OSError("the disk")

    (good,), (bad,) = outcomes_of(
        Merger(), [mean([batch(1.0)], Gathering())], [mean(Unreadable(), Gathering())]
    )
    assert np.isnan(good.result()).tolist() == [True]
    with pytest.raises(OSError, match="the disk"):
        bad.result()


def test_error_of_the_merged_metric_is_that_of_all() -> None:
    class Failing(Gathering):
        def compute(self) -> Any:
            raise ZeroDivisionError

    for (outcome,) in outcomes_of(Merger(), *([mean([batch(1.0)], Failing())] for _ in range(2))):
        with pytest.raises(ZeroDivisionError):
            outcome.result()


def test_model_that_merges_nothing_says_what_to_do() -> None:
    (outcome,), _ = exchanged(Alone(), PairModelWithLoss(), [mean([batch(1.0)], Gathering())], NO_RIDERS)
    with pytest.raises(MissingAbilityError, match=r"PairModelWithLoss cannot merge .* use a function"):
        outcome.result()


# -- samples that are not a rank's own -----------------------------------------------------------------


class KnowsOwn(PairModelWithLoss):
    """A model that knows how many samples of any data set are this rank's own."""

    def __init__(self, own: int | None) -> None:
        super().__init__()
        self.own = own

    def predict(self, inputs: Any) -> Any:
        self.forwards += 1
        return inputs

    def loss(self, outputs: Any, targets: Any) -> Any:
        return outputs.mean()

    def own_samples(self, dataset: Any) -> int | None:
        return self.own


@pytest.mark.parametrize("own, expected", [(None, 2.0), (3, 2.0), (2, 1.5), (1, 1.0)], ids=str)
def test_only_own_samples_count_and_the_model_is_shown_all(own: int | None, expected: float) -> None:
    dataset = [(np.array([1.0, 2.0]), np.zeros(2)), (np.array([3.0]), np.zeros(1))]
    model = KnowsOwn(own)
    (outcome,), _ = exchanged(Alone(), model, [loss(dataset)], NO_RIDERS)
    assert (outcome.result()[0], model.forwards) == (expected, 2)
    assert evaluate(model, [loss(dataset)])[0].result()[0] == 2.0, "of a single process all count"


def test_rank_with_no_sample_of_its_own_is_as_an_empty_one() -> None:
    (outcome,), _ = exchanged(Alone(), KnowsOwn(0), [loss([(np.ones(2), np.ones(2))])], NO_RIDERS)
    with pytest.raises(DataError, match="on any rank"):
        outcome.result()


def test_costs_in_tensors_are_summed_too() -> None:
    class OnDevice(Scaling):
        def fprop(self, x: Any, inference: bool = False) -> Any:
            return Tensor(super().fprop(x, inference))

    for (outcome,) in outcomes_of(OnDevice(), [loss(Batches(1, [1]))], [loss(Batches(2, [4, 4]))]):
        assert outcome.result() == (3, 0)
