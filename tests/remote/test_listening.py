"""A listener and its broker: away, back, without memory; its name; votes; errors of handlers."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.remote.fake_broker import FakeBroker
from tests.remote.told import RUN, Telling, entry, rows, series
from trainsignal import Callback, EarlyStopCallback
from trainsignal.errors import ConfigurationError, HandlerError, RelayError, UnknownSignalError
from trainsignal.relay import streams
from trainsignal.relay.broker import AccessDeniedError
from trainsignal.relay.requests import StopCommand
from trainsignal.remote import listening
from trainsignal.remote.handlers import Handler
from trainsignal.remote.listening import Listener, listen
from trainsignal.remote.replica import Wiring

AWAY = RelayError("the broker at redis://fake cannot be reached: refused")


def stops(asked: bool = True) -> Callable[[], Iterable[Callback]]:
    """Return what makes a callback that would stop at once."""
    return lambda: [EarlyStopCallback(lambda state, loss: (state, asked))]


class Setting:
    """A listener on a broker with one run, and what its handlers heard: (signal, number)."""

    def __init__(
        self,
        *,
        broker: FakeBroker | None = None,
        name: str | None = None,
        callbacks: Callable[[], Iterable[Callback]] = lambda: (),
        handlers: tuple[tuple[str, Handler], ...] = (),
    ) -> None:
        self.broker = broker or FakeBroker()
        self.heard: list[tuple[str, int]] = []
        self.paused: list[float] = []
        self.during_pause: list[Callable[[], object]] = []
        own = [(name, self._handler(name)) for name in ("train_begin", "epoch_end", "run_closed")]
        wiring = Wiring(lambda model: callbacks(), [*own, *handlers], lambda model: None)
        self.listener = Listener(self.broker, None, name, wiring, pause=self._pause)
        self.told = Telling()
        if broker is None:
            self.broker.list_run(RUN, entry())

    def rounds(self, count: int = 1) -> None:
        """Let the listener look so many times at the broker."""
        looks = iter(range(count))
        self.listener.run(lambda: next(looks, None) is None)

    def publish(self) -> None:
        """Publish all that the run has told."""
        self.broker.publish(RUN, *self.told.messages)

    def _handler(self, name: str) -> Handler:
        return lambda model: self.heard.append((name, model.number))

    def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        if self.during_pause:
            self.during_pause.pop(0)()


def run_of_two_epochs(setting: Setting) -> None:
    setting.told.begin(series("cost/loss"))
    setting.told.epoch(0, cost__loss=rows(0, 0.5))
    setting.told.epoch(1, cost__loss=rows(1, 0.25))
    setting.told.close()


def fail_to_find_places(setting: Setting, times: int) -> None:
    """Have the broker be away when it is asked for the place of a listener, so many times."""
    find, failures = setting.broker.field, [AWAY] * times

    def field(key: str, name: str) -> bytes | None:
        if failures:
            raise failures.pop()
        return find(key, name)

    setting.broker.field = field  # type: ignore[method-assign]


def test_listener_hears_what_the_broker_still_has_from_its_begin() -> None:
    setting = Setting()
    run_of_two_epochs(setting)
    setting.publish()

    setting.rounds()

    assert setting.heard == [("train_begin", 1), ("epoch_end", 4), ("epoch_end", 7), ("run_closed", 9)]


def test_broker_that_is_away_is_waited_for_longer_and_longer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainsignal.remote")
    setting = Setting()
    setting.told.begin()
    setting.publish()
    setting.broker.error = AWAY

    while sum(setting.paused) < 16:
        setting.rounds(40)
    assert setting.paused[:3] == [0.1, 0.2, 0.4] and max(setting.paused) == 0.5
    away = setting.paused.copy()
    setting.broker.error = None
    setting.rounds()
    setting.broker.error = AWAY
    setting.rounds()

    assert setting.paused == [*away, 0.1]
    assert setting.heard == [("train_begin", 1)]
    words = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert words == [
        ("WARNING", f"{AWAY}. It is tried again until it answers."),
        ("INFO", "the broker at redis://fake answers again"),
        ("WARNING", f"{AWAY}. It is tried again until it answers."),
    ]


def test_pauses_grow_up_to_five_seconds_and_the_end_is_seen_within_half_a_second() -> None:
    setting = Setting()
    attempts: list[float] = []
    fields = setting.broker.fields

    def noted(key: str) -> dict[str, bytes]:
        attempts.append(round(sum(setting.paused), 6))
        return fields(key)

    setting.broker.fields = noted  # type: ignore[method-assign]
    setting.broker.error = AWAY
    setting.listener.run(lambda: sum(setting.paused) > 18)

    assert [after - before for before, after in itertools.pairwise(attempts)] == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    )
    assert sum(setting.paused) <= 18.5 + 1e-9


def test_broker_that_does_not_let_us_in_is_an_error_at_first_only() -> None:
    setting = Setting()
    setting.broker.error = AccessDeniedError("no")
    with pytest.raises(AccessDeniedError):
        setting.rounds()
    setting.broker.error = None
    setting.rounds()
    setting.broker.error = AccessDeniedError("no")

    setting.rounds()

    assert setting.paused == [0.1]


def test_listener_of_a_name_goes_on_where_the_last_one_was() -> None:
    first = Setting(name="mail")
    first.told.begin(series("cost/loss"))
    first.told.epoch(0, cost__loss=rows(0, 0.5))
    first.publish()
    first.rounds()
    first.listener.leave("killed")
    assert first.broker.hashes[streams.listener("mail")] == {entry().run_id: b'{"-":3}'}
    second = Setting(broker=first.broker, name="mail")
    later = [*first.told.messages]
    first.told.epoch(1)
    first.told.close()
    first.broker.publish(RUN, *first.told.messages[len(later) :])

    second.rounds()

    assert first.heard == [("train_begin", 1), ("epoch_end", 4)]
    assert second.heard == [("epoch_end", 7), ("run_closed", 9)]


def test_message_amid_which_a_handler_failed_comes_again_to_the_next_listener() -> None:
    def fail(epoch: int) -> None:
        raise ZeroDivisionError

    first = Setting(name="mail", handlers=(("epoch_end", fail),))
    run_of_two_epochs(first)
    first.publish()
    with pytest.raises(ZeroDivisionError):
        first.rounds()
    second = Setting(broker=first.broker, name="mail")

    second.rounds()

    assert second.heard == [("epoch_end", 4), ("epoch_end", 7), ("run_closed", 9)]


def test_error_of_a_handler_is_no_trouble_of_the_broker() -> None:
    def fail() -> None:
        raise RelayError("of the handler's own")

    setting = Setting(handlers=(("train_begin", fail),))
    setting.told.begin()
    setting.publish()

    with pytest.raises(RelayError, match="own"):
        setting.rounds()


def test_nothing_is_lost_or_heard_twice_where_the_broker_goes_amid_the_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting(name="mail")

    def goes_away() -> None:
        setting.broker.error = AWAY

    setting.during_pause = [lambda: setattr(setting.broker, "error", None)]
    run_of_two_epochs(setting)
    setting.publish()
    listener = Setting(broker=setting.broker, name="mail", handlers=(("train_begin", goes_away),))
    listener.during_pause = setting.during_pause
    listener.rounds(3)

    assert len(caplog.records) == 1
    assert listener.heard == [("train_begin", 1), ("epoch_end", 4), ("epoch_end", 7), ("run_closed", 9)]
    assert listener.broker.hashes[streams.listener("mail")] == {entry().run_id: b'{"-":7}'}


def test_place_that_cannot_be_looked_up_is_waited_for_and_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    setting = Setting(name="mail")
    setting.told.begin()
    setting.publish()

    def refuse(key: str, name: str) -> bytes | None:
        raise RelayError("the broker at redis://fake says: WRONGTYPE.")

    monkeypatch.setattr(setting.broker, "field", refuse)
    setting.rounds(5)
    assert len(setting.paused) >= 4 and setting.heard == []
    assert [record.message for record in caplog.records] == [
        "the broker at redis://fake says: WRONGTYPE. It is tried again until it answers."
    ]


def test_place_is_looked_up_again_where_the_broker_goes_just_then() -> None:
    setting = Setting(name="mail")
    run_of_two_epochs(setting)
    setting.publish()
    fail_to_find_places(setting, 1)
    setting.rounds(2)

    assert len(setting.heard) == 4


def test_broker_that_forgot_while_a_place_was_to_be_stored_is_read_from_its_begin() -> None:
    setting = Setting(name="mail")

    def goes_away() -> None:
        setting.broker.error = AWAY

    def comes_back() -> None:
        setting.broker.error = None
        setting.broker.forget()
        setting.broker.list_run(RUN, entry())
        setting.told.epoch(1, cost__loss=rows(1, 0.25))
        setting.publish()  # the run sends all of it again

    setting.told.begin(series("cost/loss"))
    setting.told.epoch(0, cost__loss=rows(0, 0.5))
    setting.publish()
    listener = Setting(broker=setting.broker, name="mail", handlers=(("train_begin", goes_away),))
    listener.during_pause = [comes_back]
    listener.rounds(3)

    assert listener.heard == [("train_begin", 1), ("epoch_end", 4), ("epoch_end", 7)]


def test_places_are_told_again_to_a_broker_that_has_forgotten_them() -> None:
    setting = Setting(name="mail")
    run_of_two_epochs(setting)
    setting.publish()
    setting.rounds()
    setting.broker.error = AWAY
    setting.rounds()
    setting.broker.error = None
    setting.broker.forget()

    setting.rounds(2)

    assert setting.broker.hashes[streams.listener("mail")] == {entry().run_id: b'{"-":7}'}


def test_run_that_takes_over_a_name_closes_the_one_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting()
    setting.told.begin()
    setting.publish()
    setting.rounds()
    heir = Telling("heir")
    setting.broker.list_run(RUN, entry(run_id="heir"))
    setting.broker.publish(RUN, heir.begin())
    monkeypatch.setattr(setting.listener._reader, "_list_at", float("-inf"))

    setting.rounds()

    assert setting.heard == [("train_begin", 1), ("run_closed", 1), ("train_begin", 1)]


def test_run_that_has_ended_is_read_no_more() -> None:
    setting = Setting()
    setting.broker.list_run(RUN, entry("completed"))
    run_of_two_epochs(setting)
    setting.publish()
    setting.rounds()
    assert setting.heard[-1] == ("run_closed", 9)
    reads = setting.broker.reads

    setting.rounds(3)

    assert setting.broker.reads == reads and len(setting.paused) == 3


def commands(setting: Setting) -> list[StopCommand]:
    return [StopCommand.decode(one.text) for one in setting.broker.streams.get(streams.commands(RUN), [])]


def vote(setting: Setting, epochs: int = 2) -> None:
    setting.told.begin(series("cost/loss"))
    for epoch in range(epochs):
        setting.told.epoch(epoch, cost__loss=rows(epoch, 0.5))
    setting.publish()


def test_vote_of_a_callback_is_sent_to_the_run_once() -> None:
    setting = Setting(callbacks=stops())
    vote(setting)

    setting.rounds(3)

    (command,) = commands(setting)
    assert command.author == "EarlyStopCallback" and "stopped at loss 0.5 of epoch 0" in command.reason
    assert setting.heard[-1] == ("epoch_end", 7)


def test_vote_waits_for_a_broker_that_is_away() -> None:
    setting = Setting(callbacks=stops())
    vote(setting)
    setting.rounds()
    setting.broker.error = AWAY
    setting.rounds()
    setting.broker.error = None
    setting.rounds()

    assert len(commands(setting)) == 1


def test_vote_without_an_author_has_one() -> None:
    class Nameless(Callback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            from trainsignal.run_link import run_of

            run_of(self).request_stop("enough", "")

    setting = Setting(callbacks=lambda: [Nameless()])
    setting.told.begin()
    setting.publish()
    setting.rounds(2)

    assert commands(setting)[0].author == "callback"


def test_vote_that_the_run_does_not_take_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(callbacks=stops())
    setting.broker.list_run(RUN, entry(allow_remote_stop=False))
    vote(setting)

    setting.rounds(3)

    assert commands(setting) == []
    (record,) = caplog.records
    assert "EarlyStopCallback would stop it" in record.getMessage()
    assert "allow_remote_stop=True" in record.getMessage()


def test_vote_on_a_run_that_is_over_is_sent_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(callbacks=stops())
    setting.broker.list_run(RUN, entry("completed"))
    vote(setting)

    setting.rounds(3)

    assert commands(setting) == [] and not caplog.records


def served(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "Broker", lambda url: broker)


def test_listen_hears_until_it_is_over_and_then_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    setting, heard, closed = Setting(), list[str](), list[str]()
    setting.told.begin()
    setting.publish()
    served(setting.broker, monkeypatch)
    looks = iter(range(2))

    class Cleaner(Callback):
        def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None:
            closed.append(f"{reason}: {error}")

    listen(
        "redis://fake",
        handlers=[("train_begin", lambda model: heard.append(model.run_name))],
        callbacks=lambda model: [Cleaner()],
        is_over=lambda: next(looks, None) is None,
    )

    assert heard == [RUN]
    assert closed == ["interrupted: nobody listens to it any more here; the run itself may go on"]


def test_listen_alone_counts_what_the_archive_says(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting()
    setting.told.begin()
    setting.publish()
    served(setting.broker, monkeypatch)
    looks = iter(range(1))

    listen("redis://fake", is_over=lambda: next(looks, None) is None)


def test_ctrl_c_lets_go_of_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    setting, closed = Setting(), list[str]()
    setting.told.begin()
    setting.publish()
    served(setting.broker, monkeypatch)

    class Cleaner(Callback):
        def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None:
            closed.append(reason)

    def interrupted() -> bool:
        if setting.broker.reads:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        listen("redis://fake", callbacks=lambda model: [Cleaner()], is_over=interrupted)

    assert closed == ["interrupted"]
    assert setting.broker.is_closed


def test_all_runs_and_the_broker_are_let_go_of_though_a_callback_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting, closed = Setting(), list[str]()
    for name in ("digits", "mnist"):
        setting.broker.list_run(name, entry(run_id=name))
        setting.broker.publish(name, Telling(name).begin())
    served(setting.broker, monkeypatch)

    class Cleaner(Callback):
        def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None:
            closed.append(model.run_name)
            raise KeyboardInterrupt

    looks = iter(range(1))
    with pytest.raises(KeyboardInterrupt):
        listen("redis://fake", callbacks=lambda model: [Cleaner()], is_over=lambda: next(looks, None) is None)

    assert sorted(closed) == ["digits", "mnist"]
    assert setting.broker.is_closed


@pytest.mark.parametrize(
    "names", [{"name": "\udcff"}, {"name": ""}, {"name": "x" * 101}, {"run": "a/b"}, {"run": ""}], ids=repr
)
def test_name_that_none_can_have_is_refused_at_once(names: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"run=|name="):
        listen("redis://fake", **names)  # type: ignore[arg-type]


def test_run_that_loses_its_name_amid_the_run_is_heard_once_and_under_its_new_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = []
    setting = Setting(handlers=(("epoch_end", lambda model: names.append(model.run_name)),))
    setting.told.begin()
    setting.told.epoch(0)
    setting.publish()
    setting.rounds()
    setting.broker.error = AWAY
    setting.rounds()
    setting.broker.error = None
    setting.broker.forget()
    setting.broker.list_run(f"{RUN} (2)", entry())
    setting.told.epoch(1)
    setting.broker.publish(f"{RUN} (2)", *setting.told.messages)
    heir = Telling("heir")
    heir.begin()
    setting.broker.publish(RUN, *heir.messages)
    setting.broker.list_run(RUN, entry(run_id="heir"))
    monkeypatch.setattr(setting.listener._reader, "_list_at", float("-inf"))
    setting.rounds()

    assert sorted(setting.heard) == [
        ("epoch_end", 4), ("epoch_end", 7), ("train_begin", 1), ("train_begin", 1),
    ]  # fmt: skip
    assert names == [RUN, f"{RUN} (2)"]


@pytest.mark.parametrize(
    "handlers, error, words",
    [
        ([("epoch_ned", lambda: None)], UnknownSignalError, "Did you mean 'epoch_end'"),
        ([("epoch_end", lambda epok: None)], HandlerError, "wants 'epok'"),
    ],
)
def test_handler_that_would_never_be_called_is_refused_at_once(
    handlers: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        listen("redis://fake", handlers=handlers)


def test_error_of_the_broker_ends_with_one_full_stop(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.broker.error = RelayError("it cannot be reached: Connection refused.")
    setting.rounds()

    assert [one.getMessage() for one in caplog.records] == [
        "it cannot be reached: Connection refused. It is tried again until it answers."
    ]


def test_key_of_the_listener_that_holds_something_else_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(name="mail")
    run_of_two_epochs(setting)
    setting.publish()
    setting.broker.strange = {streams.listener("mail")}
    setting.rounds(4)

    assert len(caplog.records) == 1 and len(setting.paused) == 4
    setting.broker.strange = set()
    setting.rounds(2)
    assert len(setting.heard) == 4


def test_broker_that_goes_before_a_place_is_found_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(name="mail")
    run_of_two_epochs(setting)
    setting.publish()
    fail_to_find_places(setting, 3)
    setting.rounds(4)

    assert setting.paused == [0.1, 0.2, 0.4] and len(caplog.records) == 1
    assert len(setting.heard) == 4


def test_vote_on_a_run_whose_key_holds_something_else_keeps_nobody_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting(callbacks=stops())
    setting.broker.strange = {streams.commands(RUN)}
    vote(setting)
    setting.rounds(2)
    setting.told.epoch(2, cost__loss=rows(2, 0.5))
    setting.publish()
    setting.rounds(2)

    assert setting.heard[-1] == ("epoch_end", 10)
    assert len(caplog.records) == 1 and "run 'digits': it cannot be asked to stop" in caplog.text
