"""Runs here, listeners there, and a real Redis server between them."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import pytest
import redis

from tests.remote.followed import Journal, present
from tests.support.processes import python
from tests.support.redis_server import RedisServer
from tests.support.runs import fit, quiet, tiny_model
from trainsignal import Callback, Callbacks, EarlyStopCallback, TrainCostCallback, keys
from trainsignal.errors import RelayError, RunStateError
from trainsignal.relay.broker import AccessDeniedError
from trainsignal.relay.sender import RelaySender
from trainsignal.relay.settings import Relay
from trainsignal.remote import listen, request_remote_stop
from trainsignal.remote.handlers import Handler

PATIENCE_S = 60.0


@pytest.fixture
def server(tmp_path: Path) -> Generator[RedisServer]:
    """Yield a server that forgets everything when it ends."""
    with RedisServer(tmp_path / "redis") as started:
        yield started


class Loss(Callback):
    """Writes a loss that nobody has to compute."""

    writes = (keys.LOSS,)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        attributes = {**keys.epoch_axis(1), keys.DIRECTION: "min"}
        callback_data.create_series(keys.LOSS, epochs, attributes=attributes)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data[keys.LOSS][epoch] = 1 / (epoch + 1)


def relayed(server: RedisServer, *more: Callback, name: str = "digits", **options: Any) -> Callbacks:
    """Return a container whose run is relayed."""
    callbacks = quiet()
    callbacks.callbacks = [TrainCostCallback(), Loss(), *more]
    RelaySender(callbacks.run, Relay(server.url, run_name=name, **options), lambda: callbacks.callbacks)
    return callbacks


def train(
    callbacks: Callbacks, epochs: int = 3, minibatches: int = 5,
    amid: Callable[[int], object] = lambda epoch: None,
) -> None:  # fmt: skip
    """Run a loop that computes nothing, and calls `amid` in each epoch."""
    with callbacks.training(epochs) as run:
        for epoch in run.epochs():
            for minibatch in run.minibatches(range(minibatches)):
                run.cost = 1 / (1 + epoch * minibatches + minibatch)
            amid(epoch)


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Wait for something that happens elsewhere."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.005)


@contextlib.contextmanager
def listening(
    server: RedisServer,
    *,
    callbacks: Callable[[], Iterable[Callback]] = lambda: (),
    handlers: Iterable[tuple[str, Handler]] = (),
    **options: Any,
) -> Generator[Future[None]]:
    """Listen in a thread while the body runs."""
    is_over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        listened = thread.submit(
            listen, server.url, callbacks=lambda model: callbacks(), handlers=list(handlers),
            is_over=is_over.is_set, **options,
        )  # fmt: skip
        try:
            yield listened
        finally:
            is_over.set()
            listened.result(PATIENCE_S)


def test_run_is_heard_elsewhere_as_at_home(server: RedisServer) -> None:
    home, there = (Journal("cost/train", "cost/loss") for _ in range(2))
    with listening(server, callbacks=lambda: [there]):
        callbacks = relayed(server, home)
        train(callbacks)
        wait_until(lambda: there.calls and there.calls[-1][0] == "run_closed", "the end of the run")

    assert there.heard == home.heard


def test_run_that_is_over_is_heard_from_its_begin(server: RedisServer) -> None:
    train(relayed(server))
    heard: list[int] = []
    with listening(server, handlers=[("epoch_end", lambda epoch: heard.append(epoch))], run="digits"):
        wait_until(lambda: len(heard) == 3, "three epochs")

    assert heard == [0, 1, 2]


def test_who_listens_to_one_run_has_heard_all_when_it_is_over(server: RedisServer) -> None:
    train(relayed(server))
    heard: list[object] = []
    handlers = [
        ("epoch_end", lambda epoch: heard.append(epoch)),
        ("run_closed", lambda reason: heard.append(reason)),
    ]

    listen(server.url, run="digits", handlers=handlers)

    assert heard == [0, 1, 2, "completed"]


def test_server_that_forgets_everything_amid_the_run_loses_nothing_and_repeats_nothing(
    server: RedisServer,
) -> None:
    heard: list[tuple[str, int]] = []
    losses: list[list[float]] = []

    def note(epoch: int, callback_data: Any) -> None:
        heard.append(("epoch_end", epoch))
        losses.append(present(callback_data, "cost/loss"))

    def amid(epoch: int) -> None:
        if epoch in (2, 5):  # the latter time it stays away for two epochs
            wait_until(lambda: ("epoch_end", epoch - 1) in heard, "the epoch before")
            server.kill()
        if epoch in (2, 7):
            server.start()

    closed: list[str] = []
    with listening(
        server,
        handlers=[
            ("epoch_begin", lambda epoch: heard.append(("epoch_begin", epoch))),
            ("epoch_end", note),
            ("run_closed", lambda reason: closed.append(reason)),
        ],
    ):
        train(relayed(server), epochs=9, amid=amid)
        wait_until(lambda: closed, "the end of the run")

    assert heard == [(name, epoch) for epoch in range(9) for name in ("epoch_begin", "epoch_end")]
    assert losses[-1] == pytest.approx([1 / (epoch + 1) for epoch in range(9)])
    assert closed == ["completed"]


def test_listener_that_is_killed_goes_on_where_it_was_and_repeats_one_message_at_most(
    server: RedisServer,
) -> None:
    train(relayed(server), epochs=10, minibatches=1)
    lines: list[str] = []
    for lines_until_killed in (4, 5, 3):
        process = python("tests.remote.listener_process", server.url, "mail", "0.02")
        assert process.stdout is not None
        lines += [process.stdout.readline() for _ in range(lines_until_killed)]
        process.send_signal(signal.SIGKILL)
        lines += process.communicate(timeout=PATIENCE_S)[0].splitlines(keepends=True)
    process = python("tests.remote.listener_process", server.url, "mail", "0")
    assert process.stdout is not None
    while not lines[-1].startswith("run_closed"):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate(timeout=PATIENCE_S)[1]
    process.kill()
    process.communicate(timeout=PATIENCE_S)

    once = list(dict.fromkeys(lines))
    assert [line.split()[0] for line in once] == [
        "train_begin", *["epoch_begin", "epoch_end"] * 10, "train_end", "run_closed",
    ]  # fmt: skip
    assert len(lines) - len(once) <= 3  # one for each kill


def test_callback_elsewhere_stops_the_run(server: RedisServer) -> None:
    def stopper() -> list[Callback]:
        return [EarlyStopCallback(lambda state, loss: (state, loss < 0.6))]

    with listening(server, callbacks=stopper):
        callbacks = relayed(server, allow_remote_stop=True)
        train(callbacks, epochs=2000, amid=lambda epoch: time.sleep(0.02))

    assert callbacks.run.exit_reason == "stopped"
    assert callbacks.run.votes[0].author == "EarlyStopCallback"
    assert "stopped at loss 0.5 of epoch 1" in callbacks.run.votes[0].reason


def test_user_elsewhere_stops_the_run_and_is_answered(server: RedisServer) -> None:
    callbacks, answers = relayed(server, allow_remote_stop=True), list[Future[str]]()
    with ThreadPoolExecutor(1) as thread:

        def ask(epoch: int) -> None:
            if epoch == 0:
                answers.append(thread.submit(ask_when_listed, server.url))
            time.sleep(0.02)

        train(callbacks, epochs=2000, amid=ask)

    assert answers[0].result(PATIENCE_S).startswith("accepted")
    assert (callbacks.run.exit_reason, callbacks.run.votes[0].reason) == ("stopped", "enough")
    with pytest.raises(RunStateError, match="is over: stopped"):
        request_remote_stop(server.url, "digits", "again")


def ask_when_listed(url: str) -> str:
    """Ask the run to stop, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return request_remote_stop(url, "digits", "enough", timeout_s=PATIENCE_S)
        except ValueError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_run_that_failed_has_failed_elsewhere_with_its_words(server: RedisServer) -> None:
    told: list[tuple[str, str]] = []
    with listening(
        server, handlers=[("run_closed", lambda reason, error: told.append((reason, str(error))))]
    ):
        with pytest.raises(ZeroDivisionError):
            train(relayed(server), amid=lambda epoch: 1 / 0)
        wait_until(lambda: told, "the end of the run")

    assert told == [("failed", "ZeroDivisionError: division by zero")]


