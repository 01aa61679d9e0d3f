"""What callbacks written for neon may do, each as a contract: subclasses, the container, stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.drop_in import HOOKS, TWO_BY_TWO, AtHook, ran_with
from tests.support.events import container, drive
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import Callback, Callbacks, LossCallback, MetricCallback, TrainCostCallback
from trainsignal.models.numpy_net import Accuracy


class TestSubclasses:
    def test_attributes_may_be_set_before_the_constructor_is_called(self) -> None:
        class Early(Callback):
            def __init__(self) -> None:
                self.epoch_freq = 2
                self.fired: list[int] = []
                self.model = self.metric = self.reset = self.states = "mine"
                super().__init__(epoch_freq=self.epoch_freq)

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                self.fired.append(epoch)

        callback = Early()
        ran_with(callback, epochs=4)
        assert callback.fired == [1, 3]
        assert callback.model == "mine"

    @pytest.mark.parametrize(
        "epoch_freq, fired", [(None, []), (2, [1, 3]), ([0, 3], [0, 3]), ("unset", [0, 1, 2, 3])]
    )
    def test_constructor_may_never_be_called(self, epoch_freq: Any, fired: list[int]) -> None:
        class Never(Callback):
            def __init__(self) -> None:
                self.fired: list[int] = []
                if epoch_freq != "unset":
                    self.epoch_freq = epoch_freq

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                self.be.zeros((1, 1))
                self.fired.append(epoch)

        callback = Never()
        ran_with(callback, epochs=4)
        assert callback.fired == fired

    def test_subclass_may_be_called_like_one_of_ours(self) -> None:
        ours = MetricCallback

        class MetricCallback_(Callback):
            seen: Any = None

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                self.seen = model.eval(tiny_set(), metric=Accuracy())

        MetricCallback_.__name__ = MetricCallback_.__qualname__ = "MetricCallback"
        mine = MetricCallback_()
        model = tiny_model()
        callbacks = quiet(model, eval_freq=1, eval_set=tiny_set(), metric=Accuracy())
        callbacks.add_callback(mine)
        fit(model, callbacks, 2)
        assert sum(isinstance(one, ours) for one in callbacks.callbacks) == 1
        assert callbacks.callback_data["metrics/Accuracy"][1] == mine.seen[0]

    def test_subclass_of_a_subclass_calls_up_the_line(self) -> None:
        calls: list[str] = []

        class Middle(Callback):
            def __init__(self, epoch_freq: int = 1) -> None:
                super(Middle, self).__init__(epoch_freq=epoch_freq)  # as people wrote it

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                calls.append(f"middle {epoch}")

        class Lower(Middle):
            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                super(Lower, self).on_epoch_end(callback_data, model, epoch)
                calls.append(f"lower {epoch}")

        ran_with(Lower(epoch_freq=2), epochs=2)
        assert calls == ["middle 1", "lower 1"]

    def test_each_hook_of_the_base_class_may_be_called(self) -> None:
        class Polite(Callback):
            def __init__(self) -> None:
                super().__init__()
                self.calls: list[str] = []

        def polite(hook: str) -> Callable[..., None]:
            def act(self: Any, *arguments: Any) -> None:
                getattr(super(Polite, self), hook)(*arguments)
                self.calls.append(hook)

            return act

        for hook in HOOKS:
            setattr(Polite, hook, polite(hook))
        callback = Polite()
        ran_with(callback)
        assert callback.calls == TWO_BY_TWO

    def test_subclass_of_a_built_in_calls_its_hooks(self) -> None:
        class Own(LossCallback):
            def __init__(self, eval_set: Any, epoch_freq: int = 1) -> None:
                super().__init__(eval_set=eval_set, epoch_freq=epoch_freq)
                self.losses: list[float] = []

            def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
                super().on_train_begin(callback_data, model, epochs)
                total = callback_data["config"].attrs["total_minibatches"]
                callback_data.create_dataset("time/train_batch", (total,)).attrs["time_markers"] = "minibatch"

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                super().on_epoch_end(callback_data, model, epoch)
                self.losses.append(float(callback_data["cost/loss"][epoch]))

            def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
                callback_data["time/train_batch"][2 * epoch + minibatch] = 7

        callback = Own(tiny_set())
        data = ran_with(callback)
        assert callback.losses == data["cost/loss"][:].tolist()
        assert not np.isnan(callback.losses).any()
        np.testing.assert_array_equal(data["time/train_batch"], [7, 7, 7, 7])

    def test_subclass_of_a_built_in_that_calls_no_hook_of_it_stands_alone(self) -> None:
        class Own(LossCallback):
            def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
                callback_data.create_dataset("accuracy/valid", (epochs,))

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                callback_data["accuracy/valid"][epoch] = model.eval(self.eval_set, metric=Accuracy())[0]

        data = ran_with(Own(tiny_set()))
        assert "cost/loss" not in data
        assert (data["accuracy/valid"][:] > 0).all()

    def test_own_rule_says_when_it_fires_and_is_asked_with_neons_arguments(self) -> None:
        asked: list[tuple[int, Any]] = []

        class Primes(Callback):
            fired: list[int] = []  # noqa: RUF012  # as people wrote it

            def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
                assert "config" in callback_data
                asked.append((time, freq))
                return time in (2, 3)

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                self.fired.append(epoch)

        ran_with(Primes(epoch_freq=5), epochs=5)
        assert Primes.fired == [2, 3]
        assert asked == [(epoch, 5) for epoch in range(5)]

    def test_own_rule_may_go_by_that_of_the_base_class(self) -> None:
        class After(Callback):
            def __init__(self) -> None:
                super().__init__(epoch_freq=2)
                self.fired: list[int] = []

            def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
                return time > 2 and super().should_fire(callback_data, model, time, freq)

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                self.fired.append(epoch)

        callback = After()
        ran_with(callback, epochs=6)
        assert callback.fired == [3, 5]


class TestContainer:
    def test_list_of_callbacks_may_be_replaced_and_edited(self) -> None:
        calls: list[str] = []
        callbacks = Callbacks(tiny_model(), eval_set=tiny_set(), eval_freq=1)
        callbacks.callbacks = []
        callbacks.callbacks.append(AtHook("on_epoch_end", lambda *_: calls.append("second")))
        callbacks.callbacks.insert(0, AtHook("on_epoch_end", lambda *_: calls.append("first")))
        callbacks.callbacks.append(AtHook("on_epoch_end", lambda *_: calls.append("third")))
        del callbacks.callbacks[2]
        callbacks.add_callback(AtHook("on_epoch_end", lambda *_: calls.append("zeroth")), insert_pos=0)
        fit(callbacks.model(), callbacks, 1)
        assert calls == ["zeroth", "first", "second"]
        assert "cost" not in callbacks.callback_data

    @pytest.mark.parametrize("hook", HOOKS)
    def test_hook_that_is_replaced_on_a_callback_is_the_one_that_runs(self, hook: str) -> None:
        calls: list[tuple[Any, ...]] = []
        callback = Callback()
        setattr(callback, hook, lambda *arguments: calls.append(arguments[2:]))
        ran_with(callback)
        expected = {
            "on_train_begin": [(2,)], "on_train_end": [()],
            "on_epoch_begin": [(0,), (1,)], "on_epoch_end": [(0,), (1,)],
        }  # fmt: skip
        assert calls == expected.get(hook, [(0, 0), (0, 1), (1, 0), (1, 1)])

    @pytest.mark.parametrize("hook", HOOKS)
    def test_hook_that_wraps_that_of_a_built_in_counts(self, hook: str) -> None:
        calls: list[int] = []
        built_in = TrainCostCallback()
        original = getattr(built_in, hook)

        def wrapped(*arguments: Any) -> None:
            original(*arguments)
            calls.append(1)

        setattr(built_in, hook, wrapped)
        callbacks = quiet(tiny_model())
        callbacks.callbacks = [built_in]
        fit(callbacks.model(), callbacks, 2)
        assert len(calls) == TWO_BY_TWO.count(hook)
        assert not np.isnan(callbacks.callback_data["cost/train"][:]).any()

    @pytest.mark.parametrize("way", ["subclass", "instance"])
    @pytest.mark.parametrize("hook", HOOKS)
    def test_call_of_the_container_may_be_overridden(self, hook: str, way: str) -> None:
        calls: list[tuple[Any, ...]] = []

        def around(original: Callable[..., None]) -> Callable[..., None]:
            def act(*arguments: Any) -> None:
                calls.append(arguments)
                original(*arguments)

            return act

        class Own(Callbacks):
            pass

        callbacks = Own(tiny_model(), progress_bar=False)
        if way == "instance":
            setattr(callbacks, hook, around(getattr(callbacks, hook)))
        else:
            original = getattr(Callbacks, hook)
            setattr(Own, hook, lambda self, *arguments: around(lambda *a: original(self, *a))(*arguments))
        fit(callbacks.model(), callbacks, 2)
        assert len(calls) == TWO_BY_TWO.count(hook)
        assert callbacks.run.exit_reason == "completed"
        assert not np.isnan(callbacks.callback_data["cost/train"][:]).any()

    def test_call_that_is_not_passed_on_reaches_no_callback(self) -> None:
        calls: list[int] = []

        class Deaf(Callbacks):
            def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
                if minibatch == 1:
                    super().on_minibatch_end(epoch, minibatch)

        callbacks = Deaf(tiny_model(), progress_bar=False)
        callbacks.callbacks = [AtHook("on_minibatch_end", lambda *arguments: calls.append(arguments[3]))]
        fit(callbacks.model(), callbacks, 2)
        assert calls == [1, 1]

    def test_subclass_may_have_a_constructor_and_methods_of_its_own(self) -> None:
        class Own(Callbacks):
            def __init__(self, model: Any, note: str, **options: Any) -> None:
                self.note = note
                super().__init__(model, **options)
                self.add_callback(AtHook("on_epoch_end", self.log))
                self.logged: list[str] = []

            def log(self, callback_data: Any, model: Any, epoch: int) -> None:
                self.logged.append(f"{self.note} {epoch} {self.epoch_marker}")

        callbacks = Own(tiny_model(), "epoch", progress_bar=False)
        fit(callbacks.model(), callbacks, 2)
        assert callbacks.logged == ["epoch 0 0", "epoch 1 2"]

    def test_container_gives_the_model_when_it_is_called_for(self) -> None:
        model = tiny_model()
        assert Callbacks(model).model() is model

    def test_hundred_million_epochs_end_when_the_model_is_finished(self) -> None:
        def finish(callback_data: Any, model: Any, epoch: int) -> None:
            model.finished = epoch == 2

        data = ran_with(AtHook("on_epoch_end", finish), 100_000_000, eval_freq=1, eval_set=tiny_set())
        assert data["time_markers/minibatch"][:3].tolist() == [2, 4, 6]
        assert data["cost/train"].id.get_storage_size() < 1_000_000
        assert data["config"].attrs["total_epochs"] == 100_000_000


class Counter:
    """State of a user's own kind, which nothing knows how to copy or compare."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __eq__(self, other: object) -> bool:
        raise AssertionError("nobody compares it")

    __hash__ = None  # type: ignore[assignment]


