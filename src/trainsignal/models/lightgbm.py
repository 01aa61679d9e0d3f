"""`LightGBMModel`: a booster of LightGBM as the model of callbacks. Imports LightGBM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from trainsignal.abilities import State
from trainsignal.checkpoint import load_state
from trainsignal.errors import CheckpointError, ConfigurationError
from trainsignal.extras import require
from trainsignal.files import expand
from trainsignal.wrapped_booster import WrappedBooster, check_fits

lightgbm: Any = require("lightgbm", extra="lightgbm", user="trainsignal.models.lightgbm", at_least="4.7")

_ALIASES: Final = ("learning_rate", "shrinkage_rate", "eta")
"""Of the learning rate, in the order in which LightGBM looks for them. Source: its manual, "Parameters"."""

_DEFAULT_RATE: Final = 0.1
_ALL: Final = -1  # "all rounds", whatever `best_iteration` is


class LightGBMModel(WrappedBooster):
    """Stands for the booster that LightGBM makes when training begins.

    Give it to `Callbacks`; `trainsignal.loops.lightgbm.LightGBMLoop` tells it which booster is trained. So
    callbacks can save and load it, evaluate it on pairs (inputs, targets), and set its learning rate.

    Attributes:
        optimizer: its `learning_rate` is the booster's.
    """

    def __init__(self, *, loss: Callable[[Any, Any], Any] | None = None) -> None:
        """Begin without a booster.

        Args:
            loss: function (outputs, targets) to their mean loss, for `LossCallback`; None: none.

        Raises:
            ConfigurationError: `loss` cannot be called.
        """
        super().__init__("lightgbm", lightgbm.Booster, loss)
        self.optimizer = BoosterRate(self)

    def predict(self, inputs: Any) -> Any:
        """Return (samples,) or (samples, classes) float64: what the objective predicts.

        Args:
            inputs: (samples, features), whatever LightGBM predicts for; no `lightgbm.Dataset`.
        """
        return self.booster.predict(inputs)

    def serialize(self, *, keep_states: bool = True) -> State:
        """Return all rounds in LightGBM's own format; there is no other state to keep or to leave out."""
        return self._packed(self.booster.model_to_string(num_iteration=_ALL).encode())

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Take back what `serialize` gave.

        A booster in training can only go back to an earlier state of its own; any other was to be given to
        LightGBM as `init_model`.

        Raises:
            CheckpointError: it is of another kind of model, damaged, or of other features or classes than the
                booster at hand.
            ConfigurationError: it is of rounds that the booster in training does not have.
        """
        saved = _booster(self._unpacked(state))
        own = self._booster
        if own is not None:
            check_fits(_properties(saved), _properties(own))
        if own is None or not _is_in_training(own):
            self._booster = saved
            return
        rounds = saved.current_iteration()
        if not _begins_with(own, saved):
            raise ConfigurationError(
                f"the booster in training does not have the {rounds} rounds of the checkpoint, and LightGBM "
                "takes them up only when training begins: pass init_model=saved_booster(path), from "
                "trainsignal.models.lightgbm, to train or fit"
            )
        for _ in range(own.current_iteration() - rounds):
            own.rollback_one_iter()


class BoosterRate:
    """The booster's learning rate, under neon's name."""

    def __init__(self, model: LightGBMModel) -> None:
        self._model = model

    @property
    def learning_rate(self) -> float:
        """Factor of each new tree."""
        parameters: dict[str, Any] = self._model.booster.params
        return float(next((parameters[name] for name in _ALIASES if name in parameters), _DEFAULT_RATE))

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._model.booster.reset_parameter({"learning_rate": value})


def saved_booster(path: str | Path, *, trust_pickle: bool = False) -> Any:
    """Return the booster of a checkpoint, as `init_model` of a resumed run; None where there is no such file.

    Args:
        path: of the checkpoint.
        trust_pickle: allow it to be a pickle, which can run any code when it is loaded.

    Raises:
        CheckpointError: it cannot be read, or holds no booster of LightGBM.
    """
    file = expand(path)
    if not file.exists():
        return None
    model = LightGBMModel()
    model.deserialize(load_state(file, trust_pickle=trust_pickle))
    return model.booster


def wrapper_hint(model: object) -> str | None:
    """Return how to wrap `model`; None where it is none of LightGBM's."""
    if isinstance(model, (lightgbm.Booster, lightgbm.LGBMModel)):
        return "LightGBMModel() from trainsignal.models.lightgbm, before there is any booster"
    return None


def _booster(content: bytes) -> Any:
    """Return a booster of LightGBM's own format.

    Raises:
        CheckpointError: LightGBM cannot read it.
    """
    try:
        return lightgbm.Booster(model_str=content.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise CheckpointError(f"LightGBM cannot read the checkpoint's booster: {error}") from error


def _is_in_training(booster: Any) -> bool:
    """Return whether the booster has its training set, which `train` takes from it at the end."""
    return hasattr(booster, "train_set")


def _properties(booster: Any) -> dict[str, object]:
    """Return what tells boosters apart that cannot take each other's place."""
    return {"features": booster.num_feature(), "trees a round": booster.num_model_per_iteration()}


def _begins_with(booster: Any, other: Any) -> bool:
    """Return whether the first rounds of a booster are those of another, to the last digit."""
    trees = _trees(other)
    return _trees(booster)[: len(trees)] == trees


def _trees(booster: Any) -> list[str]:
    """Return what LightGBM writes of each tree."""
    text: str = booster.model_to_string(num_iteration=_ALL).partition("end of trees")[0]
    return [tree.strip() for tree in text.split("\nTree=")[1:]]
