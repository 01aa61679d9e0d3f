"""`BoostingRun`: what the adapters of gradient boosting libraries share. Knows no such library.

A boosting round is an epoch without minibatches.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from trainsignal import keys
from trainsignal.container import Callbacks
from trainsignal.errors import ConfigurationError, WiringError, did_you_mean
from trainsignal.loop_driver import LoopDriver

_logger = logging.getLogger(__name__)


@runtime_checkable
class TakesBooster(Protocol):
    """The model stands for a booster, which is there only once training has begun."""

    def take_booster(self, booster: Any) -> None:
        """Stand for this booster from now on.

        Raises:
            ConfigurationError: it is none of the library that the model is of.
        """
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What a library found in one round with one metric on one data set.

    Attributes:
        data: the library's name of the data set.
        metric: its name of the metric.
        value: what it found; in a cross-validation the mean over the folds.
        higher_is_better: whether it is; None where the library does not tell.
        deviation: standard deviation over the folds; None outside a cross-validation.
    """

    data: str
    metric: str
    value: float
    higher_is_better: bool | None = None
    deviation: float | None = None

    @property
    def name(self) -> str:
        """The name under which it is reported: "valid-rmse"."""
        return f"{self.data}-{self.metric}".replace("/", "_")


class BoostingRun:
    """Drives a `Callbacks` object from the rounds of a booster."""

    def __init__(self, callbacks: Callbacks, adapter: str, framework: str) -> None:
        """Store what is driven.

        Args:
            callbacks: the callbacks.
            adapter: name of the adapter's class, for messages.
            framework: name of the file in `models/` whose wrapper fits.

        Raises:
            TypeError: `callbacks` is no `Callbacks` object.
        """
        self._driver = LoopDriver(callbacks, framework)
        self._adapter = adapter
        self._has_warned = False
        self._unchecked_loss: str | None = None

    def begin(self, booster: Any, rounds: int | None, loss: str | None) -> None:
        """Begin the run, with a model that stands for `booster`.

        Args:
            booster: what is trained.
            rounds: how many there will be, those before a resumption included; None where unknown.
            loss: name of the result that becomes "cost/loss"; None: none does.

        Raises:
            ConfigurationError: the model is of another library, or a resumed run has an unknown length.
            TrainSignalError: what is wrong with the wiring, the files or the model.
        """
        driver = self._driver
        self._unchecked_loss = loss
        self._hand_over(booster)
        try:
            driver.begin(rounds, 0, loss=loss)
        except WiringError as error:
            if loss is None and any(keys.LOSS in one.reads for one in driver.callbacks.callbacks):
                error.add_note(
                    f"{self._adapter}(callbacks, loss='valid-rmse') makes the metric rmse on the data set "
                    f"'valid' the series {keys.LOSS!r}"
                )
            raise
        if rounds is None and driver.run.is_resumed:
            self._fail(
                f"a resumed run must know when all its rounds are done: {self._adapter}(..., epochs=100)"
            )

    def begin_round(self) -> bool:
        """Begin the next round, and return whether there is one to do."""
        if self._driver.should_stop("epoch"):
            return False
        self._driver.begin_epoch()
        return True

    def begin_round_if_announced(self) -> bool:
        """Begin the next round, if it was announced; return whether to boost, unannounced rounds too.

        For libraries that do not tell how many rounds there are: what a user said of them may be wrong.
        """
        if self.was_asked_to_stop():
            return False
        if not self.begin_round() and not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "there are more rounds than epochs=%d said: callbacks do not hear of them",
                self._driver.run.total_epochs,
            )
        return True

    @property
    def is_in_round(self) -> bool:
        """Whether a round has begun and not ended."""
        return self._driver.run.is_in_epoch

    def end_round(self, results: Iterable[Result]) -> None:
        """End the round that is open, if any.

        Raises:
            ConfigurationError: the loss is not among the results, or higher is better there.
        """
        if not self.is_in_round:
            return
        values: dict[str, float] = {}
        directions: dict[str, bool] = {}
        for result in results:
            values[result.name] = result.value
            if result.deviation is not None:
                values[f"{result.name}-std"] = result.deviation
            if result.higher_is_better is not None:
                directions[result.name] = result.higher_is_better
        self._check_loss(values, directions)
        self._driver.report(values, higher_is_better=directions)
        self._driver.end_epoch()

    def should_stop(self) -> bool:
        """Return whether there is to be no other round."""
        return self._driver.should_stop("epoch")

    def was_asked_to_stop(self) -> bool:
        """Return whether somebody voted to stop, or a resumed run is complete."""
        run = self._driver.run
        return run.should_stop("epoch") or (run.is_resumed and self.should_stop())

    def end(self, booster: Any) -> None:
        """End the run, with a model that stands for `booster`."""
        self._hand_over(booster)
        self._driver.end()

    def _hand_over(self, booster: Any) -> None:
        if isinstance(self._driver.model, TakesBooster):
            self._driver.model.take_booster(booster)

    def _check_loss(self, values: Mapping[str, float], directions: Mapping[str, bool]) -> None:
        """Refuse, in the first round, a loss that is none."""
        loss, self._unchecked_loss = self._unchecked_loss, None
        if loss is None:
            return
        if loss not in values:
            told = f"these are: {', '.join(values)}" if values else "none is: no data set is evaluated"
            self._fail(f"loss={loss!r} is not reported; {told}.{did_you_mean(loss, values)}")
        if directions.get(loss):
            self._fail(
                f"loss={loss!r}: higher is better there, and {keys.LOSS!r} is for what is better when "
                f"lower. Name another, and let callbacks read {keys.metric(loss)!r}."
            )

    def _fail(self, message: str) -> None:
        """Close the run and say why; without a `with` block nobody else would close it.

        Raises:
            ConfigurationError: always.
        """
        error = ConfigurationError(message)
        self._driver.failed(error)
        raise error
