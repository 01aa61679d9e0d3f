from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import naive_fires, periods
from trainsignal import Bus
from trainsignal.errors import FrequencyError, HandlerError
from trainsignal.signals import CATALOGUE
from trainsignal.subscription import Trigger, wanted_payload

SPECS = {spec.name: spec for spec in CATALOGUE}
MODEL, DATA, RUN = object(), object(), object()


def bus_with(clock: Callable[[], float] = lambda: 0.0) -> Bus:
    bus = Bus(clock=clock)
    bus.common.update(callback_data=DATA, run=RUN)
    return bus


def publish_epochs(bus: Bus, epochs: int) -> None:
    for epoch in range(epochs):
        bus.publish(bus.epoch_end, MODEL, epoch=epoch)


# What a handler is given.


def test_a_handler_is_given_just_what_its_parameters_name() -> None:
    given: list[object] = []
    bus = bus_with()

    def handler(minibatch: int, model: object) -> None:
        given.append((minibatch, model))

    bus.subscribe("minibatch_end", handler)
    bus.publish(bus.minibatch_end, MODEL, epoch=1, minibatch=2)

    assert given == [(2, MODEL)]


def test_a_handler_may_ask_for_the_sender_the_data_and_the_run_at_every_signal() -> None:
    given: list[object] = []
    bus = bus_with()

    def handler(sender: object, model: object, callback_data: object, run: object) -> None:
        given.append((sender, model, callback_data, run))

    for signal in bus:
        bus.subscribe(signal.name, handler)
        bus.publish(signal, MODEL, **dict.fromkeys(signal.spec.payload, 0))

    assert given == [(MODEL, MODEL, DATA, RUN)] * len(CATALOGUE)


def test_a_handler_without_parameters_is_given_nothing() -> None:
    calls: list[int] = []
    bus = bus_with()
    bus.subscribe("train_end", lambda: calls.append(1))

    bus.publish(bus.train_end, MODEL)

    assert calls == [1]


def test_a_handler_with_double_star_is_given_the_whole_payload() -> None:
    given: list[dict[str, Any]] = []
    bus = bus_with()
    bus.subscribe("minibatch_end", lambda **payload: given.append(payload))

    bus.publish(bus.minibatch_end, MODEL, epoch=1, minibatch=2)

    assert given == [{"callback_data": DATA, "run": RUN, "epoch": 1, "minibatch": 2}]


def test_the_data_and_the_run_are_there_also_where_blinkers_own_send_is_used() -> None:
    given: list[object] = []
    bus = bus_with()
    bus.subscribe("epoch_end", lambda run, callback_data, epoch: given.append((run, callback_data, epoch)))
    bus.subscribe("epoch_end", lambda **payload: given.append(payload))

    bus.epoch_end.send(MODEL, epoch=3)

    assert given == [(RUN, DATA, 3), {"run": RUN, "callback_data": DATA, "epoch": 3}]


def test_a_parameter_with_a_default_that_no_payload_has_keeps_its_default() -> None:
    given: list[object] = []
    bus = bus_with()

    def handler(epoch: int, label: str = "mine") -> None:
        given.append((epoch, label))

    bus.subscribe("epoch_end", handler)
    publish_epochs(bus, 1)

    assert given == [(0, "mine")]


def test_bound_methods_and_partials_are_handlers() -> None:
    seen: list[int] = []

    def handler(into: list[int], epoch: int) -> None:
        into.append(epoch)

    bus = bus_with()
    bus.subscribe("epoch_end", functools.partial(handler, seen))
    bus.subscribe("run_closed", bus.on_change)  # a plain function of no parameters

    publish_epochs(bus, 2)

    assert seen == [0, 1]


@pytest.mark.parametrize(
    "handler",
    [lambda loss: None, lambda minibatch: None, lambda epoch, weights: None],
    ids=["loss", "other", "second"],
)
def test_a_parameter_that_the_signal_does_not_carry_is_refused_with_what_it_carries(
    handler: Callable[..., object],
) -> None:
    with pytest.raises(
        HandlerError, match=r"wants '(loss|minibatch|weights)', but epoch_end carries "
    ) as caught:
        bus_with().subscribe("epoch_end", handler)

    assert "epoch, callback_data, run, model, sender" in str(caught.value)


def test_a_misspelt_parameter_is_told_the_near_name() -> None:
    def handler(epohc: int) -> None: ...

    with pytest.raises(HandlerError, match=r"Did you mean 'epoch'\?"):
        bus_with().subscribe("epoch_end", handler)


def test_a_parameter_that_is_near_to_nothing_gets_no_guess() -> None:
    def handler(weights: int) -> None: ...

    with pytest.raises(HandlerError, match=r"model, sender\.$"):
        bus_with().subscribe("epoch_end", handler)


