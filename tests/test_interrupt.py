"""Real signals, sent to this very process at chosen places."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import h5py
import pytest

from tests.support.runs import Bare, Sentence, fit, quiet, tiny_model
from trainsignal import Callbacks
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError
from trainsignal.interrupt import LEAST_GRACE_S, Interruption, PreemptedExit

BOTH = pytest.mark.parametrize(
    "number, error, reason",
    [
        (signal.SIGINT, KeyboardInterrupt, "interrupted"),
        (signal.SIGTERM, PreemptedExit, "preempted"),
    ],
)


def own_handler(number: int, frame: FrameType | None) -> None:
    raise AssertionError("the handler of before was called")


@pytest.fixture(autouse=True)
def handlers_are_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    after = {number: signal.getsignal(number) for number in before}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


def silent(grace_s: float = 60.0) -> Interruption:
    return Interruption(grace_s, lambda: None, lambda: None)


def train(
    callbacks: Callbacks,
    when: tuple[int, int],
    do: Callable[[], object],
    epochs: int = 3,
    minibatches: int = 5,
) -> list[tuple[int, int]]:
    """Run a hand-written loop that calls `do` amid one minibatch; return the finished minibatches."""
    finished: list[tuple[int, int]] = []
    with callbacks.training(epochs) as run:
        for epoch in run.epochs():
            for minibatch in run.minibatches(range(minibatches)):
                if (epoch, minibatch) == when:
                    do()
                run.cost = 1.0
                finished.append((epoch, minibatch))
    return finished


def send(number: int, times: int = 1) -> Callable[[], None]:
    def do() -> None:
        for _ in range(times):
            signal.raise_signal(number)

    return do


@BOTH
def test_signal_stops_the_run_after_the_minibatch_in_which_it_came(
    number: int, error: type[BaseException], reason: str, tmp_path: Path
) -> None:
    callbacks = quiet(tiny_model(), output_file=tmp_path / "run.h5", save_path=tmp_path / "model.h5")
    sentence = Sentence(callbacks)

    with pytest.raises(error):
        train(callbacks, (1, 2), send(number))

    assert sentence.text == "TEBbBbBbBbBbeEBbBbBbC"
    assert callbacks.run.exit_reason == reason
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        config = archive["config"].attrs
        assert (config["exit_reason"], config["exit_author"]) == (reason, signal.Signals(number).name)
    saved = load_state(tmp_path / "model.h5")["trainsignal"]
    assert (saved["epoch"], saved["minibatch"], saved["minibatches_done"]) == (1, 3, 8)


def test_termination_ends_the_process_with_the_status_of_a_termination() -> None:
    assert PreemptedExit().code == 143


@BOTH
def test_second_signal_stops_at_once(number: int, error: type[BaseException], reason: str) -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)

    with pytest.raises(error):
        train(callbacks, (0, 1), send(number, times=2))

    assert sentence.text == "TEBbBC"
    assert callbacks.run.exit_reason == reason


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_second_signal_of_the_other_kind_counts(signals: tuple[int, int]) -> None:
    callbacks = quiet()

    def do() -> None:
        for number in signals:
            signal.raise_signal(number)

    with pytest.raises(PreemptedExit if signals[1] == signal.SIGTERM else KeyboardInterrupt):
        train(callbacks, (0, 1), do)


@BOTH
def test_minibatch_that_does_not_end_within_the_grace_period_is_cut_short(
    number: int, error: type[BaseException], reason: str, tmp_path: Path
) -> None:
    callbacks = quiet(tiny_model(), grace_s=0.05, save_path=tmp_path / "model.h5")
    hanging = threading.Event()

    def hang() -> None:
        signal.raise_signal(number)
        hanging.wait(60)

    with pytest.raises(error):
        train(callbacks, (1, 2), hang)

    assert callbacks.run.exit_reason == reason
    saved = load_state(tmp_path / "model.h5")["trainsignal"]
    assert (saved["epoch"], saved["minibatch"]) == (1, 0), (
        "the checkpoint of epoch 0 is whole, the model may not be"
    )


def test_run_that_was_cut_amid_a_minibatch_is_saved_where_nothing_was_before(tmp_path: Path) -> None:
    callbacks = quiet(tiny_model(), save_path=tmp_path / "model.h5")

    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (0, 2), send(signal.SIGINT, times=2))

    assert load_state(tmp_path / "model.h5")["trainsignal"]["minibatch"] == 3


@pytest.mark.parametrize(
    "hook", ["train_begin", "epoch_begin", "minibatch_begin", "minibatch_end", "epoch_end"]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_signal_that_comes_while_callbacks_run_waits_for_all_of_them(hook: str, is_first: bool) -> None:
    callbacks = quiet()
    heard: list[str] = []
    callbacks.bus.subscribe(hook, send(signal.SIGINT), first=is_first, once=True)
    callbacks.bus.subscribe(hook, lambda: heard.append(hook), once=True)

    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (-1, -1), lambda: None)

    assert heard == [hook]
    assert callbacks.run.exit_reason == "interrupted"
    assert callbacks.run.minibatches_done <= 5


def test_signal_after_the_last_boundary_is_not_lost() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("train_end", send(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (-1, -1), lambda: None)

    assert callbacks.run.exit_reason == "completed"


def test_signal_is_raised_at_once_while_the_run_closes_because_of_one() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("run_closed", send(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (0, 0), send(signal.SIGINT))

    assert callbacks.run.exit_reason == "interrupted"


def test_error_of_the_loop_wins_over_a_signal_that_waits() -> None:
    callbacks = quiet()

    def do() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(callbacks, (0, 1), do)

    assert callbacks.run.exit_reason == "failed"


@BOTH
def test_reference_network_listens_too(
    number: int, error: type[BaseException], reason: str, tmp_path: Path
) -> None:
    model = tiny_model()
    callbacks = quiet(model, save_path=tmp_path / "model.h5")
    callbacks.bus.subscribe("minibatch_begin", send(number), at=1, when=lambda epoch: epoch == 2)

    with pytest.raises(error):
        fit(model, callbacks, epochs=9)

    assert callbacks.run.exit_reason == reason
    assert load_state(tmp_path / "model.h5")["trainsignal"]["minibatches_done"] == 6


def test_handlers_of_before_are_back_even_after_an_error() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, own_handler)
    try:
        with pytest.raises(ZeroDivisionError), quiet():
            assert signal.getsignal(signal.SIGINT) is not own_handler
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGINT) is own_handler
        assert signal.getsignal(signal.SIGTERM) is own_handler
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_bare_calls_install_no_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    callbacks = quiet()
    callbacks.on_train_begin(1)
    assert signal.getsignal(signal.SIGINT) is before
    callbacks.on_train_end()


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and background jobs have it
    try:
        callbacks = quiet()
        finished = train(callbacks, (0, 0), send(signal.SIGINT), epochs=1, minibatches=2)
        assert finished == [(0, 0), (0, 1)]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_is_installed_off_the_main_thread() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        train(quiet(), (0, 0), lambda: seen.append(signal.getsignal(signal.SIGINT)), epochs=1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_block_within_itself_restores_at_the_outer_end_only() -> None:
    before = signal.getsignal(signal.SIGINT)
    interruption = silent()
    with interruption:
        ours = signal.getsignal(signal.SIGINT)
        with interruption:
            pass
        assert signal.getsignal(signal.SIGINT) == ours != before
    assert signal.getsignal(signal.SIGINT) is before


def test_run_within_a_run_passes_the_signal_out_through_both() -> None:
    outer, inner = quiet(Bare()), quiet(Bare())

    def tune() -> None:
        train(inner, (0, 0), send(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        train(outer, (1, 1), tune)

    assert (outer.run.exit_reason, inner.run.exit_reason) == ("interrupted", "interrupted")


def test_object_serves_again_after_a_signal() -> None:
    interruption = silent()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), interruption:
            signal.raise_signal(signal.SIGINT)
            interruption.raise_if_asked()
    interruption.raise_if_asked()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_worker_dies_of_the_signal_as_if_nobody_listened() -> None:
    with silent():
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


SCRIPT = """
import os, signal, sys
from trainsignal import Callbacks
callbacks = Callbacks(object(), progress_bar=False)
with callbacks.training(3) as run:
    for epoch in run.epochs():
        for minibatch in run.minibatches(range(5)):
            run.cost = 1.0
            if epoch == 1:
                os.kill(os.getpid(), getattr(signal, sys.argv[1]))