def test_resumed_run_goes_on_elsewhere(server: RedisServer, tmp_path: Path) -> None:
    heard: list[tuple[str, Any]] = []

    def resumable(epochs: int, resume: bool) -> None:
        callbacks = quiet(tiny_model(), save_path=tmp_path / "model.h5", resume=resume)
        RelaySender(callbacks.run, Relay(server.url, run_name="digits"), lambda: callbacks.callbacks)
        if not resume:
            callbacks.bus.subscribe("minibatch_end", lambda: 1 / 0, at=1, when=lambda epoch: epoch == 2)
        fit(callbacks.run.model, callbacks, epochs)

    def note(name: str) -> Handler:
        return lambda run, model: heard.append((name, run.epoch))

    with listening(
        server, handlers=[(name, note(name)) for name in ("train_begin", "epoch_end", "run_closed")]
    ):
        with pytest.raises(ZeroDivisionError):
            resumable(4, resume=False)
        resumable(4, resume=True)
        wait_until(lambda: heard and heard.count(("run_closed", 3)) == 1, "the end of the run")

    assert heard == [
        ("train_begin", 0), ("epoch_end", 0), ("epoch_end", 1), ("run_closed", 2), ("train_begin", 1),
        ("epoch_end", 2), ("epoch_end", 3), ("run_closed", 3),
    ]  # fmt: skip


