from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.fake_device import FakeDevice, plug_in
from tests.support.runs import Bare, Costly
from trainsignal.cost import MOST_KEPT, MinibatchCost
from trainsignal.errors import CostError


def test_cost_that_the_loop_sets_counts_before_the_models() -> None:
    cost = MinibatchCost(Costly(7.0))
    assert cost.get() == 7.0
    cost.set(2.0)
    assert cost.get() == 2.0


def test_mean_is_that_of_what_the_loop_set_in_the_epoch() -> None:
    cost = MinibatchCost(Bare())
    assert cost.epoch_mean is None
    for value in (1.0, np.float32(2.0), np.array([[6.0]])):
        cost.set(value)
    assert cost.epoch_mean == 3.0
    cost.new_epoch()
    assert cost.epoch_mean is None


def test_costs_of_numpy_are_added_up_as_pythons_are() -> None:
    cost = MinibatchCost(Bare())
    for value in (np.float64(math.inf), np.float64(-math.inf)):  # of which NumPy would warn
        cost.set(value)
    assert type(cost.get()) is float
    assert type(cost.epoch_mean) is float
    assert math.isnan(cost.epoch_mean)


@pytest.mark.parametrize("value", ["1", [1, 2], None], ids=repr)
def test_what_is_not_one_number_is_refused(value: object) -> None:
    with pytest.raises(CostError, match=r"run\.cost was set to something that is not one number"):
        MinibatchCost(Bare()).set(value)


def test_cost_that_nobody_ever_set_is_refused_and_one_that_is_missing_is_none() -> None:
    cost = MinibatchCost(Bare())
    with pytest.raises(CostError, match=r"set run\.cost = loss"):
        cost.get()
    cost.set(1.0)
    cost.forget()
    assert cost.get() is None


def test_cost_of_the_model_that_is_no_number_is_refused() -> None:
    with pytest.raises(CostError, match=r"model\.cost\.cost is not one number"):
        MinibatchCost(Costly("high")).get()


def costs_that_follow(cost: MinibatchCost) -> tuple[Any, ...]:
    cost.set(4.0)
    mean = cost.epoch_mean
    cost.forget()
    return mean, cost.get()


def test_resumed_mean_goes_on_within_the_epoch() -> None:
    before, after = MinibatchCost(Bare()), MinibatchCost(Bare())
    before.set(1.0)
    before.set(1.0)
    after.load_state_dict(before.state_dict())
    assert after.get() == 1.0
    assert costs_that_follow(after) == (2.0, None)


def test_resumed_loop_that_had_set_costs_still_counts_as_one_that_does() -> None:
    before, after = MinibatchCost(Bare()), MinibatchCost(Bare())
    before.set(1.0)
    before.forget()
    after.load_state_dict(before.state_dict())
    assert after.get() is None


# -- what a framework says -----------------------------------------------------------------------------


def test_framework_that_says_nothing_of_a_minibatch_leaves_its_cost_missing() -> None:
    cost = MinibatchCost(Costly(7.0))
    cost.tell_nothing()
    assert cost.get() is None
    assert cost.told() is None
    cost.set(2.0)
    assert cost.told() == 2.0


def test_cost_of_the_model_is_not_told_by_the_loop() -> None:
    assert MinibatchCost(Costly(7.0)).told() is None


def test_list_of_rows_of_different_lengths_is_refused_as_no_number() -> None:
    with pytest.raises(CostError, match="not one number"):
        MinibatchCost(Bare()).set([[1.0], [2.0, 3.0]])


# -- on a device ---------------------------------------------------------------------------------------


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    made = FakeDevice()
    plug_in(monkeypatch, made)
    return made


def end_minibatch(cost: MinibatchCost, tell: Callable[[float], object]) -> None:
    """Ask for the cost of the minibatch as a callback does that need not know it at once."""
    if cost.is_late:
        cost.when_known(tell)
        return
    known = cost.get()
    if known is not None:
        tell(known)


def test_device_is_waited_for_when_the_cost_is_read_and_only_then(device: FakeDevice) -> None:
    cost = MinibatchCost(Bare())
    for number in (1.0, 2.0, 6.0):
        cost.forget()
        cost.set(device.value(number))
        assert cost.is_late
    assert (device.sent, device.waits) == ([], 0)

    assert cost.get() == 6.0
    assert not cost.is_late
    assert cost.epoch_mean == 3.0
    assert (device.sent, device.waits) == ([3], 1)