"""


@pytest.mark.parametrize("name, status", [("SIGINT", -signal.SIGINT), ("SIGTERM", 143)])
def test_script_tells_once_what_happens_and_ends_as_the_signal_says(name: str, status: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, name], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == status
    told = [line for line in result.stderr.splitlines() if line.startswith(name)]
    assert told == [
        f"{name}: the run stops at the next boundary, at the latest in 15 s; once more stops it at once"
    ]
    assert result.stderr.count("Traceback") == (name == "SIGINT")


@pytest.mark.parametrize("hook, at", [("minibatch_end", 1), ("epoch_end", 1), ("epoch_begin", 1)])
def test_signal_that_cuts_a_publication_short_leaves_the_last_whole_checkpoint(
    hook: str, at: int, tmp_path: Path
) -> None:
    """Some have heard of the minibatch or the epoch, and some have not: that is no state to go on from."""
    model = tiny_model()
    callbacks = quiet(model, save_path=tmp_path / "model.h5", checkpoint_every=1)
    callbacks.bus.subscribe(hook, send(signal.SIGINT, times=2), at=at, first=True)

    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks, epochs=3)

    saved = load_state(tmp_path / "model.h5")["trainsignal"]
    assert (saved["epoch"], saved["minibatch"]) == {
        "minibatch_end": (0, 1), "epoch_end": (1, 2), "epoch_begin": (1, 0),
    }[hook]  # fmt: skip


@pytest.mark.parametrize("grace_s", [-1, float("nan"), "15s", None, True])
def test_grace_period_that_is_no_time_is_refused(grace_s: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"grace_s=.*expected seconds"):
        quiet(grace_s=grace_s)


def test_endless_grace_period_waits_for_the_boundary() -> None:
    callbacks = quiet(grace_s=float("inf"))
    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (0, 1), send(signal.SIGINT))
    assert callbacks.run.minibatches_done == 2


def test_signal_between_two_epochs_stops_before_the_next_minibatch() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with pytest.raises(KeyboardInterrupt), callbacks.training(3) as run:
        for epoch in run.epochs():
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)
            for _ in run.minibatches(range(500)):
                run.cost = 1.0
    assert sentence.text.count("b") <= 501
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_begin", send(signal.SIGINT), at=1)
    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (-1, -1), lambda: None)
    assert callbacks.run.minibatches_done == 5


def test_without_a_thread_to_be_had_the_run_still_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    callbacks = quiet()
    with pytest.raises(KeyboardInterrupt):
        train(callbacks, (0, 1), send(signal.SIGINT))
    assert callbacks.run.exit_reason == "interrupted"


@BOTH
def test_signal_that_came_to_another_process_of_the_run_is_raised_with_its_author(
    number: int, error: type[BaseException], reason: str
) -> None:
    callbacks = Callbacks(tiny_model(), progress_bar=False)
    with pytest.raises(error):
        train(callbacks, (1, 2), lambda: callbacks._interruption.raise_agreed(number, "signal on rank 3"))
    assert callbacks.run.exit_reason == reason
    assert callbacks.callback_data["config"].attrs["exit_author"] == "signal on rank 3"


def test_grace_period_begins_anew_at_a_boundary_at_which_the_signal_waits() -> None:
    """As for other ranks, with which the moment to stop is agreed."""
    interruption = silent(grace_s=0.4)
    with pytest.raises(PreemptedExit), interruption:
        assert interruption.asked_at_boundary() is None
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(5):
            time.sleep(0.2)
            assert interruption.asked_at_boundary() == (signal.SIGTERM, "SIGTERM")
        with pytest.raises(PreemptedExit):
            time.sleep(20)  # no boundary comes any more
        interruption._asked = signal.SIGTERM


def test_grace_period_that_is_left_shrinks_from_the_signal_on(monkeypatch: pytest.MonkeyPatch) -> None:
    interruption, now = silent(grace_s=15.0), 100.0
    monkeypatch.setattr("trainsignal.interrupt.time.monotonic", lambda: now)
    assert interruption.grace_left_s() == 15.0
    with pytest.raises(PreemptedExit), interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        now = 110.0
        assert interruption.grace_left_s() == 5.0
        now = 200.0
        assert interruption.grace_left_s() == LEAST_GRACE_S
        interruption.asked_at_boundary()
        assert interruption.grace_left_s() == 15.0
        interruption.raise_if_asked()
