"""What the conformance suite knows of a training loop: how to train in it, and what it can do."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.linear_problem import Floats, batches
from trainsignal import Callbacks

SUBJECTS = Path(__file__).parents[1] / "loops" / "subjects"


class LoopError(Exception):
    """What goes wrong in a loop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        epochs: how many, those before a resumption included.
        minibatches: of an epoch.
        fail_at: 0-based (epoch, minibatch) of this process at which the loop raises `LoopError`.
        is_length_known: whether the loop can tell how many minibatches there will be.
    """

    epochs: int = 3
    minibatches: int = 4
    fail_at: tuple[int, int] | None = None
    is_length_known: bool = True

    def fail_if_due(self, epoch: int, minibatch: int) -> None:
        """Raise where the plan says so; called by the loop's body or data."""
        if (epoch, minibatch) == self.fail_at:
            raise LoopError(f"at epoch {epoch}, minibatch {minibatch}")

    def loader(self) -> Loader:
        """Return an iterable of the batches, as NumPy arrays."""
        return SizedLoader(self) if self.is_length_known else Loader(self)


class Loader:
    """The batches of an epoch, each time anew; raises `LoopError` where the plan says so."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.epoch = -1

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        self.epoch += 1
        for minibatch, batch in enumerate(batches(self.plan.minibatches)):
            self.plan.fail_if_due(self.epoch, minibatch)
            yield batch


class SizedLoader(Loader):
    """One that tells how many there are."""

    def __len__(self) -> int:
        return self.plan.minibatches


@dataclass(frozen=True, slots=True)
class Subject:
    """A training loop of a framework with our adapter, or one written by hand.

    Attributes:
        name: for the tests' names.
        new_model: makes what is given to `Callbacks`; it can be saved and loaded.
        train: trains the linear problem (see `tests.support.linear_problem`) as the plan says.
        has_minibatches: False where an epoch has none: a boosting round. The problem may be another then.
        has_loss: whether the model is a wrapper that computes the mean squared error of pairs.
        needs_guard: whether the loop tells nobody that it raised: `with callbacks:` is to be around it.
        stops_within_epochs: whether a vote can end an epoch before its last minibatch.
        runs_without_length: whether it runs also where nobody knows the length of an epoch.
        refuses_empty: what the framework itself raises where an epoch has no minibatch; None: it runs.
        heard_of_empty: what is published of three such epochs, as `tests.support.runs.Sentence` writes it.
        is_interrupted_by: what comes out of the framework after Ctrl-C.
        warns: how messages begin with which the framework warns of itself or of so small a problem.
    """

    name: str
    new_model: Callable[[], Any]
    train: Callable[[Callbacks, Plan], None]
    has_minibatches: bool = True
    has_loss: bool = True
    needs_guard: bool = False
    stops_within_epochs: bool = True
    runs_without_length: bool = True
    refuses_empty: type[BaseException] | None = None
    heard_of_empty: str = "TEeEeEetC"
    is_interrupted_by: type[BaseException] = KeyboardInterrupt
    warns: tuple[str, ...] = ()


def subjects() -> list[Subject]:
    """Return all subjects: `SUBJECT` of each module in `tests/loops/subjects`."""
    names = sorted(path.stem for path in SUBJECTS.glob("*.py") if path.stem != "__init__")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frameworks warn of each other when they are imported
        return [importlib.import_module(f"tests.loops.subjects.{name}").SUBJECT for name in names]
