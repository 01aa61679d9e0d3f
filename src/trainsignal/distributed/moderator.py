"""`Moderator`: finds the minibatch after which all ranks stop, when one of them wants that amid an epoch.

Runs on the first rank, fed by the messages of all. No rank waits in a collective for it: each is asked
where it is, answers from a thread of its own however long its computations take, and from then on goes no
further than `MARGIN` minibatches until it hears the decision, which lies where none has been yet. Knows no
network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trainsignal.distributed.wishes import Wish, note, signal_among

MARGIN: Final = 3
"""Minibatches that a rank may go on after it has said where it is: the one that it is in, that it may be
leaving at this moment, and one more, so that ranks that compute in step seldom wait."""

MOST_WISHES: Final = 16
"""So many different ones are told to all, and a signal of the operating system."""

Message = dict[str, Any]
"""Plain values, for JSON."""


class Moderator:
    """Asks all ranks for their positions as soon as one has a wish, and tells all where to stop.

    Once, for the run ends there: at the latest at the end of the epoch, if that comes before.

    Messages of a rank: `{"wish": {...}}`; `{"epoch": e, "done": m}`, which says that m minibatches of epoch e
    are done. Messages to all: `{"where": True}`; `{"epoch": e, "done": m, "wishes": [[{...}, ranks], ...]}`,
    which says that all stop when m minibatches of epoch e are done, and which ranks have wished it by then.
    """

    def __init__(self, size: int, tell_all: Callable[[Message], object]) -> None:
        """Begin with no wish.

        Args:
            size: how many ranks there are.
            tell_all: sends a message to each of them, this one included.
        """
        self._tell_all = tell_all
        self._taking_part = set(range(size))
        self._wishes: dict[Wish, list[int]] = {}
        self._positions: dict[int, tuple[int, int]] = {}
        self._has_asked = self._is_decided = False

    def hear(self, rank: int, message: Message) -> None:
        """Take a message of a rank."""
        if "wish" in message:
            self._note(rank, Wish(**message["wish"]))
        else:
            self._positions[rank] = (message["epoch"], message["done"])
            self._decide_if_all_answered()

    def _note(self, rank: int, wish: Wish) -> None:
        is_first_signal = wish.signal is not None and signal_among(self._wishes) is None
        if wish in self._wishes or len(self._wishes) < MOST_WISHES or is_first_signal:
            note(self._wishes, rank, wish)
        if not self._has_asked:
            self._has_asked = True
            self._tell_all({"where": True})

    def forget(self, rank: int) -> None:
        """Wait no more for a rank that has left."""
        self._taking_part.discard(rank)
        self._decide_if_all_answered()

    def _decide_if_all_answered(self) -> None:
        answered = self._positions.keys() & self._taking_part
        if self._is_decided or not answered or answered != self._taking_part:
            return
        self._is_decided = True
        epoch, done = max(self._positions[rank] for rank in answered)
        wishes = [[wish.as_dict(), list(ranks)] for wish, ranks in self._wishes.items()]
        self._tell_all({"epoch": epoch, "done": done + MARGIN, "wishes": wishes})
