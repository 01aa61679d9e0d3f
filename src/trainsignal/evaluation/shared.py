"""`Evaluations`: what the callbacks of one run evaluate, so that one pass serves all that are due.

The first that asks has the pass run for all that follow in the running order, up to the next callback that
may change the model. Knows no loss and no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from trainsignal import keys
from trainsignal.abilities import EvaluatesPairs
from trainsignal.binding import HookReceiver
from trainsignal.callback import Callback
from trainsignal.evaluation.minibatches import check_evaluation_set
from trainsignal.evaluation.pairs import check_pair_model
from trainsignal.evaluation.passes import Outcome, Request, evaluate
from trainsignal.frameworks import wrapper_hint
from trainsignal.frequency import fires
from trainsignal.order import runs_after_handlers
from trainsignal.run_link import joined_run

_DECLARATIONS = ("reads", "optional_reads", "writes", "needs")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of a callback; holds the callback, so that no other one gets its `id`."""

    callback: Callback
    request: Request


class Evaluations:
    """Serves the callbacks of one run at the ends of its epochs.

    A result is for one request at one epoch's end: asking again evaluates again.
    """

    def __init__(self, ending_epoch: Callable[[], int | None]) -> None:
        """Begin with nobody registered.

        Args:
            ending_epoch: tells the epoch whose `epoch_end` is being published, or None. What is asked at
                other moments, amid an epoch say, serves nobody else, for the model will be another.
        """
        self._ending_epoch = ending_epoch
        self._in_order: list[HookReceiver] = []
        self._registered: dict[int, _Asked] = {}
        self._done: dict[int, tuple[_Asked, Outcome]] = {}
        self._epoch: int | None = None
        self._rearranged_at: int | None = None

    def arrange(self, receivers: Iterable[HookReceiver]) -> None:
        """Follow the wiring: take over who runs at the ends of epochs, in running order.

        An epoch's end that is being published goes on in the order before; it shares nothing more.
        """
        self._in_order = [one for one in receivers if one.hook.method == "on_epoch_end"]
        self._rearranged_at = self._ending_epoch()

    def register(self, callback: Callback, request: Request) -> None:
        """Evaluate this for the callback along with others, at each epoch's end at which it is due."""
        self._registered[id(callback)] = _Asked(callback, request)

    def result(self, callback: Callback, model: Any, request: Request, epoch: int) -> Any:
        """Return the value of `request`, which may be another than the registered one.

        Args:
            callback: who asks.
            model: satisfies `CanInfer`.
            request: what it asks for.
            epoch: 0-based.

        Raises:
            Exception: what evaluating it raised: the request itself, the model or the data set.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            self._done.clear()
        done = self._done.pop(id(callback), None)
        if done is not None and done[0].request.is_same(request):
            return done[1].result()
        others = list(self._served_with(callback, request, epoch)) if self._can_share() else []
        first, *rest = evaluate(model, [request, *(one.request for one in others)])
        self._done.update(
            (id(one.callback), (one, outcome)) for one, outcome in zip(others, rest, strict=True)
        )
        return first.result()

    def _can_share(self) -> bool:
        ending = self._ending_epoch()
        return ending is not None and ending != self._rearranged_at

    def _served_with(self, callback: Callback, request: Request, epoch: int) -> Iterator[_Asked]:
        """Yield the requests on the same data set that are due after the callback's, on the same model.

        One that decides by its own `should_fire` is not among them: whether it fires is not known yet.
        """
        following = iter(self._in_order)
        asking = next((one for one in following if one.member.callback is callback), None)
        if asking is None or _may_change_model(callback):
            return
        for receiver in following:
            if receiver.is_disabled or (receiver.is_plain and not fires(receiver.frequency, epoch)):
                continue
            if _may_change_model(receiver.member.callback) or runs_after_handlers(receiver.member.callback):
                return
            asked = self._registered.get(id(receiver.member.callback))
            if asked is not None and receiver.is_plain and asked.request.dataset is request.dataset:
                yield asked


def register(callback: Callback, request: Request) -> None:
    """Register what the callback will ask for, with the run that it takes part in, if any."""
    run = joined_run(callback)
    if run is not None:
        run.evaluations.register(callback, request)


def check_evaluable(model: Any, dataset: Any, name: str, *, needs_loss: bool = False) -> None:
    """Refuse a data set that this model cannot be evaluated on.

    Args:
        model: what the callbacks are given.
        dataset: what was given.
        name: of the argument, for the message.
        needs_loss: whether the model's loss is asked for.

    Raises:
        DataError: a model with neon's layout needs to know the size of the set.
        MissingAbilityError: the model of a framework was not told its loss.
    """
    if isinstance(model, EvaluatesPairs):
        check_pair_model(model, needs_loss=needs_loss)
    elif not wrapper_hint(model):  # else it is said, before the run, that the model needs a wrapper
        check_evaluation_set(dataset, name)


def evaluated(callback: Callback, model: Any, request: Request, epoch: int) -> Any:
    """Return the value of `request`, from a pass that is shared where the callback takes part in a run.

    Args:
        callback: who asks.
        model: satisfies `CanInfer`.
        request: what it asks for.
        epoch: 0-based.

    Raises:
        Exception: what evaluating it raised.
    """
    run = joined_run(callback)
    if run is None:
        return evaluate(model, [request])[0].result()
    return run.evaluations.result(callback, model, request, epoch)


def _may_change_model(callback: Callback) -> bool:
    """Return whether the model may be another in or after the callback's `on_epoch_end`.

    A callback that declares anything is trusted to say so too; neon's declare nothing, and may do anything.
    """
    return keys.MODEL in callback.writes or not _declares_for_its_hook(callback)


def _declares_for_its_hook(callback: Callback) -> bool:
    """Return whether who wrote the `on_epoch_end` that runs says what it reads or writes.

    So says the class that has it, or one that derives from that: a class above knows nothing of it. The
    instance says so where the hook overrides no other; else a constructor above may have spoken for that one.
    """
    places = [vars(callback), *(vars(kind) for kind in type(callback).__mro__ if kind is not Callback)]
    hooks = [index for index, place in enumerate(places) if "on_epoch_end" in place]
    nearer = places[: 1 + hooks[0]] if len(hooks) == 1 else places[1 : 1 + min(hooks, default=0)]
    return any(name in place for place in nearer for name in _DECLARATIONS)
