from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import pytest

from tests.support.events import BareModel
from trainsignal import Callback, keys
from trainsignal.abilities import CanEvaluate, CanSerialize, HasSize
from trainsignal.errors import (
    FrequencyError,
    HandlerError,
    MissingAbilityError,
    TrainSignalError,
    WiringError,
)
from trainsignal.frequency import Frequency
from trainsignal.keys import Numbered
from trainsignal.preflight import check_is_callback, check_wiring


def check(*callbacks: Callback, model: object = None, epochs: int | None = 10) -> None:
    check_wiring(callbacks, BareModel() if model is None else model, epochs)


class Loss(Callback):
    """Writes a loss at epoch ends."""

    writes = ("cost/validation",)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...


class Best(Callback):
    """Reads it at epoch ends."""

    reads = ("cost/validation",)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...


def test_callbacks_that_can_work_together_pass() -> None:
    check(Loss(epoch_freq=2), Best(epoch_freq=4), Callback(), model=BareModel(), epochs=None)


def test_no_callbacks_at_all_pass() -> None:
    check()


# Callbacks.


def test_a_class_instead_of_an_instance_is_told_to_be_called() -> None:
    with pytest.raises(WiringError, match=r"Loss is a class; add an instance of it: Loss\(\.\.\.\)"):
        check_is_callback(Loss)


@pytest.mark.parametrize("thing", [print, "Loss", None, object()], ids=["function", "text", "none", "object"])
def test_what_is_no_callback_is_told_to_subclass_or_to_subscribe(thing: Any) -> None:
    with pytest.raises(WiringError, match=r"is no Callback: subclass trainsignal\.Callback") as caught:
        check(thing)

    assert "callbacks.bus.subscribe(...)" in str(caught.value)


# Hooks.


@pytest.mark.parametrize(
    "name",
    ["on_batch_begin", "on_batch_end", "on_train_epoch_end", "on_train_batch_end", "on_trained", "once"],
)
def test_hooks_of_other_libraries_on_the_same_class_are_left_alone(name: str) -> None:
    check(type("Mixed", (Callback,), {name: lambda self: None})())


def test_properties_are_not_run() -> None:
    class Fragile(Callback):
        @property
        def on_epoch_ends(self) -> object:
            raise ValueError("not before training")

    check(Fragile())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("on_epoch_edn", "on_epoch_end"),
        ("on_epochend", "on_epoch_end"),
        ("on_minibatch_ends", "on_minibatch_end"),
        ("on_trian_begin", "on_train_begin"),
        ("on_run_close", "on_run_closed"),
        ("onepoch_begin", "on_epoch_begin"),
    ],
)
def test_a_misspelt_hook_is_told_the_right_name(wrong: str, right: str) -> None:
    misspelt = type("Misspelt", (Callback,), {wrong: lambda self, *arguments: None})

    with pytest.raises(HandlerError, match=rf"Misspelt\.{wrong} is never called.*Did you mean '{right}'\?"):
        check(misspelt())


def test_names_that_are_far_from_a_hook_or_no_function_are_the_authors_own() -> None:
    class Own(Callback):
        on_epoch_ends = 3
        online = True

        def on_plot(self) -> None: ...

    check(Own())


def with_hook(name: str, hook: Callable[..., None]) -> Callback:
    made: Callback = type("Mine", (Callback,), {name: hook})()
    return made


