from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.evaluating import Batches, Mean, Raising, Scaling
from tests.support.pairs import Gathering, PairModelWithLoss, batch, mean_output
from tests.support.runs import hand_loop, quiet
from trainsignal import Callback, Callbacks, LossCallback, MetricCallback, TrainCostCallback, keys
from trainsignal.errors import DataError
from trainsignal.frequency import Frequency, fires
from trainsignal.shared_data import SharedData


def valid_set() -> Batches:
    """Return 3 samples in 2 minibatches, whose mean is 3."""
    return Batches(3, [1, 2], [6, 100])


def container(*callbacks: Callback, model: Any = None, **options: Any) -> Callbacks:
    made = quiet(Scaling() if model is None else model, **options)
    made.callbacks = list(callbacks)
    return made


def trained(*callbacks: Callback, epochs: int = 1, **options: Any) -> Callbacks:
    """Run callbacks to the end of a run."""
    made = container(*callbacks, **options)
    hand_loop(made, epochs, minibatches=1)
    return made


class Plain(Callback):
    """A callback as neon's users write them: it declares nothing, and doubles what the model gives."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        model.scale *= 2


class Changer(Plain):
    """One that says that it changes the model."""

    writes = (keys.MODEL,)


class Reader(Callback):
    """One that reads the loss and declares it, and so is trusted to leave the model alone."""

    optional_reads = (keys.LOSS,)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        pass


class Declaring(Callback):
    """One that declares something, if only that it writes nothing."""

    writes = ()

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        pass


class AtMinibatches(Callback):
    """A plain one that has nothing to do at an epoch's end."""

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        pass


class OnOddEpochs(MetricCallback):
    """A metric with a rule of its own."""

    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return time % 2 == 1


def plain_function(*_: Any) -> None:
    """Do nothing."""


def test_a_loss_and_six_metrics_on_one_set_are_one_pass_an_epoch() -> None:
    data = valid_set()
    metrics = [MetricCallback(data, Mean(f"M{number}", number)) for number in range(6)]
    made = trained(LossCallback(data), *metrics, epochs=2)
    assert (data.passes, made.model().forwards) == (2, 4)
    assert made.callback_data["cost/loss"][:].tolist() == [3, 3]
    for number in range(6):
        assert made.callback_data[f"metrics/M{number}"][:].tolist() == [3 * number, 3 * number]


@pytest.mark.parametrize("between", [Reader, Declaring, AtMinibatches])
def test_callback_that_leaves_the_model_alone_does_not_part_a_pass(between: type[Callback]) -> None:
    data = valid_set()
    trained(LossCallback(data), between(), MetricCallback(data, Mean()))
    assert data.passes == 1


def declared_by_the_instance() -> Callback:
    one = Plain()
    one.reads, one.writes = (keys.LOSS,), (keys.MODEL,)
    return one


@pytest.mark.parametrize("changer", [Plain, Changer, declared_by_the_instance])
def test_callback_that_may_change_the_model_parts_a_pass(changer: Callable[[], Callback]) -> None:
    data = valid_set()
    metric, last = MetricCallback(data, Mean()), MetricCallback(data, Mean("Last"))
    made = trained(LossCallback(data), metric, changer(), last)
    assert data.passes == 2
    assert made.callback_data["cost/loss"][0] == made.callback_data["metrics/Mean"][0] == 3
    assert made.callback_data["metrics/Last"][0] == 6


def test_instance_that_declares_what_it_reads_is_trusted() -> None:
    data, between = valid_set(), Callback()
    vars(between)["on_epoch_end"] = plain_function
    between.reads = ()
    trained(LossCallback(data), between, MetricCallback(data, Mean()))
    assert data.passes == 1


def test_hook_that_is_replaced_on_an_instance_may_do_anything() -> None:
    data, between = valid_set(), AtMinibatches()
    vars(between)["on_epoch_end"] = plain_function
    trained(LossCallback(data), between, MetricCallback(data, Mean()))
    assert data.passes == 2


def test_callback_that_does_not_fire_at_an_epoch_parts_no_pass_of_it() -> None:
    data = valid_set()
    trained(LossCallback(data), Plain(epoch_freq=2), MetricCallback(data, Mean()), epochs=2)
    assert data.passes == 3


def test_changer_with_a_rule_of_its_own_parts_every_pass() -> None:
    class Gated(Plain):
        def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
            return False

    data = valid_set()
    trained(LossCallback(data), Gated(), MetricCallback(data, Mean()))
    assert data.passes == 2