def test_a_handler_that_takes_its_arguments_by_position_is_told_to_be_wrapped() -> None:
    def positional(epoch: int, /) -> None: ...
    def stars(*everything: object) -> None: ...

    for handler, parameter in ((positional, "epoch"), (stars, r"\*everything")):
        with pytest.raises(HandlerError, match=rf"{parameter}.*cannot be given by name: wrap it in a lambda"):
            bus_with().subscribe("epoch_end", handler)


def test_a_coroutine_function_is_refused() -> None:
    async def handler(epoch: int) -> None: ...

    with pytest.raises(HandlerError, match="coroutine function; a training loop calls and does not await"):
        bus_with().subscribe("epoch_end", handler)


def test_what_cannot_be_called_is_refused() -> None:
    wrong: Any = "print"

    with pytest.raises(HandlerError, match="handler 'print' for epoch_end is not callable"):
        bus_with().subscribe("epoch_end", wrong)


def test_a_builtin_that_does_not_tell_its_parameters_is_told_to_be_wrapped() -> None:
    with pytest.raises(HandlerError, match="does not tell its parameters: wrap it in a lambda"):
        bus_with().subscribe("epoch_end", dict)


def test_a_predicate_is_checked_as_a_handler_is() -> None:
    with pytest.raises(HandlerError, match=r"when .* wants 'loss'"):
        bus_with().subscribe("epoch_end", lambda: None, when=lambda loss: loss < 1)


def test_a_signal_that_is_published_without_its_payload_says_what_is_missing() -> None:
    bus = bus_with()
    bus.declare("restored", payload=("path",))
    bus.subscribe("restored", lambda path: None)

    with pytest.raises(HandlerError, match=r"restored was published without 'path', which .* wants"):
        bus.signal("restored").send(MODEL)


def test_wanted_payload_is_none_for_a_function_that_takes_all() -> None:
    assert wanted_payload(lambda **payload: None, SPECS["epoch_end"], "handler") is None
    assert wanted_payload(lambda run, epoch: None, SPECS["epoch_end"], "handler") == ("run", "epoch")


# When a handler fires.


@given(periods, st.integers(0, 40))
def test_every_fires_at_the_index_by_neons_rule(period: Any, epochs: int) -> None:
    fired: list[int] = []
    bus = bus_with()
    bus.subscribe("epoch_end", lambda epoch: fired.append(epoch), every=period)

    publish_epochs(bus, epochs)

    assert fired == [epoch for epoch in range(epochs) if naive_fires(period, epoch)]


def test_every_looks_at_the_minibatch_within_its_epoch() -> None:
    fired: list[tuple[int, int]] = []
    bus = bus_with()
    bus.subscribe("minibatch_end", lambda epoch, minibatch: fired.append((epoch, minibatch)), every=2)

    for epoch in range(2):
        for minibatch in range(3):
            bus.publish(bus.minibatch_end, MODEL, epoch=epoch, minibatch=minibatch)

    assert fired == [(0, 1), (1, 1)]


def test_every_counts_publications_where_the_signal_has_no_index() -> None:
    fired: list[str] = []
    bus = bus_with()
    bus.subscribe("checkpoint_saved", lambda path: fired.append(path), every=2)

    for number in range(5):
        bus.publish(bus.checkpoint_saved, MODEL, path=f"{number}.h5", epoch=0, minibatch=0)

    assert fired == ["1.h5", "3.h5"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(2, [2]), ([0, 3], [0, 3]), ((1,), [1]), ([], []), (np.array([1, 4]), [1, 4])],
    ids=str,
)
def test_at_fires_at_the_listed_indices(at: Any, expected: list[int]) -> None:
    fired: list[int] = []
    bus = bus_with()
    bus.subscribe("epoch_end", lambda epoch: fired.append(epoch), at=at)

    publish_epochs(bus, 5)

    assert fired == expected


def test_every_and_at_together_are_refused() -> None:
    with pytest.raises(FrequencyError, match=r"every=2 and at=\[1\]: give one of them"):
        bus_with().subscribe("epoch_end", lambda: None, every=2, at=[1])


@pytest.mark.parametrize("every", [0, -1, True, 1.5, "2", "soon", "0s"], ids=repr)
def test_an_every_that_has_no_meaning_is_refused(every: Any) -> None:
    with pytest.raises(FrequencyError):
        bus_with().subscribe("epoch_end", lambda: None, every=every)


@pytest.mark.parametrize("at", [-1, True, [True], ["1"], 1.5], ids=repr)
def test_an_at_that_has_no_meaning_is_refused_by_its_name(at: Any) -> None:
    with pytest.raises(FrequencyError, match=r"^at="):
        bus_with().subscribe("epoch_end", lambda: None, at=at)


@pytest.mark.parametrize("every", ["30s", timedelta(seconds=30)], ids=str)
def test_an_interval_fires_at_the_first_publication_after_it_has_passed(every: Any) -> None:
    now = 0.0
    fired: list[int] = []
    bus = bus_with(clock=lambda: now)
    bus.subscribe("minibatch_end", lambda minibatch: fired.append(minibatch), every=every)

    for minibatch in range(8):  # at 0, 13, 26, 39, 52, 65, 78 and 91 seconds
        now = 13.0 * minibatch
        bus.publish(bus.minibatch_end, MODEL, epoch=0, minibatch=minibatch)

    assert fired == [3, 6]


