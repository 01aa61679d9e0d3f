"""Any loop, left in any way, publishes a sentence of `T(E(Bb)*e)*tC`, or a beginning of one followed by C."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.runs import (
    CUT_SHORT,
    SENTENCE,
    Finishable,
    Sentence,
    fit,
    quiet,
    six_calls,
    tiny_model,
)
from trainsignal import Callback, Callbacks

Body = Literal["break", "continue", "leave", "return", "raise", "interrupt", "vote", "finish"]
Deed = Literal["raise", "interrupt", "vote at minibatch", "vote at epoch", "finish", "add", "remove"]

BODIES = st.sampled_from(["break", "continue", "leave", "return", "raise", "interrupt", "vote", "finish"])
DEEDS = st.sampled_from(
    ["raise", "interrupt", "vote at minibatch", "vote at epoch", "finish", "add", "remove"]
)
HOOKS = ["train_begin", "epoch_begin", "minibatch_begin", "minibatch_end", "epoch_end", "train_end"]
PLACES = st.tuples(st.integers(0, 2), st.integers(0, 3))
POLICIES = st.sampled_from(["raise", "log", "disable"])


class Failure(Exception):
    """What the tests raise."""


class Doer(Callback):
    """Does something at the nth call of one hook."""

    def __init__(self, hook: str, call: int, deed: Deed, container: Callbacks) -> None:
        super().__init__()
        self._calls = 0
        self._call = call
        self._deed = deed
        self._container = container
        setattr(self, f"on_{hook}", self._do)

    def _do(self, callback_data: Any, model: Any, *arguments: Any) -> None:
        self._calls += 1
        if self._calls != self._call + 1:
            return
        if self._deed == "raise":
            raise Failure
        if self._deed == "interrupt":
            raise KeyboardInterrupt
        if self._deed == "finish":
            model.finished = True
        elif self._deed == "add":
            self._container.add_callback(Callback())
        elif self._deed == "remove":
            self._container.callbacks = [one for one in self._container.callbacks if one is not self]
        else:
            self.request_stop("test", at="epoch" if self._deed == "vote at epoch" else "minibatch")


def container_with(deeds: list[tuple[str, int, Deed, Any]]) -> tuple[Callbacks, Sentence]:
    container = quiet(Finishable())
    sentence = Sentence(container)
    for hook, call, deed, policy in deeds:
        container.add_callback(Doer(hook, call, deed, container), on_error=policy)
    return container, sentence


DEED_LISTS = st.lists(st.tuples(st.sampled_from(HOOKS), st.integers(0, 3), DEEDS, POLICIES), max_size=3)


def attempt(loop: Callable[[], None]) -> BaseException | None:
    """Return what the loop raised."""
    logging.disable(logging.CRITICAL)  # what "log" and "disable" write is not the matter here
    try:
        loop()
    except (Failure, KeyboardInterrupt) as error:
        return error
    finally:
        logging.disable(logging.NOTSET)
    return None


def assert_grammatical(container: Callbacks, sentence: Sentence, error: BaseException | None) -> None:
    reason = container.run.exit_reason
    grammar = SENTENCE if error is None else CUT_SHORT
    assert grammar.fullmatch(sentence.text), f"{sentence.text} after {error!r}"
    if error is None:
        assert reason in ("completed", "stopped")
    else:
        assert reason == ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        assert container.run.error is error
    assert sentence.calls[-1] == ("run_closed", reason, error)
    numbers = [call[1:] for call in sentence.calls if call[0] == "minibatch_begin"]
    assert numbers == sorted(set(numbers)), "a minibatch was published twice, or out of order"


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 3), st.integers(0, 4), st.dictionaries(PLACES, BODIES, max_size=2), DEED_LISTS)
@example(2, 2, {}, [("minibatch_begin", 0, "add", "raise"), ("minibatch_begin", 0, "raise", "raise")])
@example(2, 2, {(0, 1): "break"}, [("minibatch_end", 1, "raise", "raise")])
def test_hand_written_loop_publishes_a_sentence_however_it_is_left(
    epochs: int, minibatches: int, bodies: dict[tuple[int, int], Body], deeds: list[Any]
) -> None:
    container, sentence = container_with(deeds)

    def loop() -> None:
        with container.training(epochs) as run:
            for epoch in run.epochs():
                for minibatch in run.minibatches(range(minibatches)):
                    run.cost = 1.0
                    body = bodies.get((epoch, minibatch))
                    if body == "continue":
                        continue
                    if body in ("break", "leave"):
                        break
                    if body == "return":
                        return
                    act(body, container)
                if bodies.get((epoch, minibatches - 1)) == "leave":
                    break

    assert_grammatical(container, sentence, attempt(loop))


def act(body: Body | None, container: Callbacks) -> None:
    if body == "raise":
        raise Failure
    if body == "interrupt":
        raise KeyboardInterrupt
    if body == "vote":
        container.stop("test")
    if body == "finish":
        container.model().finished = True


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 3), st.integers(0, 4), DEED_LISTS)
def test_six_bare_calls_publish_a_sentence_or_close_the_run_when_a_callback_raises(
    epochs: int, minibatches: int, deeds: list[Any]
) -> None:
    container, sentence = container_with(deeds)
    error = attempt(lambda: six_calls(container, epochs, minibatches))
    assert_grammatical(container, sentence, error)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 3),
    st.integers(0, 4),
    st.dictionaries(PLACES, st.sampled_from(["raise", "interrupt", "vote", "finish"]), max_size=2),
    DEED_LISTS,
)
def test_fit_inside_a_with_block_publishes_a_sentence_however_it_is_left(
    epochs: int, minibatches: int, bodies: dict[tuple[int, int], Body], deeds: list[Any]
) -> None:
    container, sentence = container_with(deeds)

    def fake_fit() -> None:
        container.on_train_begin(epochs)
        for epoch in range(epochs):
            if container.model().finished:
                break
            container.on_epoch_begin(epoch)
            for minibatch in range(minibatches):
                container.on_minibatch_begin(epoch, minibatch)
                act(bodies.get((epoch, minibatch)), container)
                container.run.cost = 1.0
                container.on_minibatch_end(epoch, minibatch)
            container.on_epoch_end(epoch)
        container.on_train_end()

    def loop() -> None:
        with container:
            fake_fit()

    assert_grammatical(container, sentence, attempt(loop))


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 3), DEED_LISTS)
def test_fit_of_the_reference_network_publishes_a_sentence(epochs: int, deeds: list[Any]) -> None:
    model = tiny_model()
    container = quiet(model)
    sentence = Sentence(container)
    for hook, call, deed, policy in deeds:
        container.add_callback(Doer(hook, call, deed, container), on_error=policy)
    error = attempt(lambda: fit(model, container, epochs))
    assert_grammatical(container, sentence, error)


def test_iterators_that_are_stepped_in_turns_publish_each_minibatch_once() -> None:
    container, sentence = container_with([])
    with container.training(1) as run:
        for _ in run.epochs():
            run.cost = 1.0
            pairs = list(zip(run.minibatches("ab"), run.minibatches("cd"), strict=True))
    assert pairs == [("a", "c"), ("b", "d")]
    assert sentence.text == "TEBbBbBbBbetC"
    assert_grammatical(container, sentence, None)


def test_error_of_a_callback_that_the_loop_catches_leaves_no_minibatch_open() -> None:
    container, sentence = container_with([("minibatch_begin", 1, "raise", "raise")])
    with container.training(1) as run:
        for _ in run.epochs():
            run.cost = 1.0
            with pytest.raises(Failure):
                list(run.minibatches(range(5)))
    assert sentence.text == "TEBbBbetC"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_run_closed_reaches_every_receiver_where_one_fails(failing: int) -> None:
    container = quiet()
    reached: list[int] = []

    def receiver(number: int) -> Callable[[], None]:
        def receive() -> None:
            reached.append(number)
            if number == failing:
                raise Failure

        return receive

    for number in range(3):
        container.bus.subscribe("run_closed", receiver(number))
    with pytest.raises(Failure):
        six_calls(container)
    assert reached == [0, 1, 2]
    assert container.run.exit_reason == "completed"


def test_on_run_closed_runs_in_reverse_order_and_other_hooks_in_order() -> None:
    container = quiet()
    called: list[str] = []

    class Noting(Callback):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def on_train_end(self, callback_data: Any, model: Any) -> None:
            called.append(f"end {self.name}")

        def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None:
            called.append(f"closed {self.name}")

    for name in "ab":
        container.add_callback(Noting(name))
    six_calls(container)
    assert called == ["end a", "end b", "closed b", "closed a"]


def test_error_in_run_closed_does_not_hide_the_error_that_ended_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    container = quiet()

    def fail() -> None:
        raise ZeroDivisionError

    container.bus.subscribe("run_closed", fail)
    with pytest.raises(Failure), container.training(1):
        raise Failure
    assert "a receiver of run_closed failed" in caplog.text
    assert caplog.records[-1].exc_info is not None


def test_iterator_in_a_generator_that_is_closed_early_closes_the_run_as_failed() -> None:
    container = quiet()
    sentence = Sentence(container)

    def batches() -> Iterator[int]:
        with container.training(1) as run:
            for _ in run.epochs():
                yield from run.minibatches(range(3))

    generator = batches()
    assert next(generator) == 0
    generator.close()  # type: ignore[attr-defined]
    assert sentence.text == "TEBC"
    assert container.run.exit_reason == "failed"


def test_what_bare_calls_leave_open_is_closed_before_the_run_ends() -> None:
    callbacks, sentence = container_with([])
    callbacks.run.cost = 1.0
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)
    callbacks.on_minibatch_begin(0, 0)

    callbacks.on_train_end()

    assert sentence.text == "TEBbetC"


def test_an_epoch_that_bare_calls_left_open_is_closed_before_the_next() -> None:
    callbacks, sentence = container_with([])
    callbacks.run.cost = 1.0
    callbacks.on_train_begin(2)
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_minibatch_begin(epoch, 0)
        callbacks.on_minibatch_end(epoch, 0)

    callbacks.on_train_end()

    assert sentence.text == "TEBbeEBbetC"


def test_a_block_that_is_left_amid_a_minibatch_of_bare_calls_closes_it() -> None:
    callbacks, sentence = container_with([])
    callbacks.run.cost = 1.0
    with callbacks:
        callbacks.on_train_begin(1)
        callbacks.on_epoch_begin(0)
        callbacks.on_minibatch_begin(0, 0)

    assert sentence.text == "TEBbetC"