def test_evaluation_that_itself_changes_the_model_is_computed_alone() -> None:
    class Tuning(LossCallback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)
            model.scale *= 2

    data = valid_set()
    tuning = Tuning(data, label="tuned")
    tuning.writes = [*tuning.writes, keys.MODEL]
    made = trained(LossCallback(data), tuning, MetricCallback(data, Mean()))
    assert data.passes == 3
    values = [made.callback_data[key][0] for key in ("cost/loss", "cost/tuned", "metrics/Mean")]
    assert values == [3, 3, 6]


def test_callback_that_runs_after_all_handlers_shares_no_pass_with_those_before() -> None:
    class Late(MetricCallback):
        optional_reads = (keys.RUN_STATE,)

    data = valid_set()
    made = container(LossCallback(data), Late(data, Mean()))
    made.bus.subscribe("epoch_end", lambda run: setattr(run.model, "scale", 2.0))
    hand_loop(made, 1)
    assert data.passes == 2
    assert made.callback_data["metrics/Mean"][0] == 6


def test_each_data_set_has_its_own_pass() -> None:
    one, other = valid_set(), Batches(1, [5])
    made = trained(
        LossCallback(one), LossCallback(other, label="other"),
        MetricCallback(one, Mean("A")), MetricCallback(other, Mean("B")),
    )  # fmt: skip
    assert (one.passes, other.passes) == (1, 1)
    values = [made.callback_data[key][0] for key in ("cost/loss", "cost/other", "metrics/A", "metrics/B")]
    assert values == [3, 5, 3, 5]


def test_two_losses_on_one_set_share_a_pass_too() -> None:
    data = valid_set()
    made = trained(LossCallback(data), LossCallback(data, label="other"))
    assert data.passes == 1
    assert made.callback_data["cost/other"][0] == 3


def test_metric_that_is_due_less_often_is_computed_only_then() -> None:
    data, each, every_second, listed = valid_set(), Mean("A"), Mean("B"), Mean("C")
    trained(
        LossCallback(data), MetricCallback(data, each), MetricCallback(data, every_second, 2),
        MetricCallback(data, listed, [0, 3]), epochs=4,
    )  # fmt: skip
    assert data.passes == 4
    assert (each.calls, every_second.calls, listed.calls) == (8, 4, 4)  # two minibatches each


def test_frequency_that_is_set_amid_the_run_counts() -> None:
    data, metric = valid_set(), Mean()
    rare = MetricCallback(data, metric, [3])
    made = container(LossCallback(data), rare)
    made.bus.subscribe("epoch_end", lambda: setattr(rare, "epoch_freq", None), at=2)
    hand_loop(made, 4)
    assert (data.passes, metric.calls) == (4, 0)


def test_metric_with_a_rule_of_its_own_is_computed_when_it_fires_alone() -> None:
    data, metric = valid_set(), Mean()
    trained(LossCallback(data), OnOddEpochs(data, metric), epochs=4)
    assert (data.passes, metric.calls) == (6, 4)


def test_error_of_a_metric_is_its_own_callbacks() -> None:
    data = valid_set()
    made = container(LossCallback(data), MetricCallback(data, Raising()), MetricCallback(data, Mean()))
    with pytest.raises(ZeroDivisionError, match="this metric alone") as raised:
        hand_loop(made, 1)
    assert raised.value.__notes__ == ["while MetricCallback handled epoch_end, epoch 0"]
    assert data.passes == 1
    assert made.callback_data["cost/loss"][0] == 3


def test_others_have_their_values_where_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    data, broken = valid_set(), Raising("Broken")
    made = trained(
        LossCallback(data),
        MetricCallback(data, broken),
        MetricCallback(data, Mean()),
        epochs=2,
        on_error="log",
    )
    assert (data.passes, broken.calls) == (2, 2)
    assert made.callback_data["metrics/Mean"][:].tolist() == [3, 3]
    assert np.isnan(made.callback_data["metrics/Broken"][:]).all()
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [
        f"MetricCallback failed at epoch_end, epoch {epoch} and was kept (on_error='log')" for epoch in (0, 1)
    ]


def test_disabled_callback_is_not_computed_for() -> None:
    data, broken = valid_set(), Raising("Broken")
    trained(
        LossCallback(data), MetricCallback(data, broken), MetricCallback(data, Mean()), epochs=3,
        on_error="disable",
    )  # fmt: skip
    assert (data.passes, broken.calls) == (3, 1)


