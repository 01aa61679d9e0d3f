"""`LightGBMLoop`: plugs a `Callbacks` object into LightGBM's training; a boosting round is an epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from trainsignal import keys
from trainsignal.boosting import BoostingRun, Result
from trainsignal.container import Callbacks
from trainsignal.errors import ConfigurationError
from trainsignal.extras import require

lightgbm: Any = require("lightgbm", extra="lightgbm", user="trainsignal.loops.lightgbm", at_least="4.7")

_logger = logging.getLogger(__name__)

_STOP_ORDER: Final = 25
"""After LightGBM's `record_evaluation` (20), and before its `early_stopping` (30).

So the run ends by itself although that one raises in the last round; and the best round of a training that a
vote ends is its last, as what callbacks have put back then has no more rounds.
"""

_MAXIMIZED_IN_SILENCE: Final = "r2"
"""LightGBM 4.7 tells of this metric of its own that lower is better, as of all that it has no word for."""


@dataclass(eq=False)
class Part:
    """What LightGBM takes for a callback.

    Attributes:
        call: is given LightGBM's `CallbackEnv`.
        before_iteration: whether that is before a round, or after it.
        order: LightGBM's: callbacks with lower numbers are called first.
    """

    call: Callable[[Any], None]
    before_iteration: bool
    order: float

    def __call__(self, env: Any) -> None:
        """Hand on."""
        self.call(env)


class LightGBMLoop:
    """Turns the rounds of `lightgbm.train`, of an estimator's `fit` or of `lightgbm.cv` into epochs.

        model = LightGBMModel()
        callbacks = Callbacks(model, output_file="run.h5")
        with callbacks:
            lightgbm.train(params, data, 100, valid_sets=[held_out], callbacks=[*LightGBMLoop(callbacks)])

    To LightGBM a callback is called either before or after a round, so this is several: mind the star.
    Evaluation results become "metrics/valid_0-l2", with LightGBM's own names. LightGBM tells callbacks
    nothing when training raises, nor when its own early stopping ends it, so the `with` block is what closes
    the run then. A vote to stop ends training after the round; `best_iteration` is then the last round's.

    A resumed run needs a `LightGBMModel`, and the rounds of before as `init_model`: LightGBM takes them up
    only when training begins. `num_boost_round` stays the number of all rounds.

        callbacks = Callbacks(LightGBMModel(), save_path="run.h5", resume=True)
        with callbacks:
            lightgbm.train(..., init_model=saved_booster("run.h5"), callbacks=[*LightGBMLoop(callbacks)])
    """

    before_iteration = True  # so that a forgotten star is told of before the first round

    def __init__(self, callbacks: Callbacks, *, loss: str | None = None) -> None:
        """Store what to drive.

        Args:
            callbacks: the callbacks.
            loss: name of the evaluation result that becomes the series "cost/loss", "valid_0-l2" for the
                metric l2 on the data set "valid_0"; None: the first metric of the first validation set,
                where that is better when lower.

        Raises:
            TypeError: `callbacks` is no `Callbacks` object.
        """
        self._run = BoostingRun(callbacks, type(self).__name__, "lightgbm")
        self._loss = loss

    def __iter__(self) -> Iterator[Part]:
        """Yield what to pass to LightGBM, each in its place among other callbacks.

        An epoch is as short as it can be: it begins after all others that are called before a round, when
        they have set its parameters, and it ends before all that are called after it, as one of these may
        end training without a word to the rest.
        """
        yield Part(self._begin_round, before_iteration=True, order=math.inf)
        yield Part(self._end_round, before_iteration=False, order=-math.inf)
        yield Part(self._stop_if_asked, before_iteration=False, order=_STOP_ORDER)

    def __call__(self, env: Any) -> None:
        """Refuse to be taken for one callback.

        Raises:
            ConfigurationError: always.
        """
        name = type(self).__name__
        raise ConfigurationError(f"{name} is several callbacks: write callbacks=[*{name}(...)], with a star")

    def _begin_round(self, env: Any) -> None:
        """Begin the run, before its first round, and the round."""
        if env.iteration == env.begin_iteration:
            loss = _default_loss(env.model) if self._loss is None else self._loss
            self._run.begin(env.model, env.end_iteration - env.begin_iteration, loss)
        self._run.begin_round()

    def _end_round(self, env: Any) -> None:
        """End the round; where there was none to do, take back what LightGBM did all the same."""
        if not self._run.is_in_round:
            env.model.rollback_one_iter()
        self._run.end_round(_results(env.evaluation_result_list))

    def _stop_if_asked(self, env: Any) -> None:
        """End the run after its last round.

        Raises:
            EarlyStopException: LightGBM has more rounds to do.
        """
        if not self._run.should_stop():
            return
        self._run.end(env.model)
        if env.iteration + 1 < env.end_iteration:
            rounds = _boosters(env.model)[0].current_iteration()
            results = env.evaluation_result_list if rounds == env.iteration + 1 else None  # else: of no more
            raise lightgbm.callback.EarlyStopException(rounds - 1, results or [])


def _boosters(model: Any) -> list[Any]:
    """Return what is trained: one booster, or that of each fold in a cross-validation."""
    return list(model.boosters) if isinstance(model, lightgbm.CVBooster) else [model]


def _results(told: Any) -> list[Result]:
    """Return LightGBM's evaluation results of a round; None: it has none."""
    return [
        Result(data, metric, value, higher_is_better or metric == _MAXIMIZED_IN_SILENCE, *deviation)
        for data, metric, value, higher_is_better, *deviation in told or ()
    ]


def _default_loss(model: Any) -> str | None:
    """Return the name of the first metric of the first validation set, evaluated before the first round.

    None where LightGBM computes none, or where it is better when higher.
    """
    results = _results(_boosters(model)[0].eval_valid())
    if not results:
        return None
    if results[0].higher_is_better:
        _logger.info(
            "%s is better when higher, so it is no loss, and nothing writes %r: pass LightGBMLoop(callbacks, "
            "loss=...) the name of a result that is",
            results[0].name, keys.LOSS,
        )  # fmt: skip
        return None
    return results[0].name
