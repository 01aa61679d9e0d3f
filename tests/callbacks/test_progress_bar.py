from __future__ import annotations

import io
import re
import sys
import types
from typing import Any

import pytest
from tqdm.std import tqdm

from tests.support.runs import Bare, FakeClock, Terminal, fit, quiet, tiny_model, tiny_set
from trainsignal import Callbacks, LossCallback, ProgressBarCallback
from trainsignal.callbacks import progress_bar
from trainsignal.errors import ConfigurationError


def with_bar(stream: Any, model: object = None, **options: Any) -> Callbacks:
    callbacks = quiet(model)
    callbacks.add_callback(ProgressBarCallback(stream=stream, **options))
    return callbacks


def train(
    callbacks: Callbacks,
    clock: FakeClock,
    epochs: int = 1,
    minibatches: int = 3,
    seconds: float = 1.0,
    *,
    is_sized: bool = True,
) -> None:
    """Run a loop whose minibatches last so many seconds and cost 1, 2, 3, ..."""
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            batches = range(minibatches)
            for minibatch in run.minibatches(batches if is_sized else iter(batches)):
                run.cost = minibatch + 1.0
                clock.now += seconds


def drawings(stream: Terminal) -> list[str]:
    """Return what was drawn, one string a drawing, without the movement of the cursor."""
    return [one for one in re.split(r"[\r\n]+", stream.getvalue()) if one.strip()]


def test_terminal_shows_epoch_batches_cost_and_seconds() -> None:
    stream, clock = Terminal(), FakeClock()
    train(with_bar(stream, clock=clock), clock)
    assert drawings(stream) == [
        "Epoch 0   [Train |                    |    0/?    batches, 0.00s]",
        "Epoch 0   [Train |██████▋             |    1/3    batches, 1.00 cost, 1.00s]",
        "Epoch 0   [Train |█████████████▎      |    2/3    batches, 1.50 cost, 2.00s]",
        "Epoch 0   [Train |████████████████████|    3/3    batches, 2.00 cost, 3.00s]",
        "Epoch 0   [Train |████████████████████|    3/3    batches, 2.00 cost, 3.00s]",
    ]


def test_terminal_redraws_one_line_and_ends_it() -> None:
    stream, clock = Terminal(), FakeClock()
    train(with_bar(stream, clock=clock), clock, epochs=2)
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert text.startswith("\r")
    assert text.endswith("\n")


@pytest.mark.parametrize("threshold, drawn", [(0.0, [0, 1, 2, 3, 4, 4]), (2.5, [0, 3, 4]), (9.0, [0, 4])])
def test_bar_is_not_drawn_more_often_than_the_threshold_says(threshold: float, drawn: list[int]) -> None:
    stream, clock = Terminal(), FakeClock()
    train(with_bar(stream, clock=clock, update_thresh_s=threshold), clock, minibatches=4)
    counts = [re.search(r"(\d+)/[4?] ", line) for line in drawings(stream)]
    assert [int(one[1]) for one in counts if one] == drawn


def test_plain_stream_gets_one_line_an_epoch_without_control_characters() -> None:
    stream, clock = io.StringIO(), FakeClock()
    train(with_bar(stream, clock=clock), clock, epochs=2)
    text = stream.getvalue()
    assert text == (
        "Epoch 0   [Train 3/3 batches, 2.00 cost, 3.00s]\nEpoch 1   [Train 3/3 batches, 2.00 cost, 3.00s]\n"
    )
    assert "\r" not in text
    assert "\x1b" not in text


def test_evaluation_loss_follows_in_brackets() -> None:
    stream = io.StringIO()
    model = tiny_model()
    callbacks = with_bar(stream, model, clock=FakeClock())
    callbacks.add_callback(LossCallback(tiny_set(), clock=FakeClock(step=0.25)))
    fit(model, callbacks, 1)
    loss = callbacks.callback_data["cost/loss"][0]
    assert stream.getvalue().endswith(f" [CrossEntropyMulti Loss {loss:.2f}, 0.25s]\n")


def test_loss_is_shown_only_at_epochs_at_which_it_was_evaluated() -> None:
    stream = io.StringIO()
    model = tiny_model()
    callbacks = with_bar(stream, model)
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=2))
    fit(model, callbacks, 3)
    assert ["Loss" in line for line in stream.getvalue().splitlines()] == [False, True, False]


@pytest.mark.parametrize("stream, expected", [
    (Terminal(), "    2/?    batches"), (io.StringIO(), None),
], ids=["terminal", "plain"])  # fmt: skip
def test_unknown_total_is_a_question_mark_until_the_epoch_ends(stream: Any, expected: str | None) -> None:
    clock = FakeClock()
    train(with_bar(stream, clock=clock), clock, is_sized=False)
    text = stream.getvalue()
    assert expected is None or expected in text
    assert re.search(r" 3/3 +batches", text)


def test_total_that_was_announced_too_small_is_corrected() -> None:
    class Sized(Bare):
        nbatches, ndata = 2, 4

    stream, clock = Terminal(), FakeClock()
    train(with_bar(stream, Sized(), clock=clock), clock, is_sized=False, minibatches=4)
    assert re.search(r" 4/4 +batches", drawings(stream)[-1])


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
@pytest.mark.parametrize("frequency, shown", [(2, [1, 3]), ([0, 3], [0, 3]), (None, [])], ids=repr)
def test_only_epochs_of_its_frequency_are_shown(kind: Any, frequency: Any, shown: list[int]) -> None:
    stream, clock = kind(), FakeClock()
    train(with_bar(stream, clock=clock, epoch_freq=frequency), clock, epochs=4)
    text = stream.getvalue()
    assert sorted({int(one) for one in re.findall(r"Epoch (\d+)", text)}) == shown
    assert text.count("\n") == len(shown)