def by_object(state: Any, loss: Any) -> tuple[Any, bool]:
    state = state or Counter()
    state.losses.append(loss)
    return state, len(state.losses) == 3


def by_tuple(state: Any, loss: Any) -> tuple[Any, bool]:
    best, count = state or (loss, 0)
    return (min(best, loss), count + 1), count == 2


def by_array(state: Any, loss: Any) -> tuple[Any, bool]:
    state = np.append(np.array([]) if state is None else state, loss)
    return state, len(state) == 3


def by_generator(state: Any, loss: Any) -> tuple[Any, bool]:
    def answers() -> Iterator[bool]:
        yield from (False, False, True)

    state = state or answers()
    return state, next(state)


def by_closure() -> Callable[[Any, Any], tuple[Any, bool]]:
    seen: list[float] = []

    def stop(state: Any, loss: Any) -> tuple[Any, bool]:
        assert state is None
        seen.append(loss)
        return None, len(seen) == 3

    return stop


class ByMethod:
    seen = 0

    def stop(self, state: Any, loss: Any) -> tuple[Any, bool]:
        self.seen += 1
        return lambda: self.seen, self.seen == 3

    __call__ = stop


@pytest.mark.parametrize("stop", [
    by_object, by_tuple, by_array, by_generator, by_closure(), ByMethod(), ByMethod().stop,
], ids=["object", "tuple", "array", "generator", "closure", "callable object", "method"])  # fmt: skip
def test_function_that_stops_early_keeps_any_state(stop: Any) -> None:
    model = tiny_model()
    callbacks = quiet(model, eval_freq=1, eval_set=tiny_set())
    callbacks.add_early_stop_callback(stop)
    fit(model, callbacks, 100)
    assert callbacks.callback_data["time_markers"].attrs["epochs_complete"] == 3
    assert callbacks.run.exit_reason == "stopped"


def test_state_of_the_stopping_function_begins_as_none_and_is_what_it_returned() -> None:
    given: list[tuple[Any, type]] = []

    def stop(state: Any, loss: Any) -> tuple[Any, bool]:
        given.append((state, type(loss)))
        return len(given), False

    model = tiny_model()
    callbacks = quiet(model, eval_freq=2, eval_set=tiny_set())
    callbacks.add_early_stop_callback(stop)
    fit(model, callbacks, 6)
    assert given == [(None, np.float32), (1, np.float32), (2, np.float32)]


def test_no_model_at_all_is_needed_to_drive_callbacks() -> None:
    calls: list[str] = []
    callbacks = [AtHook(hook, lambda *_, hook=hook: calls.append(hook)) for hook in HOOKS]
    drive(container(*callbacks), [2, 2])
    assert calls == TWO_BY_TWO
