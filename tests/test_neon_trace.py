"""neon's own calls, replayed: what its `Model.fit` calls on us, and what we then call on callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.neon_trace import CALLBACK_CALLS, FIT_CALLS, MARKERS
from tests.support.runs import Sentence
from trainsignal import Callback, Callbacks


class RecordedModel:
    """What the callbacks of the trace were called with: 64 samples in 2 minibatches."""

    ndata, nbatches = 64, 2

    def __init__(self) -> None:
        self.finished = False


class Spy(Callback):
    """Writes each call of it as a line of the trace; its own `should_fire` decides by neon's rule."""

    def __init__(self, name: str, lines: list[str], epoch_freq: Any, minibatch_freq: Any) -> None:
        super().__init__(epoch_freq, minibatch_freq)
        self._name = name
        self._lines = lines

    def _note(self, hook: str, callback_data: Any, model: Any, *numbers: Any) -> None:
        assert "config" in callback_data
        assert isinstance(model, RecordedModel)
        self._lines.append(f"{self._name}.{hook}(File, Model, {', '.join(map(str, numbers))})")

    def on_train_begin(self, *arguments: Any) -> None:
        self._note("on_train_begin", *arguments)

    def on_train_end(self, *arguments: Any) -> None:
        self._note("on_train_end", *arguments)

    def on_epoch_begin(self, *arguments: Any) -> None:
        self._note("on_epoch_begin", *arguments)

    def on_epoch_end(self, *arguments: Any) -> None:
        self._note("on_epoch_end", *arguments)

    def on_minibatch_begin(self, *arguments: Any) -> None:
        self._note("on_minibatch_begin", *arguments)

    def on_minibatch_end(self, *arguments: Any) -> None:
        self._note("on_minibatch_end", *arguments)


class QuestionedSpy(Spy):
    """Also writes each question whether it fires."""

    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        answer = super().should_fire(callback_data, model, time, freq)
        self._lines.append(f"{self._name}.should_fire(callback_data, model, {time}, {freq}) -> {answer}")
        return answer


def recorded_run(kind: type[Spy]) -> tuple[Callbacks, list[str], list[tuple[str, str]], Sentence]:
    """Make the calls of `fit` on a container with A, B, C and D; also return its counters after each."""
    container = Callbacks(RecordedModel())
    lines: list[str] = []
    container.callbacks = [
        kind("A", lines, 1, 1),
        kind("B", lines, 2, 2),
        kind("C", lines, None, None),
        kind("D", lines, [0], [1]),
    ]
    sentence = Sentence(container)
    counters = [("epoch_marker", str(container.epoch_marker))]
    for method, arguments in FIT_CALLS:
        getattr(container, method)(*arguments)
        if method == "on_minibatch_end":
            counters.append(("epoch_minibatches", str(container.epoch_minibatches)))
        if method == "on_epoch_end":
            counters.append(("epoch_marker", str(container.epoch_marker)))
    return container, lines, counters, sentence


def test_trace_holds_two_epochs_of_two_minibatches() -> None:
    assert len(FIT_CALLS) == 1 + 2 * (1 + 2 * 2 + 1) + 1
    assert len(CALLBACK_CALLS) == 4 * 2 + 4 * 12 + (12 + 6 + 0 + 6)  # train hooks, questions, hooks that fire


def test_calls_of_neons_fit_drive_a_whole_run() -> None:
    container, _, _, sentence = recorded_run(Spy)
    assert sentence.text == "TEBbBbeEBbBbetC"
    assert [("on_" + call[0], call[1:]) for call in sentence.calls[:-1]] == FIT_CALLS
    assert container.run.exit_reason == "completed"


def test_questions_and_hooks_come_in_neons_sequence() -> None:
    assert recorded_run(QuestionedSpy)[1] == CALLBACK_CALLS


def test_hooks_come_in_neons_sequence_where_nobody_is_asked() -> None:
    expected = [line for line in CALLBACK_CALLS if ".should_fire(" not in line]
    assert recorded_run(Spy)[1] == expected


def test_counters_are_neons_after_each_call() -> None:
    assert recorded_run(Spy)[2] == MARKERS


@pytest.mark.parametrize("key, value", [("total_epochs", 2), ("total_minibatches", 4)])
def test_archive_says_what_neons_fit_asked_for(key: str, value: int) -> None:
    assert recorded_run(Spy)[0].callback_data["config"].attrs[key] == value


class MinimalLoop:
    """All that a framework needs to drive the callbacks: neon's six calls, in the order of the trace."""

    def __init__(self, epochs: int, minibatches: int) -> None:
        self.epochs, self.minibatches = epochs, minibatches

    def fit(self, callbacks: Any) -> None:
        callbacks.on_train_begin(self.epochs)
        for epoch in range(self.epochs):
            callbacks.on_epoch_begin(epoch)
            for minibatch in range(self.minibatches):
                callbacks.on_minibatch_begin(epoch, minibatch)
                callbacks.on_minibatch_end(epoch, minibatch)
            callbacks.on_epoch_end(epoch)
        callbacks.on_train_end()


class Recorder:
    """Writes down whatever call it takes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[int, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.calls.append((name, arguments))


def test_loop_that_makes_the_six_calls_makes_those_of_the_trace() -> None:
    recorder = Recorder()
    MinimalLoop(2, 2).fit(recorder)
    assert recorder.calls == FIT_CALLS


def test_any_object_that_makes_the_six_calls_drives_a_whole_run() -> None:
    container = Callbacks(RecordedModel())
    lines: list[str] = []
    container.callbacks = [
        QuestionedSpy("A", lines, 1, 1),
        QuestionedSpy("B", lines, 2, 2),
        QuestionedSpy("C", lines, None, None),
        QuestionedSpy("D", lines, [0], [1]),
    ]
    MinimalLoop(2, 2).fit(container)
    assert lines == CALLBACK_CALLS
    assert container.run.exit_reason == "completed"