def test_minibatch_frequency_says_when_the_bar_may_move() -> None:
    stream, clock = Terminal(), FakeClock()
    train(with_bar(stream, clock=clock, minibatch_freq=2), clock, minibatches=5)
    assert [line.split("/")[0][-1] for line in drawings(stream)] == ["0", "2", "4", "5"]


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "plain"])
@pytest.mark.parametrize("threshold", [0.0, 99.0])
def test_interrupted_run_ends_the_line_with_what_was_done(stream: Any, threshold: float) -> None:
    stream.seek(0)
    stream.truncate()
    clock = FakeClock()
    callbacks = with_bar(stream, clock=clock, update_thresh_s=threshold)
    with pytest.raises(KeyboardInterrupt), callbacks.training(2) as run:
        for _ in run.epochs():
            for minibatch in run.minibatches(range(5)):
                run.cost = 1.0
                if minibatch == 3:
                    raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")
    last = stream.getvalue().replace("\r", "\n").splitlines()[-1]
    assert re.search(r" 3/5 +batches, 1\.00 cost", last)


def test_epoch_without_a_minibatch_is_shown() -> None:
    stream, clock = io.StringIO(), FakeClock()
    train(with_bar(stream, clock=clock), clock, minibatches=0)
    assert stream.getvalue() == "Epoch 0   [Train 0/0 batches, 0.00s]\n"


def test_cost_that_nobody_writes_is_left_out() -> None:
    stream, clock = io.StringIO(), FakeClock()
    callbacks = with_bar(stream, clock=clock)
    callbacks.callbacks = callbacks.callbacks[-1:]
    train(callbacks, clock)
    assert stream.getvalue() == "Epoch 0   [Train 3/3 batches, 3.00s]\n"


def test_cost_that_is_written_at_some_minibatches_only_stops_nobody() -> None:
    stream, clock = Terminal(), FakeClock()
    callbacks = with_bar(stream, clock=clock)
    callbacks.callbacks[0].minibatch_freq = 2
    train(callbacks, clock)
    assert "1.50 cost" not in stream.getvalue()
    assert "2.00 cost" in stream.getvalue()  # of the second minibatch, the first that was written


def test_standard_output_is_taken_as_it_is_when_an_epoch_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = Callbacks(Bare())
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    train(callbacks, FakeClock())
    assert stream.getvalue().startswith("Epoch 0 ")


def test_notebook_is_given_its_own_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class NotebookBar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*arguments, **options)

    notebook = types.ModuleType("tqdm.notebook")
    notebook.tqdm = NotebookBar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", notebook)
    monkeypatch.setattr(progress_bar, "find_spec", lambda name: name == "ipywidgets")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    train(Callbacks(Bare()), FakeClock(), epochs=2)
    assert len(made) == 2
    assert stream.getvalue().count("2.00 cost") == 2


def test_epoch_end_of_an_epoch_that_began_unseen_is_not_shown() -> None:
    stream, clock = io.StringIO(), FakeClock()
    callbacks = with_bar(stream, clock=clock, epoch_freq=[9])
    bar = callbacks.callbacks[-1]
    callbacks.bus.subscribe("epoch_end", lambda: setattr(bar, "epoch_freq", 1), first=True, at=0)
    train(callbacks, clock, epochs=2)
    assert stream.getvalue() == "Epoch 1   [Train 3/3 batches, 2.00 cost, 3.00s]\n"


def test_negative_threshold_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected 0 or more seconds"):
        ProgressBarCallback(update_thresh_s=-1)


def test_nothing_is_shown_where_there_is_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = Callbacks(Bare())
    monkeypatch.setattr(sys, "stdout", None)

    train(callbacks, FakeClock())

    assert callbacks.run.exit_reason == "completed"


def test_kernel_without_widgets_is_given_the_bar_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setattr(progress_bar, "find_spec", lambda name: None)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    train(Callbacks(Bare()), FakeClock(), epochs=1)

    assert "\r" in stream.getvalue()
    assert stream.getvalue().count("2.00 cost") >= 1


class Broken(Terminal):
    """A stream that fails from the given write on, as a full disk or a pipe without a reader."""

    def __init__(self, good_writes: int, error: Exception, *, is_terminal: bool) -> None:
        super().__init__()
        self.left, self.error, self.is_terminal = good_writes, error, is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        if self.left == 0:
            raise self.error
        self.left -= 1
        return super().write(text)


@pytest.mark.parametrize(
    ("is_terminal", "error"),
    [
        (True, OSError(28, "No space left")),
        (True, BrokenPipeError()),
        (False, OSError(28, "No space left")),
        (False, ValueError("closed file")),  # in a terminal tqdm keeps this one to itself
    ],
)
@pytest.mark.parametrize("good_writes", [0, 1, 5])
def test_stream_that_fails_ends_the_bar_and_not_the_training(
    is_terminal: bool, good_writes: int, error: Exception
) -> None:
    stream = Broken(good_writes, error, is_terminal=is_terminal)
    callbacks = with_bar(stream, clock=FakeClock())

    train(callbacks, FakeClock(), epochs=12)

    assert callbacks.run.exit_reason == "completed"
    assert len(callbacks.run.problems) == 1
    assert "the progress bar cannot be drawn any more" in callbacks.run.problems[0]