def test_disabled_changer_parts_no_pass() -> None:
    class Failing(Changer):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            raise ZeroDivisionError

    data = valid_set()
    trained(LossCallback(data), Failing(), MetricCallback(data, Mean()), epochs=3, on_error="disable")
    assert data.passes == 2 + 1 + 1


def test_error_of_the_model_goes_to_who_asked_and_the_others_try_themselves() -> None:
    class Unsteady(Scaling):
        def fprop(self, x: Any, inference: bool = False) -> Any:
            outputs = super().fprop(x, inference)
            if self.forwards == 1:
                raise OSError("the device")
            return outputs

    data = valid_set()
    made = trained(
        LossCallback(data), MetricCallback(data, Mean("A")), MetricCallback(data, Mean("B")),
        model=Unsteady(), on_error="log",
    )  # fmt: skip
    assert data.passes == 2
    assert np.isnan(made.callback_data["cost/loss"][0])
    assert (made.callback_data["metrics/A"][0], made.callback_data["metrics/B"][0]) == (3, 3)


def test_callback_that_is_added_amid_the_run_shares_the_pass() -> None:
    data = valid_set()
    made = container(LossCallback(data))
    made.bus.subscribe("minibatch_end", lambda: made.add_callback(MetricCallback(data, Mean())), once=True)
    hand_loop(made, 2, minibatches=1)
    assert data.passes == 2
    assert made.callback_data["metrics/Mean"][:].tolist() == [3, 3]


def test_epochs_end_goes_on_in_its_order_when_another_is_chosen_amid_it() -> None:
    class Reordering(Reader):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            made.callbacks = [reordering, first, last, changer]

    data = valid_set()
    first, last = MetricCallback(data, Mean("First")), MetricCallback(data, Mean("Last"))
    reordering, changer = Reordering(), Changer()
    made = container(reordering, first, changer, last)
    hand_loop(made, 2)
    assert made.callback_data["metrics/First"][:].tolist() == [3, 6]
    assert made.callback_data["metrics/Last"][:].tolist() == [6, 6]


def test_callback_that_is_taken_out_is_not_computed_for() -> None:
    data, metric = valid_set(), Mean()
    loss = LossCallback(data)
    made = container(loss, MetricCallback(data, metric))
    made.bus.subscribe("epoch_begin", lambda: setattr(made, "callbacks", [loss]), at=1)
    hand_loop(made, 2)
    assert (data.passes, metric.calls) == (2, 2)


def test_second_run_with_the_same_objects_is_as_the_first() -> None:
    data = valid_set()
    callbacks = LossCallback(data), MetricCallback(data, Mean())
    for run in (1, 2):
        made = trained(*callbacks, epochs=2)
        assert data.passes == 2 * run
        assert made.callback_data["metrics/Mean"][:].tolist() == [3, 3]


def test_subclass_with_a_hook_of_its_own_that_declares_for_it_shares_the_pass() -> None:
    class Calling(LossCallback):
        optional_reads = ()

        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            super().on_train_begin(callback_data, model, epochs)

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)

    data = valid_set()
    trained(MetricCallback(data, Mean()), Calling(data))
    assert data.passes == 1


class OfZeroWeights(LossCallback):
    """As neon's users write it: the loss of other weights than those of training."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        scale, model.scale = model.scale, 0.0
        super().on_epoch_end(callback_data, model, epoch)
        model.scale = scale


def test_subclass_that_changes_the_model_for_its_own_evaluation_has_the_values_that_it_has_alone() -> None:
    data = valid_set()
    made = trained(
        LossCallback(data), OfZeroWeights(data, label="zero"), MetricCallback(data, Mean()), epochs=2
    )
    for key, expected in {"cost/loss": 3, "cost/zero": 0, "metrics/Mean": 3}.items():
        assert made.callback_data[key][:].tolist() == [expected] * 2, key


class OfMixedIn:
    """A hook that is no callback's, which doubles what the model gives after its base has evaluated."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        super().on_epoch_end(callback_data, model, epoch)  # type: ignore[misc]  # that of the callback
        model.scale *= 2


class Doubling(OfMixedIn, LossCallback):
    """A loss after which the model is another."""


class Below(Doubling):
    """One that has the hook of the class above, and is not trusted either."""