@pytest.mark.parametrize(
    ("name", "hook", "signature"),
    [
        ("on_epoch_end", lambda self, epoch: None, "(self, callback_data, model, epoch)"),
        ("on_epoch_end", lambda self, data, model, epoch, logs: None, "(self, callback_data, model, epoch)"),
        ("on_train_begin", lambda self, data, model: None, "(self, callback_data, model, epochs)"),
        (
            "on_minibatch_end",
            lambda self, data, model, batch: None,
            "(self, callback_data, model, epoch, minibatch)",
        ),
        ("on_train_end", lambda self, data, model, *, logs: None, "(self, callback_data, model)"),
        ("on_run_closed", lambda self: None, "(self, callback_data, model, reason, error)"),
    ],
    ids=["too few", "too many", "train", "minibatch", "keyword", "closed"],
)
def test_a_hook_with_a_wrong_signature_is_told_the_right_one(
    name: str, hook: Callable[..., None], signature: str
) -> None:
    with pytest.raises(HandlerError, match=f"Mine.{name} cannot be called with") as caught:
        check(with_hook(name, hook))

    assert f"Write def {name}{signature}." in str(caught.value)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    "hook",
    [
        lambda self, *arguments: None,
        lambda self, data, model, epoch, verbose=False: None,
        lambda self, a, b, c: None,
        staticmethod(lambda data, model, epoch: None),
    ],
    ids=["stars", "default", "other names", "static"],
)
def test_a_hook_that_can_take_neons_arguments_passes_whatever_their_names(hook: Any) -> None:
    check(with_hook("on_epoch_end", hook))


def test_a_hook_that_is_set_on_the_instance_is_checked_too() -> None:
    callback = Callback()
    vars(callback)["on_epoch_end"] = lambda epoch: None

    with pytest.raises(HandlerError, match=r"Callback\.on_epoch_end cannot be called with"):
        check(callback)


def test_a_hook_that_does_not_tell_its_parameters_is_believed() -> None:
    callback = Callback()
    vars(callback)["on_epoch_end"] = dict

    check(callback)


# Frequencies.

WRONG_FREQUENCIES: tuple[Any, ...] = (0, -1, True, "2", 1.5, [True], [-1])


@pytest.mark.parametrize("value", WRONG_FREQUENCIES, ids=repr)
@pytest.mark.parametrize("attribute", ["epoch_freq", "minibatch_freq"])
def test_a_frequency_that_means_nothing_is_refused_where_it_is_given(attribute: str, value: Any) -> None:
    with pytest.raises(FrequencyError, match=f"Loss.{attribute}="):
        Loss(**{attribute: value})
    callback = Loss()
    with pytest.raises(FrequencyError, match=f"Loss.{attribute}="):
        setattr(callback, attribute, value)


@pytest.mark.parametrize("value", WRONG_FREQUENCIES, ids=repr)
@pytest.mark.parametrize("attribute", ["epoch_freq", "minibatch_freq"])
def test_one_in_the_class_body_is_refused_before_the_run(attribute: str, value: Any) -> None:
    class Silent(Callback):
        def __init__(self) -> None: ...

    setattr(Silent, attribute, value)

    with pytest.raises(FrequencyError, match=f"Silent.{attribute}="):
        check(Silent())


# Series.


@pytest.mark.parametrize("attribute", ["reads", "optional_reads", "writes"])
def test_series_in_one_text_are_told_to_be_a_tuple(attribute: str) -> None:
    class Texts(Callback):
        pass

    setattr(Texts, attribute, "cost/loss")

    with pytest.raises(WiringError, match=rf"Texts\.{attribute} is text; .* tuple of keys: \('cost/loss',\)"):
        check(Texts())


def test_a_reader_without_a_writer_is_told_how_to_get_one() -> None:
    class LossReader(Callback):
        reads = ("cost/loss",)

    class CostReader(Callback):
        reads = ("cost/train",)

    with pytest.raises(WiringError) as loss:
        check(LossReader())
    with pytest.raises(WiringError) as cost:
        check(CostReader())

    assert str(loss.value) == (
        "LossReader reads 'cost/loss', which no callback writes. "
        "Pass eval_set and eval_freq to Callbacks, or add LossCallback(eval_set)."
    )
    assert str(cost.value).endswith("Add TrainCostCallback().")


def test_a_reader_of_a_series_of_the_users_own_is_told_to_declare_its_writer() -> None:
    with pytest.raises(
        WiringError, match=r"declare writes = \('cost/validation',\) on the one that writes it"
    ):
        check(Best())


