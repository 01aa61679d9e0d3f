"""Asking a run to stop: its answer, and why there may be none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.remote.fake_broker import FakeBroker
from tests.remote.told import RUN, entry
from tests.support.runs import FakeClock
from trainsignal.errors import ConfigurationError, RelayError, RunStateError
from trainsignal.relay import streams
from trainsignal.relay.broker import Entry
from trainsignal.relay.requests import RUNNING, Answer, StopCommand
from trainsignal.remote import request_remote_stop, stop


class AnsweringBroker(FakeBroker):
    """Answers the commands that come, unless it has no words."""

    def __init__(self, words: str | None = "accepted", *, accepts: bool = True) -> None:
        super().__init__()
        self._words, self._accepts = words, accepts
        self.list_run(RUN, entry())
        self.put_entry(streams.answers(RUN), Answer("old", True, "of before").encode().encode())

    def read(
        self, after: Mapping[str, str], *, count: int = 100, block_s: float = 0.0
    ) -> dict[str, list[Entry]]:
        for one in self.streams.pop(streams.commands(RUN), []):
            command = StopCommand.decode(one.text)
            self.put_entry(streams.answers(RUN), b"nonsense")
            self.put_entry(streams.answers(RUN), Answer("another", False, "no").encode().encode())
            if self._words is not None:
                answer = Answer(command.id, self._accepts, self._words)
                self.put_entry(streams.answers(RUN), answer.encode().encode())
        return super().read(after, count=count, block_s=block_s)


def ask(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, run: str = RUN, author: str = "user") -> str:
    monkeypatch.setattr(stop, "Broker", lambda url: broker)
    return request_remote_stop("redis://fake", run, "enough", author, clock=FakeClock(step=1.0))


def test_answer_of_the_run_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(AnsweringBroker("it stops"), monkeypatch) == "it stops"


def test_first_answer_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker("it stops")
    broker.streams.clear()

    assert ask(broker, monkeypatch) == "it stops"


def test_refusal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunStateError, match="does not stop: not now"):
        ask(AnsweringBroker("not now", accepts=False), monkeypatch)


def test_run_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker(None)

    with pytest.raises(RelayError, match=r"has not answered within 10 s: its process may be gone"):
        ask(broker, monkeypatch)

    assert 9 <= broker.reads <= 12


def test_silence_of_a_run_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker(None)
    broker.time_ms += 3_600_000

    with pytest.raises(
        RelayError,
        match=r"within 10 s, and has given no sign of life for 3[56]\d\d s: its process may be gone",
    ):
        ask(broker, monkeypatch)


@pytest.mark.parametrize("timeout_s", [-1.0, float("nan")])
def test_time_to_wait_that_is_none_is_an_error(timeout_s: float) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout_s=.*: expected seconds"):
        request_remote_stop("redis://fake", RUN, "enough", timeout_s=timeout_s)


def test_run_that_is_over_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker()
    broker.list_run(RUN, entry("failed"))

    with pytest.raises(RunStateError, match="is over: failed"):
        ask(broker, monkeypatch)


def test_run_that_takes_no_requests_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker()
    broker.list_run(RUN, entry(allow_remote_stop=False))

    with pytest.raises(
        RunStateError,
        match=r"takes no requests to stop: start it with Relay\(\.\.\., allow_remote_stop=True\)",
    ):
        ask(broker, monkeypatch)
    assert streams.commands(RUN) not in broker.streams


@pytest.mark.parametrize(
    "run, words",
    [("digit", "Did you mean 'digits'?"), ("xyz", "There are: digits."), ("Digits", "Did you mean 'digits'")],
)
def test_unknown_run_is_an_error_that_offers_near_names(
    run: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=f"no run is named {run!r}. {words}".replace("?", r"\?")):
        ask(AnsweringBroker(), monkeypatch, run)


def test_broker_without_runs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="There is none"):
        ask(FakeBroker(), monkeypatch)


def test_entry_that_is_no_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker()
    broker.hashes[streams.RUNS][RUN] = b"{}"

    with pytest.raises(RelayError, match="what is listed as the run 'digits' is none"):
        ask(broker, monkeypatch)


def test_author_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="author"):
        ask(AnsweringBroker(), monkeypatch, author="")


def test_runs_that_have_the_name_of_one_that_is_over_and_go_on_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = AnsweringBroker()
    for name, state in ((RUN, "completed"), (f"{RUN} (2)", "failed"), (f"{RUN} (10)", RUNNING)):
        broker.list_run(name, entry(state))
    for name in (f"{RUN} (3)", "digit", "other (3)"):
        broker.list_run(name, entry())
    broker.hashes[streams.RUNS][f"{RUN} (4)"] = b"nonsense"
    broker.hashes[streams.RUNS][f"{RUN} (5)"] = b"[" * 5000

    for run in (RUN, f"{RUN} (2)"):
        with pytest.raises(RunStateError, match=r"there still goes on: digits \(3\), digits \(10\)$"):
            ask(broker, monkeypatch, run)


def test_run_that_is_over_and_has_no_heirs_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = AnsweringBroker()
    broker.list_run(RUN, entry("failed"))

    with pytest.raises(RunStateError, match=r"the run 'digits' is over: failed$"):
        ask(broker, monkeypatch)
