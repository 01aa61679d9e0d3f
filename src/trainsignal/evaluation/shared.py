"""`Evaluations`: what the callbacks of one run evaluate, so that one pass serves all that are due.

The first that asks has the pass run for all that follow in the running order, up to the next callback that
may change the model. Of a run of several ranks, what is due is known beforehand, and exchanged together.
Knows no loss and no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainsignal.abilities import Array
from trainsignal.binding import HookReceiver
from trainsignal.callback import Callback
from trainsignal.evaluation.exchange import Alone, Exchange, exchanged, pass_by
from trainsignal.evaluation.passes import Outcome, Request, evaluate
from trainsignal.evaluation.stretches import may_change_model, stretches
from trainsignal.frequency import fires
from trainsignal.order import runs_after_handlers
from trainsignal.run_link import joined_run

_NO_RIDERS = np.empty(0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of a callback; holds the callback, so that no other one gets its `id`."""

    callback: Callback
    request: Request


class Evaluations:
    """Serves the callbacks of one run at the ends of its epochs.

    A result is for one request at one epoch's end: asking again evaluates again. With an exchange, what is
    asked for beyond what is registered is exchanged at once, so all ranks have to ask for it.

    Attributes:
        exchange: the ranks of the run, each of which evaluates its own part of the data sets; None: one
            process.
    """

    def __init__(self, ending_epoch: Callable[[], int | None]) -> None:
        """Begin with nobody registered.

        Args:
            ending_epoch: tells the epoch whose `epoch_end` is being published, or None. What is asked at
                other moments, amid an epoch say, serves nobody else, for the model will be another.
        """
        self.exchange: Exchange | None = None
        self._ending_epoch = ending_epoch
        self._in_order: list[HookReceiver] = []
        self._registered: dict[int, _Asked] = {}
        self._done: dict[int, tuple[_Asked, Outcome]] = {}
        self._epoch: int | None = None
        self._rearranged_at: int | None = None
        self._only_here: set[int] = set()
        self._places: dict[int, int] = {}
        self._awaited: list[list[_Asked]] = []

    @property
    def is_alone(self) -> bool:
        """Whether this process alone has the data sets, so that none of them may be empty."""
        return self.exchange is None

    def arrange(self, receivers: Iterable[HookReceiver], only_here: Collection[Callback] = ()) -> None:
        """Follow the wiring: take over who runs at the ends of epochs, in running order.

        An epoch's end that is being published goes on in the order before; it shares nothing more.

        Args:
            receivers: of this rank.
            only_here: callbacks that no other rank runs; they evaluate this rank's data sets for themselves,
                and leave the model as it is.
        """
        self._in_order = [one for one in receivers if one.hook.method == "on_epoch_end"]
        self._only_here = {id(one) for one in only_here}
        self._rearranged_at = self._ending_epoch()

    def register(self, callback: Callback, request: Request) -> None:
        """Evaluate this for the callback along with others, at each epoch's end at which it is due."""
        self._registered[id(callback)] = _Asked(callback, request)

    def prepare(self, model: Any, epoch: int, riders: Array) -> Array:
        """Evaluate what is due of the model as the epoch left it, and exchange it; all ranks call it.

        Args:
            model: satisfies `CanInfer`.
            epoch: 0-based, whose `epoch_end` is about to be published.
            riders: (k,) float64 of this rank, which travel along.

        Returns:
            (k,) float64: the sums of the riders over all ranks; without an exchange the riders.
        """
        if self.exchange is None:
            return riders
        everywhere = [one for one in self._in_order if id(one.member.callback) not in self._only_here]
        self._begin(epoch)
        self._places = {id(one.member.callback): place for place, one in enumerate(everywhere)}
        first, *later = (
            [self._registered[id(one)] for one in stretch if id(one) in self._registered]
            for stretch in stretches(everywhere, epoch)
        )
        self._awaited = [stretch for stretch in later if stretch]
        return self._exchange(self.exchange, model, first, riders)

    def finish(self, model: Any) -> None:
        """Take part in what other ranks have asked for after this one's last; called after `epoch_end`."""
        if self.exchange is not None:
            for stretch in self._awaited:
                pass_by(self.exchange, model, [one.request for one in stretch])
            self._done.clear()
            self._awaited = []

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
            self._begin(epoch)
        if self.exchange is not None:
            self._catch_up(self.exchange, callback, model)
        done = self._done.pop(id(callback), None)
        if done is not None and done[0].request.is_same(request):
            return done[1].result()
        if self.exchange is not None:
            ranks = Alone() if id(callback) in self._only_here else self.exchange
            return exchanged(ranks, model, [request], _NO_RIDERS)[0][0].result()
        others = list(self._served_with(callback, request, epoch)) if self._can_share() else []
        first, *rest = evaluate(model, [request, *(one.request for one in others)])
        self._keep(others, rest)
        return first.result()

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._done.clear()
        self._awaited = []

    def _keep(self, asked: Iterable[_Asked], outcomes: Iterable[Outcome]) -> None:
        self._done.update(
            (id(one.callback), (one, outcome)) for one, outcome in zip(asked, outcomes, strict=True)
        )

    def _exchange(self, ranks: Exchange, model: Any, asked: list[_Asked], riders: Array) -> Array:
        outcomes, sums = exchanged(ranks, model, [one.request for one in asked], riders)
        self._keep(asked, outcomes)
        return sums

    def _catch_up(self, ranks: Exchange, callback: Callback, model: Any) -> None:
        """Exchange the stretches that begin before this callback or with it, as all ranks do when it asks.

        Those that end before it, nobody on this rank has asked for: their callbacks were disabled. One that
        only this rank runs waits for none.
        """
        place = self._places.get(id(callback), -1)
        while self._awaited and self._place(self._awaited[0][0]) <= place:
            stretch = self._awaited.pop(0)
            if self._place(stretch[-1]) >= place:
                self._exchange(ranks, model, stretch, _NO_RIDERS)
            else:
                pass_by(ranks, model, [one.request for one in stretch])

    def _place(self, asked: _Asked) -> int:
        return self._places[id(asked.callback)]

    def _can_share(self) -> bool:
        ending = self._ending_epoch()
        return ending is not None and ending != self._rearranged_at

    def _served_with(self, callback: Callback, request: Request, epoch: int) -> Iterator[_Asked]:
        """Yield the requests on the same data set that are due after the callback's, on the same model.

        One that decides by its own `should_fire` is not among them: whether it fires is not known yet.
        """
        following = iter(self._in_order)
        asking = next((one for one in following if one.member.callback is callback), None)
        if asking is None or may_change_model(callback):
            return
        for receiver in following:
            if receiver.is_disabled or (receiver.is_plain and not fires(receiver.frequency, epoch)):
                continue
            if may_change_model(receiver.member.callback) or runs_after_handlers(receiver.member.callback):
                return
            asked = self._registered.get(id(receiver.member.callback))
            if asked is not None and receiver.is_plain and asked.request.dataset is request.dataset:
                yield asked


def register(callback: Callback, request: Request) -> None:
    """Register what the callback will ask for, with the run that it takes part in, if any."""
    run = joined_run(callback)
    if run is not None:
        run.evaluations.register(callback, request)


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


def is_shared_out(callback: Callback) -> bool:
    """Return whether the callback's data sets are parts of those of a run of several ranks."""
    run = joined_run(callback)
    return run is not None and not run.evaluations.is_alone
