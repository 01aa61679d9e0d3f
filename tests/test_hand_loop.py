from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.runs import Bare, Sentence, hand_loop, quiet
from trainsignal import Callback, Callbacks
from trainsignal.errors import ConfigurationError, CostError, RunStateError
from trainsignal.run import TrainingRun


class UnsizedLoader:
    """Has `__len__`, as PyTorch's DataLoader, but does not know it."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))

    def __len__(self) -> int:
        raise self._error


def sizes_seen(callbacks: Callbacks) -> list[int | None]:
    """Return a list that grows by `minibatches_per_epoch` at each minibatch and epoch end."""
    sizes: list[int | None] = []
    for name in ("minibatch_begin", "epoch_end"):
        callbacks.bus.subscribe(name, lambda run: sizes.append(run.minibatches_per_epoch))
    return sizes


def test_epochs_and_batches_come_in_order() -> None:
    seen = []
    with quiet().training(2) as run:
        for epoch in run.epochs():
            for batch in run.minibatches("ab"):
                run.cost = 1.0
                seen.append((epoch, batch, run.epoch_minibatches))
    assert seen == [(0, "a", 0), (0, "b", 1), (1, "a", 0), (1, "b", 1)]


def test_length_of_a_loader_is_known_at_its_first_minibatch() -> None:
    callbacks = quiet()
    sizes = sizes_seen(callbacks)
    hand_loop(callbacks, epochs=1, minibatches=2)
    assert sizes == [2, 2, 2]


def test_length_of_a_generator_is_known_when_it_has_ended() -> None:
    callbacks = quiet()
    sizes = sizes_seen(callbacks)
    with callbacks.training(2) as run:
        for _ in run.epochs():
            for _ in run.minibatches(one for one in range(2)):
                run.cost = 1.0
    assert sizes == [None, None, 2, 2, 2, 2]  # the second epoch expects what the first one had


@pytest.mark.parametrize("error", [TypeError, NotImplementedError])
def test_loader_whose_length_cannot_be_told_counts_as_unknown(error: type[Exception]) -> None:
    callbacks = quiet()
    sizes = sizes_seen(callbacks)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(UnsizedLoader(error)):
                run.cost = 1.0
    assert sizes == [None, None, None, 3]


def test_loader_that_grows_during_the_epoch_is_read_to_its_end() -> None:
    callbacks = quiet()
    batches = [0]
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for batch in run.minibatches(batches):
                run.cost = 1.0
                if batch < 4:
                    batches.append(batch + 1)
    assert callbacks.run.minibatches_complete == 5
    assert callbacks.run.minibatches_per_epoch == 5


def test_second_loader_in_an_epoch_counts_on() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for loader in ("ab", "c"):
                for _ in run.minibatches(loader):
                    run.cost = 1.0
    assert [call[1:] for call in sentence.calls if call[0] == "minibatch_end"] == [(0, 0), (0, 1), (0, 2)]
    assert callbacks.epoch_marker == 3


def test_iterator_that_was_abandoned_and_is_stepped_in_the_next_epoch_counts_from_0() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(2) as run:
        kept: Iterator[str] | None = None
        for _ in run.epochs():
            run.cost = 1.0
            kept = kept or run.minibatches("abcd")
            next(kept)
            next(kept)
    assert sentence.text == "TEBbBbeEBbBbetC"
    assert [call[1:] for call in sentence.calls if call[0] == "minibatch_begin"] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip


def test_iterator_that_is_stepped_after_its_epoch_is_refused() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            run.cost = 1.0
            kept = run.minibatches("ab")
            next(kept)
        with pytest.raises(RunStateError, match=r"belongs inside `for epoch in run\.epochs\(\):`"):
            next(kept)
    assert sentence.text == "TEBbetC"


def test_minibatches_outside_an_epoch_are_refused() -> None:
    with quiet().training(1) as run, pytest.raises(RunStateError, match=r"run\.epochs\(\)"):
        next(run.minibatches("a"))


def test_second_epochs_iterator_goes_on_where_the_first_was_left() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(3) as run:
        for _ in run.epochs():
            break
        rest = list(run.epochs())
    assert rest == [1, 2]
    assert sentence.text == "TEeEeEetC"


def test_epochs_iterator_ends_when_the_run_is_closed() -> None:
    callbacks = quiet()
    with callbacks.training(None) as run:
        epochs = run.epochs()
        assert next(epochs) == 0
    assert list(epochs) == []


@pytest.mark.parametrize(
    "at, expected", [("minibatch", "TEBbBbetC"), ("epoch", "TEBbBbBbBbetC")], ids=["minibatch", "epoch"]
)
def test_vote_stops_at_its_boundary(at: str, expected: str) -> None:
    class Voter(Callback):
        def on_minibatch_end(self, callback_data: object, model: object, epoch: int, minibatch: int) -> None:
            if minibatch == 1:
                self.request_stop("enough", at=at)  # type: ignore[arg-type]  # a parameter of the test

    callbacks = quiet()
    sentence = Sentence(callbacks)
    callbacks.add_callback(Voter())
    hand_loop(callbacks, epochs=3, minibatches=4)
    assert sentence.text == expected
    assert callbacks.run.exit_reason == "stopped"


def test_no_batch_is_taken_that_is_not_trained_on() -> None:
    callbacks = quiet()
    source = iter(range(10))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for batch in run.minibatches(source):
                run.cost = 1.0
                if batch == 1:
                    callbacks.stop("enough")
    assert next(source) == 2


def test_no_batch_is_taken_after_a_vote_from_a_generator_that_is_longer_than_in_the_epoch_before() -> None:
    callbacks = quiet()
    taken: list[int] = []

    def generate(length: int) -> Iterator[int]:
        for batch in range(length):
            taken.append(batch)
            yield batch

    with callbacks.training(2) as run:
        for epoch in run.epochs():
            taken.clear()
            for batch in run.minibatches(generate(2 + 2 * epoch)):
                run.cost = 1.0
                if (epoch, batch) == (1, 1):
                    callbacks.stop("enough")
    assert taken == [0, 1]


def test_vote_before_the_first_minibatch_takes_no_batch() -> None:
    callbacks = quiet()
    source = iter(range(10))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            callbacks.stop("at once")
            assert list(run.minibatches(source)) == []
    assert next(source) == 0
    assert callbacks.run.minibatches_complete == 0


def test_vote_before_the_first_epoch_lets_none_begin() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    callbacks.bus.subscribe("train_begin", lambda: callbacks.stop("at once"))
    hand_loop(callbacks)
    assert sentence.text == "TtC"


def test_no_batch_is_taken_that_is_not_trained_on_where_what_is_shorter_is_inside() -> None:
    source = iter(range(10))
    callbacks = quiet()
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(zip("ab", source, strict=False)):
                run.cost = 1.0
    assert next(source) == 2
    assert callbacks.run.minibatches_complete == 2


def leave_by_return(run: TrainingRun) -> None:
    for _ in run.epochs():
        for batch in run.minibatches("abc"):
            run.cost = 1.0
            if batch == "b":
                return


def test_return_in_the_body_ends_what_is_open_and_says_that_epochs_are_missing() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(3) as run:
        leave_by_return(run)
    assert sentence.text == "TEBbBbetC"
    assert [vote.reason for vote in callbacks.run.votes] == ["the loop ended after 1 of 3 epochs"]


def test_exception_that_the_body_handles_itself_ends_the_minibatch() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(2) as run:
        for _ in run.epochs():
            with contextlib.suppress(ValueError):
                for batch in run.minibatches("abc"):
                    run.cost = 1.0
                    int(batch)
    assert sentence.text == "TEBbeEBbetC"
    assert callbacks.run.exit_reason == "completed"


def test_run_of_other_callbacks_inside_a_minibatch_disturbs_nothing() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches("ab"):
                run.cost = 1.0
                hand_loop(quiet(), epochs=1, minibatches=2, cost=9.0)
    assert sentence.text == "TEBbBbetC"
    assert callbacks.callback_data["cost/train"][:].tolist() == [1.0, 1.0]


def test_two_iterators_stepped_in_turns_give_a_minibatch_each() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            others = run.minibatches("xy")
            for _ in run.minibatches("ab"):
                run.cost = 1.0
                next(others)
                run.cost = 2.0
    assert sentence.text == "TE" + "Bb" * 4 + "etC"
    assert [call[2] for call in sentence.calls if call[0] == "minibatch_end"] == [0, 1, 2, 3]


@pytest.mark.parametrize("length", [2, 9], ids=["too short", "too long"])
def test_length_that_is_not_true_is_only_expected(length: int) -> None:
    class Liar:
        def __iter__(self) -> Iterator[int]:
            return iter(range(4))

        def __len__(self) -> int:
            return length

    callbacks = quiet()
    sizes = sizes_seen(callbacks)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(Liar()):
                run.cost = 1.0
    assert sizes == [length] * 4 + [4]


@pytest.mark.parametrize("epochs", [-1, 2.0, "3", True])
def test_what_is_no_count_of_epochs_is_refused(epochs: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a count of 0 or more"), quiet().training(epochs):
        pass


@pytest.mark.parametrize(
    "cost, expected",
    [(np.ones((1, 1)), 1.0), (np.array(3.0), 3.0), (np.float32(2), 2.0), (4, 4.0), (np.inf, np.inf)],
    ids=["(1, 1) array", "0-d array", "NumPy number", "int", "infinity"],
)
def test_cost_is_one_number_in_whatever_it_comes(cost: object, expected: float) -> None:
    callbacks = quiet()
    hand_loop(callbacks, epochs=1, minibatches=1, cost=cost)
    assert callbacks.callback_data["cost/train"][:].tolist() == [expected]


@pytest.mark.parametrize("cost", [None, "x", np.ones(2), 1j, {"loss": 1.0}])
def test_cost_that_is_not_one_number_is_refused_where_it_is_set(cost: object) -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with pytest.raises(CostError, match=r"run\.cost was set to something that is not one number"):
        hand_loop(callbacks, cost=cost)
    assert sentence.text == "TEBC"


def test_cost_that_is_set_twice_is_the_last_one() -> None:
    callbacks = quiet()
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches("a"):
                run.cost = 3.0
                run.cost = 5.0
    assert callbacks.callback_data["cost/train"][:].tolist() == [5.0]


def test_overridden_and_replaced_methods_of_the_container_drive_the_loop() -> None:
    called = []

    class Mine(Callbacks):
        def on_epoch_begin(self, epoch: int) -> None:
            called.append(f"subclass {epoch}")
            super().on_epoch_begin(epoch)

    callbacks = Mine(object(), progress_bar=False)
    original = callbacks.on_minibatch_end

    def replaced(epoch: int, minibatch: int) -> None:
        called.append(f"instance {minibatch}")
        original(epoch, minibatch)

    callbacks.on_minibatch_end = replaced  # type: ignore[method-assign]
    sentence = Sentence(callbacks)
    hand_loop(callbacks, epochs=1, minibatches=2)
    assert called == ["subclass 0", "instance 0", "instance 1"]
    assert sentence.text == "TEBbBbetC"


def test_minibatch_of_which_the_loop_sets_no_cost_is_missing_and_in_no_mean() -> None:
    callbacks = quiet(Bare())
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for batch in run.minibatches([1.0, None, 3.0]):
                if batch is None:
                    continue
                run.cost = batch

    costs = callbacks.callback_data["cost/train"][:]
    assert np.isnan(costs).tolist() == [False, True, False]
    assert costs[2] == 2.0


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]


def test_iterator_that_was_made_outside_the_epochs_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    batches = iter(range(3))
    with quiet().training(4) as run:
        for _ in run.epochs():
            for _ in run.minibatches(batches):
                run.cost = 1.0
    assert warned(caplog) == [
        "epoch 1 had no minibatch: what run.minibatches(...) was given is empty, or can be iterated only "
        "once, as a generator. Make the iterable anew in each epoch."
    ]


def test_iterator_of_the_run_that_was_made_outside_the_epochs_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    with callbacks.training(2) as run:
        batches = run.minibatches("ab")
        for _ in run.epochs():
            for _ in batches:
                run.cost = 1.0
    assert sentence.text == "TEBbBbeEetC"
    assert [text.partition(":")[0] for text in warned(caplog)] == ["epoch 1 had no minibatch"]


def test_each_run_warns_anew(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        hand_loop(quiet(), epochs=2, minibatches=0)
    assert len(warned(caplog)) == 2


def test_epoch_in_which_one_loader_of_several_is_empty_is_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with quiet().training(1) as run:
        for _ in run.epochs():
            for loader in ([], [1], []):
                for _ in run.minibatches(loader):
                    run.cost = 1.0
    assert warned(caplog) == []


def test_epoch_whose_minibatches_are_not_taken_through_the_run_is_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with quiet().training(2) as run:
        list(run.epochs())
    assert warned(caplog) == []


def test_epoch_that_a_vote_ended_before_its_first_minibatch_is_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_begin", lambda run: run.request_stop("enough"))
    hand_loop(callbacks)
    assert callbacks.run.exit_reason == "stopped"
    assert warned(caplog) == []


def test_epochs_outside_a_run_are_refused() -> None:
    with pytest.raises(RunStateError, match=r"inside `with callbacks\.training\(epochs\) as run:`"):
        next(quiet().run.epochs())


def test_costs_of_minibatches_that_nobody_heard_of_are_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with quiet().training(2) as run:
        for _ in run.epochs():
            for cost in (1.0, 2.0):  # not through run.minibatches
                run.cost = cost

    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "run.cost was set in epoch 0" in warnings[0] and "run.minibatches(loader)" in warnings[0]


def test_length_of_an_epoch_may_be_told_before_it_begins() -> None:
    callbacks = quiet()
    told: list[Any] = []
    callbacks.bus.subscribe("train_begin", lambda run: told.append(run.minibatches_per_epoch))

    with callbacks.training(2, minibatches=3) as run:
        for _ in run.epochs():
            for _ in run.minibatches(iter([1, 2, 3])):
                run.cost = 1.0

    assert told == [3]
    assert callbacks.callback_data["config"].attrs["total_minibatches"] == 6
    assert callbacks.callback_data["cost/train"].shape == (6,)


def test_minibatches_that_are_made_of_minibatches_of_the_same_run_are_still_told_one_after_another() -> None:
    callbacks = quiet()
    callbacks.callbacks = []
    heard = Sentence(callbacks)

    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(one for one in run.minibatches([1, 2])):
                pass

    assert heard.text == "TE" + 4 * "Bb" + "etC"