def test_costs_are_told_in_the_order_in_which_they_were_set(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    for number in (1.0, 2.0, 3.0, 4.0):
        cost.forget()
        cost.set(device.value(number))
        end_minibatch(cost, told.append)
        if number == 2.0:
            cost.settle(wait=False)
    assert told == []

    cost.settle()

    assert told == [1.0, 2.0, 3.0, 4.0]
    assert device.sent == [2, 2]


def test_settling_without_waiting_takes_over_what_has_come(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    for number in (1.0, 2.0, 3.0):
        cost.forget()
        cost.set(device.value(number))
        end_minibatch(cost, told.append)
        cost.settle(wait=False)
    device.computed = 2

    cost.settle(wait=False)

    assert told == [1.0, 2.0]
    assert cost.is_late
    assert device.waits == 0
    device.computed = 3
    cost.settle(wait=False)
    assert told == [1.0, 2.0, 3.0]
    assert cost.get() == 3.0
    assert device.waits == 0


def test_cost_that_was_sent_can_still_be_waited_for_by_somebody(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    cost.set(device.value(1.0))
    cost.set(device.value(2.0))
    cost.settle(wait=False)
    end_minibatch(cost, told.append)
    cost.settle()
    assert told == [2.0]


def test_cost_set_twice_in_a_minibatch_counts_twice_and_the_last_is_told(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    cost.set(device.value(1.0))
    cost.set(device.value(5.0))
    end_minibatch(cost, told.append)
    assert cost.epoch_mean == 3.0
    assert told == [5.0]


def test_cost_on_the_host_comes_after_those_on_the_device(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    for value in (device.value(1.0), 2.0, device.value(3.0)):
        cost.forget()
        cost.set(value)
        end_minibatch(cost, told.append)
    cost.settle()
    assert told == [1.0, 2.0, 3.0]
    assert cost.epoch_mean == 2.0


def test_costs_on_two_devices_are_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = FakeDevice(), FakeDevice()
    plug_in(monkeypatch, one, other)
    cost, told = MinibatchCost(Bare()), list[float]()
    for value in (one.value(1.0), other.value(2.0), one.value(3.0)):
        cost.forget()
        cost.set(value)
        end_minibatch(cost, told.append)
    cost.settle()
    assert told == [1.0, 2.0, 3.0]


def test_minibatch_without_a_cost_is_missing_though_the_one_before_is_late(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    cost.set(device.value(1.0))
    end_minibatch(cost, told.append)
    cost.forget()
    assert not cost.is_late
    assert cost.get() is None
    end_minibatch(cost, told.append)
    cost.settle()
    assert cost.get() is None
    assert told == [1.0]


def test_nan_comes_from_the_device_as_it_is(device: FakeDevice) -> None:
    cost = MinibatchCost(Bare())
    cost.set(device.value(math.nan))
    assert cost.get() is not None
    assert math.isnan(cost.get() or 0.0)
    assert math.isnan(cost.epoch_mean or 0.0)


def test_value_on_a_device_that_is_no_number_is_refused_at_once(device: FakeDevice) -> None:
    text: Any = "1"
    with pytest.raises(CostError, match=r"run\.cost was set to something that is not one number: '1'"):
        MinibatchCost(Bare()).set(device.value(text))


def test_later_value_on_a_device_that_is_no_number_is_refused_when_it_is_sent(device: FakeDevice) -> None:
    cost = MinibatchCost(Bare())
    cost.set(device.value(1.0))
    cost.settle(wait=False)
    wrong: Any = "1"
    cost.set(device.value(wrong))
    with pytest.raises(CostError, match=r"run\.cost was set to something that is not one number: '1'"):
        cost.get()
    assert cost.get() is None
    assert cost.epoch_mean == 1.0


def test_frameworks_are_asked_of_each_type_of_number_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("trainsignal.cost.device_costs_of", asked.append)
    cost = MinibatchCost(Bare())
    for value in (1.0, 2, np.float32(3.0), np.float32(4.0), np.float64(5.0), 6.0):
        cost.set(value)
    assert asked == [3.0]
    assert cost.epoch_mean == 3.5


def test_frameworks_are_asked_of_values_on_one_device_once(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = MinibatchCost(Bare())
    cost.set(device.value(1.0))
    monkeypatch.setattr("trainsignal.cost.device_costs_of", lambda value: pytest.fail("asked again"))
    for value in (2.0, device.value(3.0), 4.0, device.value(5.0)):
        cost.set(value)
    assert cost.epoch_mean == 3.0


def test_new_epoch_waits_for_the_costs_of_the_one_before(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    cost.set(device.value(1.0))
    end_minibatch(cost, told.append)
    cost.new_epoch()
    assert told == [1.0]
    assert cost.epoch_mean is None


def test_so_many_costs_are_sent_together_and_taken_over_when_they_have_come(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    for number in range(2 * MOST_KEPT + 1):
        cost.forget()
        cost.set(device.value(float(number)))
        end_minibatch(cost, told.append)
        device.computed = number
    assert device.sent == [MOST_KEPT, MOST_KEPT]
    assert told == list(range(MOST_KEPT))  # the others had just been sent

    assert cost.get() == 2 * MOST_KEPT
    assert told == list(range(2 * MOST_KEPT + 1))
    assert cost.epoch_mean == MOST_KEPT


def test_state_of_a_checkpoint_holds_the_costs_on_the_device(device: FakeDevice) -> None:
    before, after = MinibatchCost(Bare()), MinibatchCost(Bare())
    for number in (1.0, 3.0):
        before.set(device.value(number))
    after.load_state_dict(before.state_dict())
    assert after.get() == 3.0
    assert after.epoch_mean == 2.0


def test_who_is_told_may_read_and_settle(device: FakeDevice) -> None:
    cost, seen = MinibatchCost(Bare()), list[Any]()

    def tell(number: float) -> None:
        cost.settle()
        seen.append((number, cost.get(), cost.epoch_mean))

    cost.set(device.value(4.0))
    end_minibatch(cost, tell)
    cost.settle()
    assert seen == [(4.0, 4.0, 4.0)]


# -- a device that fails -------------------------------------------------------------------------------


def test_failed_computation_is_raised_once_and_its_costs_are_missing(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    device.fails_at = 0
    cost.set(device.value(1.0))
    end_minibatch(cost, told.append)
    with pytest.raises(RuntimeError, match="the device is broken"):
        cost.get()

    assert not cost.is_late
    assert cost.get() is None
    assert cost.epoch_mean is None
    end_minibatch(cost, told.append)
    assert told == []


def test_what_was_sent_after_a_failed_computation_is_lost_too(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    device.fails_at = 1
    for number in (1.0, 2.0, 3.0):
        cost.set(device.value(number))
        end_minibatch(cost, told.append)
        cost.settle(wait=False)
    with pytest.raises(RuntimeError):
        cost.settle()
    cost.settle()
    assert told == [1.0]


def test_cost_that_cannot_be_sent_is_missing(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    cost = MinibatchCost(Bare())
    cost.set(device.value(1.0))
    with monkeypatch.context() as patch:
        patch.setattr(device, "gather", raising(RuntimeError("no memory")))
        with pytest.raises(RuntimeError, match="no memory"):
            cost.settle(wait=False)
    assert not cost.is_late
    assert cost.get() is None
    cost.set(device.value(2.0))
    assert cost.get() == 2.0


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object) -> Any:
        raise error

    return fail


def test_error_of_one_who_is_told_takes_nothing_from_the_others(device: FakeDevice) -> None:
    cost, told = MinibatchCost(Bare()), list[float]()
    for number in (1.0, 2.0):
        cost.set(device.value(number))
        end_minibatch(cost, raising(ValueError("mine")) if number == 1.0 else told.append)
        cost.settle(wait=False)
    with pytest.raises(ValueError, match="mine"):
        cost.settle()
    cost.settle()
    assert told == [2.0]
    assert cost.get() == 2.0


def test_rescue_returns_what_failed(device: FakeDevice) -> None:
    cost = MinibatchCost(Bare())
    cost.set(device.value(1.0))
    assert cost.rescue() is None
    device.fails_at = 1
    cost.set(device.value(2.0))
    assert str(cost.rescue()) == "the device is broken"
    assert cost.rescue() is None


# -- wherever the costs are ----------------------------------------------------------------------------


class Heard:
    """A cost, and what everybody heard of it who asked."""

    def __init__(self) -> None:
        self.cost = MinibatchCost(Bare())
        self.told: list[float] = []

    def read(self) -> tuple[Any, ...]:
        try:
            return (self.cost.get(), self.cost.told(), self.cost.epoch_mean)
        except CostError:
            return ("nobody ever set one",)


STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(["host", "device"]), st.floats(-1e6, 1e6)),
    st.tuples(st.sampled_from(["forget", "end", "read", "settle", "glance", "ready", "epoch"])),
)  # fmt: skip


@given(st.lists(STEPS, max_size=40))
@example([("set", "device", 0.1), ("settle",), ("set", "device", 0.2), ("set", "device", 0.3), ("read",)])
def test_any_run_with_costs_on_a_device_is_as_one_with_costs_on_the_host(steps: list[Any]) -> None:
    device = FakeDevice()
    with pytest.MonkeyPatch.context() as patch:
        plug_in(patch, device)
        late, known = Heard(), Heard()
        for step in [*steps, ("settle",), ("read",)]:
            if step[0] == "set":
                late.cost.set(device.value(step[2]) if step[1] == "device" else step[2])
                known.cost.set(step[2])
            elif step[0] == "end" and known.read()[0] != "nobody ever set one":
                end_minibatch(late.cost, late.told.append)
                end_minibatch(known.cost, known.told.append)
            elif step[0] == "forget":
                late.cost.forget()
                known.cost.forget()
            elif step[0] == "read":
                assert late.read() == known.read()
            elif step[0] == "settle":
                late.cost.settle()
                assert late.told == known.told
            elif step[0] == "epoch":
                late.cost.new_epoch()
                known.cost.new_epoch()
            elif step[0] == "glance":
                late.cost.settle(wait=False)
                assert late.told == known.told[: len(late.told)]
            else:
                device.computed += 1