def test_a_misspelt_series_is_told_the_near_one() -> None:
    class Misspelt(Best):
        reads = ("cost/validaton",)

    with pytest.raises(WiringError, match=r"Did you mean 'cost/validation'\?$"):
        check(Loss(), Misspelt())


def test_an_optional_read_needs_no_writer() -> None:
    class Optional(Callback):
        optional_reads = ("cost/loss",)

    check(Optional())


@pytest.mark.parametrize(
    ("read_at", "written_at", "epochs"),
    [([0, 2], 2, 10), ([0, 2], 2, None), (3, 7, 20), (None, 1, 10), (2, [0, 2], None), ([5], 1, 5)],
    ids=str,
)
def test_a_reader_that_never_meets_its_writer_is_refused(
    read_at: Frequency, written_at: Frequency, epochs: int | None
) -> None:
    with pytest.raises(WiringError, match="never writes at an epoch at which it is read") as caught:
        check(Best(epoch_freq=read_at), Loss(epoch_freq=written_at), epochs=epochs)

    message = str(caught.value)
    assert f"Best (epoch_freq={read_at!r}) reads 'cost/validation'" in message
    assert f"Loss (epoch_freq={written_at!r})" in message
    assert ("within" in message) == (epochs is not None)
    assert message.endswith("Make the two frequencies meet.")


@pytest.mark.parametrize(
    ("read_at", "written_at", "epochs"), [([0, 3], 2, 10), (3, 7, 21), (6, 4, None)], ids=str
)
def test_a_reader_that_meets_its_writer_once_passes(
    read_at: Frequency, written_at: Frequency, epochs: int | None
) -> None:
    check(Best(epoch_freq=read_at), Loss(epoch_freq=written_at), epochs=epochs)


def test_a_run_of_no_epochs_asks_nobody_to_meet() -> None:
    check(Best(epoch_freq=[0]), Loss(epoch_freq=2), epochs=0)


class AtMinibatches(Callback):
    reads = ("cost/validation",)

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None: ...


class ByItsOwnRule(Best):
    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return time == 1


class AtTheEnd(Callback):
    reads = ("cost/validation",)

    def on_train_end(self, callback_data: Any, model: Any) -> None: ...


@pytest.mark.parametrize("reader", [AtMinibatches, ByItsOwnRule, AtTheEnd])
def test_a_reader_whose_epoch_frequency_does_not_decide_is_not_asked_to_meet(reader: type[Callback]) -> None:
    check(reader(epoch_freq=[0]), Loss(epoch_freq=2))


def test_two_writers_of_one_series_are_refused_by_name() -> None:
    class Other(Loss):
        pass

    with pytest.raises(WiringError, match="Loss and Other both write 'cost/validation'") as caught:
        check(Loss(), Other())

    assert "a series of another name" in str(caught.value)


def test_two_writers_pass_where_both_take_a_numbered_name() -> None:
    class Plain(Callback):
        writes = ("cost/loss",)

    class WithNumber(Callback):
        writes = (Numbered("cost/loss"),)

    check(WithNumber(), WithNumber())
    for pair in ((WithNumber(), Plain()), (Plain(), WithNumber())):
        with pytest.raises(WiringError, match="both write 'cost/loss'"):
            check(*pair)


def test_one_callback_added_twice_does_not_clash_with_itself() -> None:
    loss = Loss()

    check(loss, loss)


def test_callbacks_that_wait_for_each_other_are_refused_before_the_run() -> None:
    class First(Callback):
        reads = ("a",)
        writes = ("b",)

    class Second(Callback):
        reads = ("b",)
        writes = ("a",)

    with pytest.raises(WiringError, match="callbacks wait for each other"):
        check(First(), Second())


# Abilities.


class Sized:
    nbatches = 3
    ndata = 90


def test_a_model_that_lacks_what_a_callback_needs_is_told_what_is_missing() -> None:
    class Saver(Callback):
        needs = (HasSize, CanSerialize)

    check(Saver(), model=type("Both", (Sized,), {"serialize": lambda self, keep_states=True: {}})())
    with pytest.raises(MissingAbilityError) as caught:
        check(Saver(), model=Sized())

    message = str(caught.value)
    assert message.startswith(
        "Saver needs a model with serialize (CanSerialize: The model gives its whole state"
    )
    assert "which Sized has not" in message
    assert message.endswith("Give Callbacks a model that has it, or leave this callback out.")