def test_password_that_is_wrong_is_told_without_it(tmp_path: Path) -> None:
    locked = RedisServer(tmp_path / "redis", password="secret")
    with locked, pytest.raises(AccessDeniedError) as caught:
        listen(locked.url_with("guessed"))

    assert "guessed" not in str(caught.value) and "secret" not in str(caught.value)


def test_archive_shows_each_epoch_while_the_run_waits_in_the_next_one(
    server: RedisServer, tmp_path: Path
) -> None:
    path = tmp_path / "digits.h5"

    def epochs_in_archive() -> int:
        with contextlib.suppress(OSError, KeyError), h5py.File(str(path), locking=False) as archive:
            return len(present(archive, "cost/loss"))
        return 0

    def amid(epoch: int) -> None:
        if epoch:
            wait_until(lambda: epochs_in_archive() >= epoch, "the epoch in the archive")

    with listening(server, archive=lambda model: path):
        train(relayed(server), epochs=4, amid=amid)
        wait_until(lambda: epochs_in_archive() == 4, "the last epoch in the archive")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_view_shows_the_runs_and_leaves_nothing_behind(
    number: signal.Signals, server: RedisServer, tmp_path: Path
) -> None:
    train(relayed(server))
    process = python("tests.remote.view_process", server.url, TMPDIR=str(tmp_path))
    try:
        assert process.stdout is not None
        found = re.match(r"(http://\S+)/ shows the runs at", process.stdout.readline())
        assert found is not None
        archives = lambda: list(tmp_path.glob("trainsignal-*/digits.h5"))  # noqa: E731
        wait_until(archives, "the archive of the run")
        with urllib.request.urlopen(f"{found[1]}/", timeout=PATIENCE_S) as page:
            assert page.status == 200
    finally:
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.glob("trainsignal-*")) == []


def at_server(server: RedisServer, *words: str) -> None:
    """Give the server a command, as somebody does who knows nothing of trainsignal."""
    client: Any = redis.Redis.from_url(server.url)
    client.execute_command(*words)
    client.close()


@pytest.mark.parametrize("stream", ["events", "minibatches"])
def test_run_whose_key_holds_something_else_is_passed_over_for_all_others(
    stream: str, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    train(relayed(server, name="strange"))
    key = f"trainsignal:run:strange:{stream}"
    at_server(server, "SET", key, "foo")
    heard: list[str] = []
    handlers = [("run_closed", lambda model: heard.append(model.run_name))]
    with listening(server, handlers=handlers):
        train(relayed(server))
        wait_until(lambda: heard, "the end of the other run")

    assert heard == ["digits"]
    told = [one.getMessage() for one in caplog.records if one.name.startswith("trainsignal.remote")]
    assert (
        len(told) == 1 and f"run 'strange': it is passed over, for its key {key!r} holds a string" in told[0]
    )


def test_list_of_runs_that_is_none_is_told_and_waited_for(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    at_server(server, "SET", "trainsignal:runs", "foo")
    with pytest.raises(RelayError, match=r"has under the key 'trainsignal:runs' something else .*delete"):
        request_remote_stop(server.url, "digits", "enough")
    heard: list[str] = []
    handlers = [("run_closed", lambda model: heard.append(model.run_name))]
    with listening(server, handlers=handlers):
        wait_until(lambda: caplog.records, "the message")
        at_server(server, "DEL", "trainsignal:runs")
        train(relayed(server))
        wait_until(lambda: heard, "the run")

    told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(told) == 1 and "under the key 'trainsignal:runs'" in told[0]


@pytest.mark.parametrize("stream", ["commands", "answers"])
def test_stop_names_the_key_that_holds_something_else(
    stream: str, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    def amid(epoch: int) -> None:
        if not epoch:
            wait_until(is_listed, "the run in the list")
            at_server(server, "SET", f"trainsignal:run:digits:{stream}", "foo")
            with pytest.raises(RelayError, match=f"the key 'trainsignal:run:digits:{stream}' something else"):
                request_remote_stop(server.url, "digits", "enough")

    def is_listed() -> bool:
        client: Any = redis.Redis.from_url(server.url)
        is_there = bool(client.hexists("trainsignal:runs", "digits"))
        client.close()
        return is_there

    train(relayed(server, allow_remote_stop=True), amid=amid)

    assert len([one for one in caplog.records if one.levelname == "WARNING"]) <= 1
