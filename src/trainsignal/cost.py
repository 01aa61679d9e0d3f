"""The cost of a minibatch: what the loop set, or else what the model keeps.

A number becomes a float at once. A value on a device stays there, with others, until somebody reads: nobody
waits for the device at each minibatch. Knows no run and no callback.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from trainsignal.abilities import DeviceCosts, Gathered, to_float
from trainsignal.errors import CostError
from trainsignal.frameworks import device_costs_of

MOST_KEPT: Final = 1024
"""So many costs are kept on a device one by one; then they are sent to the host together."""

Tell: TypeAlias = Callable[..., object]
"""Called with a cost, once it is known, as its last argument."""

Waiting: TypeAlias = tuple[int, Tell, tuple[Any, ...]]
"""Index of a cost among those that come together, who is to be told, and its other arguments."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """Costs that are on their way from a device, and who waits for which of them."""

    gathered: Gathered
    size: int
    waiting: list[Waiting]


class MinibatchCost:
    """The cost of the current minibatch, and the mean over the epoch of those that the loop set."""

    def __init__(self, model: Any) -> None:
        """Begin with no cost.

        Args:
            model: whose `cost.cost`, neon's place for it, counts where the loop sets none.
        """
        self._model = model
        self._latest: float | None = None
        self._is_told = False
        self._is_late = False  # whether the latest cost is still on a device, or on its way
        self._device: DeviceCosts | None = None
        self._host_kinds: set[type] = {float, int}  # of values of which no framework is to be asked
        self._kind: type | None = None  # of the values that are kept, and how one of them is
        self._keep: Callable[[Any], Any] = to_float
        self._kept: list[Any] = []
        self._waiting: list[Waiting] = []
        self._sent: deque[_Sent] = deque()
        self._come: deque[tuple[Tell, tuple[Any, ...], float]] = deque()
        self._sum, self._count = 0.0, 0

    @property
    def is_told(self) -> bool:
        """Whether the loop has set a cost in this run."""
        return self._is_told

    @property
    def is_late(self) -> bool:
        """Whether the cost of the current minibatch is on a device, so that reading it would wait."""
        return self._is_late

    def new_epoch(self) -> None:
        """Begin a new mean; waits for the costs of the epoch before."""
        self.settle()
        self._sum, self._count = 0.0, 0

    def set(self, value: object) -> None:
        """Note what the loop says.

        Raises:
            CostError: it is not one number.
        """
        if isinstance(value, float) and not self._kept and not self._sent:  # nearly always, on the host
            cost = float(value)  # NumPy's float64 is one too, whose arithmetic warns
            self._latest, self._is_late, self._is_told = cost, False, True
            self._sum += cost
            self._count += 1
            return
        try:
            if type(value) is not self._kind:
                self._set_other(value)
                return
            self._kept.append(self._keep(value))
        except TypeError as error:
            raise _refused(error) from error
        self._is_late = self._is_told = True
        if len(self._kept) >= MOST_KEPT:
            self.settle(wait=False)

    def tell_nothing(self) -> None:
        """Note that a framework says nothing of this minibatch, whose cost is missing if nobody else did."""
        self._is_told = True

    def forget(self) -> None:
        """Begin a minibatch of which the loop has said nothing yet."""
        self._latest, self._is_late = None, False

    def get(self) -> float | None:
        """Return what the loop set for this minibatch, or else `model.cost.cost`; waits for a device.

        None where the loop does set costs, but none for this minibatch.

        Raises:
            CostError: nobody ever set one, or it is not one number.
        """
        if self._is_late:
            self.settle()
        if self._latest is not None or self._is_told:
            return self._latest
        try:
            return to_float(self._model.cost.cost)
        except AttributeError:
            raise CostError(
                "no cost of this minibatch: set run.cost = loss before the minibatch ends (inside "
                "`with callbacks.training(epochs) as run`), or give Callbacks a model with model.cost.cost"
            ) from None
        except TypeError as error:
            raise CostError(f"model.cost.cost is not one number: {error}") from error

    def told(self) -> float | None:
        """Return what the loop set for this minibatch; None where it has set nothing."""
        return self.get() if self._is_told else None

    def when_known(self, tell: Tell, *arguments: Any) -> None:
        """Call `tell(*arguments, cost)` once the cost of this minibatch, which is late, has come."""
        if self._kept:
            self._waiting.append((len(self._kept) - 1, tell, arguments))
        else:
            self._sent[-1].waiting.append((self._sent[-1].size - 1, tell, arguments))

    def settle(self, *, wait: bool = True) -> None:
        """Take over the costs that are on a device, and tell who waits for them.

        Args:
            wait: for all of them; else those that have come already, and the others are sent.

        Raises:
            Exception: what the device says of a computation that failed; its costs are then lost.
        """
        if self._kept:
            self._send()
        try:
            while self._sent and (wait or self._sent[0].gathered.is_ready()):
                self._take_over(self._sent.popleft())
        finally:  # then only, for who is told may ask for costs in turn
            while self._come:
                tell, arguments, cost = self._come.popleft()
                tell(*arguments, cost)

    def rescue(self) -> Exception | None:
        """Settle, and return what a device says of a computation that failed, whose costs are lost."""
        try:
            self.settle()
        except Exception as failure:  # noqa: BLE001  # the run is over, and its caller tells the user
            return failure
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what is known so far, as plain values."""
        self.settle()
        return {"latest": self._latest, "is_told": self._is_told, "sum": self._sum, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._latest, self._is_told = state["latest"], state["is_told"]
        self._sum, self._count = state["sum"], state["count"]

    @property
    def epoch_sums(self) -> tuple[float, int]:
        """Sum and count of what the loop set in this epoch; waits for a device."""
        self.settle()
        return self._sum, self._count

    def replace_epoch_sums(self, total: float, count: int) -> None:
        """Have the mean of this epoch be that of these, which are of all ranks of the run."""
        self._sum, self._count = total, count

    @property
    def epoch_mean(self) -> float | None:
        """Mean of what the loop set in this epoch; None where it set nothing; waits for a device."""
        self.settle()
        return self._sum / self._count if self._count else None

    def _set_other(self, value: object) -> None:
        """Note a number, or the first of values that are on a device."""
        device = None if type(value) in self._host_kinds else device_costs_of(value)
        if device is None:
            cost = to_float(value)
            self._host_kinds.add(type(value))
            self.settle()
            self.set(cost)
            return
        keep = device.keeper(value)
        self.settle()
        self._device, self._kind, self._keep = device, type(value), keep
        self.set(value)

    def _take_over(self, sent: _Sent) -> None:
        """Add up costs that have come, and note who is to be told of which."""
        try:
            costs = sent.gathered.numbers()
        except BaseException:
            self._sent.clear()  # what came after a failed computation has failed too
            self._is_late = False
            raise
        for cost in costs:  # one by one, so that the mean is the same whatever came together
            self._sum += cost
        self._count += len(costs)
        if self._is_late and not self._sent:
            self._latest, self._is_late = costs[-1], False
        self._come += [(tell, arguments, costs[index]) for index, tell, arguments in sent.waiting]

    def _send(self) -> None:
        """Send what is kept on its way to the host."""
        assert self._device is not None
        kept, waiting, is_late = self._kept, self._waiting, self._is_late
        self._kept, self._waiting, self._is_late = [], [], False  # they are lost if they cannot be sent
        try:
            gathered = self._device.gather(kept)
        except TypeError as error:
            raise _refused(error) from error
        self._sent.append(_Sent(gathered, len(kept), waiting))
        self._is_late = is_late


def _refused(error: TypeError) -> CostError:
    return CostError(f"run.cost was set to something that is not one number: {error}")