def test_every_missing_attribute_is_named_once_and_those_that_are_there_are_not() -> None:
    class Sizing(Callback):
        needs = (HasSize,)

    with pytest.raises(MissingAbilityError, match="needs a model with nbatches, ndata "):
        check(Sizing())
    with pytest.raises(MissingAbilityError, match=r"needs a model with ndata \("):
        check(Sizing(), model=type("Half", (), {"nbatches": 1})())


def test_an_ability_of_the_users_own_without_docstring_is_told_by_its_name() -> None:
    @runtime_checkable
    class CanSing(Protocol):
        def sing(self) -> None: ...

    class Choir(Callback):
        needs = (CanSing,)

    with pytest.raises(MissingAbilityError, match=r"Choir needs a model with sing \(CanSing: "):
        check(Choir())


def test_a_class_as_ability_is_told_by_its_name_where_no_attribute_is_missing() -> None:
    class Picky(Callback):
        needs = (dict,)

    class Alike(dict[str, int]):
        pass

    check(Picky(), model=Alike())
    with pytest.raises(MissingAbilityError, match=r"needs a model with dict \(dict: "):
        check(Picky(), model=type("Ducks", (), {name: None for name in dir(dict) if name[0] != "_"})())


@pytest.mark.parametrize("error", [WiringError, HandlerError, FrequencyError, MissingAbilityError])
def test_whatever_is_wrong_is_one_of_our_errors(error: type[Exception]) -> None:
    assert issubclass(error, TrainSignalError)


def test_an_ability_that_the_model_has_by_a_method_passes() -> None:
    class Scorer(Callback):
        needs = (CanEvaluate,)

    check(Scorer(), model=type("Evaluating", (), {"eval": lambda self, dataset, metric: 0.0})())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("OnEpochEnd", "on_epoch_end"), ("shouldfire", "should_fire"), ("should_fired", "should_fire")],
)
def test_other_spellings_of_a_name_count_as_misspelt(wrong: str, right: str) -> None:
    with pytest.raises(HandlerError, match=f"Did you mean '{right}'"):
        check(type("Mine", (Callback,), {wrong: lambda self: None})())


def test_a_gate_that_cannot_be_asked_is_refused() -> None:
    class Gated(Callback):
        def should_fire(self, time: int) -> bool:  # type: ignore[override]  # what the user got wrong
            return True

    with pytest.raises(HandlerError, match=r"should_fire\(self, callback_data, model, time, freq\)"):
        check(Gated())


def test_a_reader_of_a_metric_passes_where_somebody_writes_the_group() -> None:
    class Group(Callback):
        writes = (keys.Below("metrics/*"),)

    class Reader(Callback):
        reads = ("metrics/a",)

    check(Group(), Reader())
    with pytest.raises(WiringError, match="reads 'metrics/a', which no callback writes"):
        check(Reader())


def test_a_reader_has_to_meet_the_writer_of_its_very_series() -> None:
    class Group(Callback):
        writes: tuple[str, ...] = (keys.Below("metrics/*"),)

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...

    class Writer(Group):
        writes = ("metrics/a",)

    class Reader(Group):
        writes = ()
        reads = ("metrics/a",)

    with pytest.raises(WiringError, match=r"which Writer \(epoch_freq=2\) never writes"):
        check(Group(), Writer(epoch_freq=2), Reader(epoch_freq=[0, 2]))


def test_a_model_of_a_framework_is_told_its_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    class Saving(Callback):
        needs = (CanSerialize,)

    monkeypatch.setattr("trainsignal.preflight.wrapper_hint", lambda model: " Wrap it: Wrapper(model)")
    with pytest.raises(MissingAbilityError, match=r"leave this callback out\. Wrap it: Wrapper\(model\)$"):
        check(Saving())
