from __future__ import annotations

import contextlib
import logging
from typing import Any

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.receiver import OnError, Receiver, note_place, place, totals


class Connection:
    """Counts how often it was ended."""

    def __init__(self) -> None:
        self.ends = 0

    def end(self) -> None:
        self.ends += 1


class Deaf(Receiver):
    def __call__(self, sender: object, **payload: Any) -> object:
        return None


def made(on_error: OnError, connection: Connection | None = None) -> Receiver:
    return Deaf("LossCallback", on_error, (connection or Connection()).end)


def test_the_policy_raise_lets_the_error_pass_with_a_note_of_who_and_where() -> None:
    receiver, error = made("raise"), ValueError("boom")

    with pytest.raises(ValueError, match="boom") as caught:
        receiver.failed(error, "epoch_end, epoch 3")

    assert caught.value is error
    assert error.__notes__ == ["while LossCallback handled epoch_end, epoch 3"]


def test_the_policy_raise_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="boom"):
        made("raise").failed(ValueError("boom"), "epoch_end")

    assert caplog.records == []


def test_the_policy_log_keeps_the_receiver_and_logs_the_error_with_its_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, error = Connection(), ValueError("boom")

    made("log", connection).failed(error, "epoch_end, epoch 3")

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "LossCallback failed at epoch_end, epoch 3 and was kept (on_error='log')"
    assert record.exc_info is not None and record.exc_info[1] is error
    assert connection.ends == 0


def test_the_policy_disable_logs_the_error_and_disconnects_the_receiver(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = Connection()

    made("disable", connection).failed(ValueError("boom"), "epoch_end, epoch 3")

    assert [record.getMessage() for record in caplog.records] == [
        "LossCallback failed at epoch_end, epoch 3 and was disabled"
    ]
    assert connection.ends == 1


@pytest.mark.parametrize("policy", ["raise", "log", "disable"])
def test_failures_are_counted_whatever_the_policy(policy: OnError) -> None:
    receiver = made(policy)

    for _ in range(2):
        with contextlib.suppress(ValueError):
            receiver.failed(ValueError("boom"), "epoch_end")

    assert receiver.failures == 2


@pytest.mark.parametrize("policy", ["ignore", "", None, True])
def test_another_policy_is_refused_with_those_that_there_are(policy: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one of raise, log, disable") as caught:
        Deaf("x", policy, Connection().end)

    assert f"on_error={policy!r}" in str(caught.value)


def test_a_new_receiver_has_neither_failed_nor_cost_anything() -> None:
    receiver = made("raise")

    assert (receiver.failures, receiver.spent_s) == (0, 0.0)


def test_a_note_names_the_receiver_and_the_place() -> None:
    error = KeyError("cost")

    note_place(error, "log_loss", "minibatch_end, epoch 3, minibatch 7")

    assert error.__notes__ == ["while log_loss handled minibatch_end, epoch 3, minibatch 7"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "minibatch_end"),
        ({"epoch": 3}, "minibatch_end, epoch 3"),
        ({"epoch": 3, "minibatch": 7, "run": None}, "minibatch_end, epoch 3, minibatch 7"),
        ({"reason": "enough"}, "minibatch_end"),
    ],
    ids=["nothing", "epoch", "both", "others"],
)
def test_a_place_is_the_signal_and_the_indices_that_it_carries(payload: dict[str, Any], words: str) -> None:
    assert place("minibatch_end", payload) == words


def test_totals_are_those_of_all_receivers_of_one_name() -> None:
    begin, end, other = made("log"), made("log"), Deaf("Bar", "log", Connection().end)
    begin.spent_s, end.spent_s, other.spent_s = 0.5, 0.25, 2.0
    begin.failures, end.failures = 1, 2

    assert totals([begin, other, end]) == ({"LossCallback": 0.75, "Bar": 2.0}, {"LossCallback": 3, "Bar": 0})