def test_once_fires_one_time() -> None:
    fired: list[int] = []
    bus = bus_with()
    bus.subscribe("epoch_end", lambda epoch: fired.append(epoch), every=2, once=True)

    publish_epochs(bus, 6)

    assert fired == [1]
    assert not bus.epoch_end.receivers


def test_once_is_over_even_where_the_handler_raises() -> None:
    bus = bus_with()

    def handler() -> None:
        raise ValueError("boom")

    bus.subscribe("epoch_end", handler, once=True)

    with pytest.raises(ValueError, match="boom"):
        publish_epochs(bus, 1)
    publish_epochs(bus, 1)


def test_when_is_asked_last_and_decides() -> None:
    asked: list[int] = []
    fired: list[int] = []
    bus = bus_with()

    def is_late(epoch: int) -> bool:
        asked.append(epoch)
        return epoch > 2

    bus.subscribe("epoch_end", lambda epoch: fired.append(epoch), every=2, when=is_late)
    publish_epochs(bus, 6)

    assert asked == [1, 3, 5]
    assert fired == [3, 5]


def test_once_waits_until_when_agrees() -> None:
    fired: list[int] = []
    bus = bus_with()
    bus.subscribe("epoch_end", lambda epoch: fired.append(epoch), once=True, when=lambda epoch: epoch == 3)

    publish_epochs(bus, 6)

    assert fired == [3]


# How a subscription ends, and what it is called.


def test_cancel_ends_it_and_may_be_called_twice() -> None:
    fired: list[int] = []
    bus = bus_with()
    subscription = bus.subscribe("epoch_end", lambda epoch: fired.append(epoch))

    publish_epochs(bus, 1)
    subscription.cancel()
    subscription.cancel()
    publish_epochs(bus, 1)

    assert fired == [0]


def test_leaving_the_with_block_cancels_it_also_by_an_error() -> None:
    fired: list[int] = []
    bus = bus_with()

    with (
        pytest.raises(KeyError),
        bus.subscribe("epoch_end", lambda epoch: fired.append(epoch)) as subscription,
    ):
        publish_epochs(bus, 1)
        raise KeyError("x")
    publish_epochs(bus, 1)

    assert fired == [0]
    assert subscription.failures == 0


def test_one_handler_may_be_subscribed_twice_and_each_subscription_fires() -> None:
    fired: list[int] = []
    bus = bus_with()

    def handler(epoch: int) -> None:
        fired.append(epoch)

    first = bus.subscribe("epoch_end", handler)
    bus.subscribe("epoch_end", handler)
    publish_epochs(bus, 1)
    first.cancel()
    publish_epochs(bus, 1)

    assert fired == [0, 0, 0]


class Plotter:
    def draw(self, epoch: int) -> None: ...
    def __call__(self, epoch: int) -> None: ...


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (Plotter().draw, "Plotter.draw"),
        (Plotter(), "Plotter"),
        (functools.partial(Plotter.draw, Plotter()), "partial"),
    ],
    ids=["method", "object", "partial"],
)
def test_a_subscription_is_named_after_its_handler(handler: Callable[..., object], name: str) -> None:
    assert bus_with().subscribe("epoch_end", handler).name == name


@pytest.mark.parametrize(
    ("every", "at", "words"),
    [
        (None, None, "each time"),
        (1, None, "each time"),
        (3, None, "every 3"),
        (np.int64(3), None, "every 3"),
        (None, 2, "at [2]"),
        (None, [0, 2], "at [0, 2]"),
        ("5m", None, "every 300 s"),
        (timedelta(milliseconds=500), None, "every 0.5 s"),
    ],
    ids=str,
)
def test_a_trigger_says_in_words_when_it_fires(every: Any, at: Any, words: str) -> None:
    assert str(Trigger.of(every, at, lambda: 0.0)) == words


@pytest.mark.parametrize(
    ("signal", "every", "plain"),
    [("epoch_end", 2, True), ("epoch_end", "1s", False), ("checkpoint_saved", 2, False)],
)
def test_only_a_frequency_over_an_index_can_be_looked_at_beforehand(
    signal: str, every: Any, plain: bool
) -> None:
    assert bus_with().subscribe(signal, lambda: None, every=every).is_plain is plain


def test_interval_is_not_used_up_by_a_publication_that_the_predicate_refuses() -> None:
    now = 0.0
    heard: list[int] = []
    bus = Bus(clock=lambda: now)
    bus.subscribe("epoch_end", lambda epoch: heard.append(epoch), every="10s",
                  when=lambda epoch: epoch >= 2)  # fmt: skip

    for epoch in range(5):
        bus.publish(bus.epoch_end, object(), epoch=epoch)
        now += 11

    assert heard == [3, 4]  # epoch 2 begins the first interval