class SelfDeclaring(MetricCallback):
    """A metric that says in its constructor, as its base does, what it writes; of the base's hook."""

    def __init__(self, dataset: Any, metric: Any) -> None:
        super().__init__(dataset, metric)
        self.optional_reads = (keys.TRAIN_COST,)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        super().on_epoch_end(callback_data, model, epoch)
        model.scale *= 2


class AtEpochsToo(TrainCostCallback):
    """One whose base declares what it writes at minibatches."""

    def __init__(self, data: Batches) -> None:
        super().__init__()
        self.data = data

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        list(self.data)  # as the other changers here, which evaluate
        model.scale *= 2


def wrapped_on_the_instance(data: Batches) -> Callback:
    loss = LossCallback(data, label="wrapped")
    hook = loss.on_epoch_end

    def and_double(callback_data: Any, model: Any, epoch: int) -> None:
        hook(callback_data, model, epoch)
        model.scale *= 2

    vars(loss)["on_epoch_end"] = and_double
    return loss


@pytest.mark.parametrize("changer", [
    lambda data: Doubling(data, label="doubling"),
    lambda data: Below(data, label="below"),
    lambda data: SelfDeclaring(data, Mean("Own")),
    AtEpochsToo,
    wrapped_on_the_instance,
], ids=["mixed in", "inherited", "constructor", "first hook", "instance"])  # fmt: skip
def test_hook_that_overrides_a_trusted_one_is_not_trusted_for_what_that_one_declares(
    changer: Callable[[Batches], Callback],
) -> None:
    data = valid_set()
    made = trained(LossCallback(data), changer(data), MetricCallback(data, Mean()))
    assert data.passes == 3
    assert made.callback_data["metrics/Mean"][0] == 6


def test_subclass_that_overrides_another_hook_is_trusted_as_its_base_is() -> None:
    class Counting(LossCallback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            pass

    data = valid_set()
    trained(Counting(data), MetricCallback(data, Mean()))
    assert data.passes == 1


def test_hook_that_is_taken_from_an_instance_amid_the_run_leaves_a_callback_that_is_not_trusted() -> None:
    data, bare = valid_set(), Callback()
    vars(bare)["on_epoch_end"] = plain_function
    made = container(LossCallback(data), bare, MetricCallback(data, Mean()))
    made.bus.subscribe("epoch_end", lambda: vars(bare).pop("on_epoch_end"), first=True)
    hand_loop(made, 1)
    assert data.passes == 2


def test_subclass_that_never_registered_is_computed_alone() -> None:
    class Own(LossCallback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_dataset("cost/loss", (epochs,))
            callback_data.create_dataset("time/loss", (epochs,))

    data = valid_set()
    made = trained(MetricCallback(data, Mean()), Own(data))
    assert data.passes == 2
    assert made.callback_data["cost/loss"][0] == 3


def test_asking_twice_evaluates_twice() -> None:
    class Twice(MetricCallback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)
            model.scale *= 2
            super().on_epoch_end(callback_data, model, epoch)

    data = valid_set()
    made = trained(LossCallback(data), Twice(data, Mean()))
    assert data.passes == 3
    assert made.callback_data["metrics/Mean"][0] == 6


def test_set_that_was_exchanged_after_the_begin_is_evaluated() -> None:
    one, other = valid_set(), Batches(1, [5])
    metric = MetricCallback(one, Mean())
    made = container(LossCallback(one), metric)
    made.bus.subscribe("epoch_end", lambda: setattr(metric, "eval_set", other), first=True)
    hand_loop(made, 1)
    assert made.callback_data["metrics/Mean"][0] == 5


def test_what_is_evaluated_amid_an_epoch_serves_nobody_at_its_end() -> None:
    class Eager(LossCallback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            super().on_epoch_end(callback_data, model, epoch)
            model.scale *= 2

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            pass

    data = valid_set()
    made = trained(Eager(data), MetricCallback(data, Mean()))
    assert (data.passes, made.callback_data["metrics/Mean"][0]) == (2, 6)


def test_result_that_nobody_fetched_is_none_of_the_next_epoch() -> None:
    class Seldom(MetricCallback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            if epoch == 1:
                super().on_epoch_end(callback_data, model, epoch)

    data = valid_set()
    made = trained(LossCallback(data, epoch_freq=[0]), Seldom(data, Mean()), Plain(), epochs=2)
    assert made.callback_data["metrics/Mean"][1] == 6


def test_shallow_copy_beside_its_original_has_values_of_its_own() -> None:
    data = valid_set()
    loss = LossCallback(data)
    twin = copy.copy(loss)
    twin.eval_set = Batches(1, [5])
    made = trained(loss, twin)
    assert (made.callback_data["cost/loss"][0], made.callback_data["cost/loss_2"][0]) == (3, 5)


def test_callback_that_is_driven_by_hand_evaluates_alone() -> None:
    loss, data = LossCallback(valid_set()), SharedData()
    loss.on_train_begin(data, Scaling(), 1)
    loss.on_epoch_end(data, Scaling(), 0)
    assert data["cost/loss"][0] == 3


SETS = 2

PIECES = st.one_of(
    st.tuples(st.just("loss"), st.integers(0, SETS - 1), st.sampled_from([1, 2])),
    st.tuples(st.just("metric"), st.integers(0, SETS - 1), st.sampled_from([1, 2])),
    st.tuples(st.just("gated"), st.integers(0, SETS - 1), st.just(1)),
    st.tuples(st.sampled_from(["plain", "changer"]), st.just(0), st.sampled_from([1, 2])),
    st.tuples(st.just("reader"), st.just(0), st.just(1)),
)


def made_of(piece: tuple[str, int, Frequency], number: int, sets: list[Batches]) -> Callback:
    kind, which, frequency = piece
    makers: dict[str, Callable[[], Callback]] = {
        "loss": lambda: LossCallback(sets[which], frequency, label=f"L{number}"),  # type: ignore[arg-type]
        "metric": lambda: MetricCallback(sets[which], Mean(f"M{number}"), frequency),  # type: ignore[arg-type]
        "gated": lambda: OnOddEpochs(sets[which], Mean(f"M{number}")),
        "plain": lambda: Plain(epoch_freq=frequency),
        "changer": lambda: Changer(epoch_freq=frequency),
        "reader": Reader,
    }
    return makers[kind]()


@given(st.lists(PIECES, max_size=7))
def test_values_are_those_of_each_alone_in_any_order_and_no_pass_is_made_in_vain(
    pieces: list[tuple[str, int, Frequency]],
) -> None:
    sets = [valid_set(), Batches(1, [5])]
    means, epochs = [3.0, 5.0], 2
    made = trained(*(made_of(piece, number, sets) for number, piece in enumerate(pieces)), epochs=epochs)

    scale, passes = 1.0, [0] * SETS
    for epoch in range(epochs):
        served: set[int] = set()  # sets that were evaluated since the model last changed
        for number, (kind, which, frequency) in enumerate(pieces):
            if not (epoch == 1 if kind == "gated" else fires(frequency, epoch)):
                continue
            if kind in ("plain", "changer"):
                scale *= 2
                served = set()
            elif kind in ("loss", "metric", "gated"):
                passes[which] += kind == "gated" or which not in served
                served.add(which)
                series = made.callback_data[f"cost/L{number}" if kind == "loss" else f"metrics/M{number}"]
                assert series[epoch // int(frequency)] == scale * means[which]  # type: ignore[arg-type]
    assert [one.passes for one in sets] == passes


def test_errors_of_the_set_are_told_before_the_first_epoch() -> None:
    callbacks = container(LossCallback([batch(1.0)]), model=Scaling())
    with pytest.raises(DataError, match="eval_set: list does not tell its size"):
        callbacks.on_train_begin(1)
    assert callbacks.run.epochs_complete == 0


def test_losses_and_metrics_of_a_framework_share_a_pass() -> None:
    dataset, model = [batch(1.0, 2.0, 3.0), batch(5.0)], Neonlike()
    callbacks = trained(
        LossCallback(dataset), MetricCallback(dataset, mean_output), MetricCallback(dataset, Gathering()),
        epochs=2, model=model,
    )  # fmt: skip
    assert callbacks.callback_data["cost/loss"][:].tolist() == [5.5, 5.5]
    assert callbacks.callback_data["metrics/mean_output"][:].tolist() == [5.5, 5.5]
    assert callbacks.callback_data["metrics/Gathering"][:].tolist() == [10.0, 10.0]
    assert callbacks.callback_data["metrics/Gathering"].attrs["direction"] == "max"
    assert model.forwards == 4


class Neonlike(PairModelWithLoss):
    """A framework's model with the names that callbacks of losses and metrics need."""

    cost = None

    def fprop(self, x: Any, inference: bool = False) -> Any:
        raise AssertionError("a model of pairs predicts")

    def eval(self, dataset: Any, metric: Any) -> Any:
        raise AssertionError("what can infer is evaluated in a shared pass")
