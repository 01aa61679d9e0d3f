"""`XGBoostModel`: a booster of XGBoost as the model of callbacks. Imports XGBoost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from trainsignal.abilities import State
from trainsignal.errors import CheckpointError
from trainsignal.extras import require
from trainsignal.wrapped_booster import WrappedBooster, check_fits

xgboost: Any = require("xgboost", extra="xgboost", user="trainsignal.models.xgboost", at_least="3.2")


class XGBoostModel(WrappedBooster):
    """Stands for the booster that XGBoost makes when training begins.

    Give it to `Callbacks`; `trainsignal.loops.xgboost.XGBoostLoop` tells it which booster is trained. So
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
        super().__init__("xgboost", xgboost.Booster, loss)
        self.optimizer = BoosterRate(self)

    def predict(self, inputs: Any) -> Any:
        """Return (samples,) or (samples, classes) float32: what the objective predicts.

        Args:
            inputs: (samples, features), whatever XGBoost takes; an `xgboost.DMatrix` saves making one.
        """
        return self.booster.predict(
            inputs if isinstance(inputs, xgboost.DMatrix) else xgboost.DMatrix(inputs)
        )

    def serialize(self, *, keep_states: bool = True) -> State:
        """Return the booster in XGBoost's own format; there is no other state to keep or to leave out."""
        return self._packed(self.booster.save_raw("ubj"))

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Take back what `serialize` gave: into the booster at hand, which keeps its training parameters.

        Raises:
            CheckpointError: it is of another kind of model, damaged, or of other features, classes or
                objective than the booster at hand.
        """
        content = bytearray(self._unpacked(state))
        try:
            saved = xgboost.Booster(model_file=content)
        except xgboost.core.XGBoostError as error:
            raise CheckpointError(f"XGBoost cannot read the checkpoint's booster: {error}") from error
        if self._booster is None:
            self._booster = saved
            return
        before = _configuration(self._booster)
        check_fits(_properties(_configuration(saved)), _properties(before))
        self._booster.load_model(content)
        _restore_parameters(self._booster, before)


class BoosterRate:
    """The booster's learning rate, under neon's name."""

    def __init__(self, model: XGBoostModel) -> None:
        self._model = model

    @property
    def learning_rate(self) -> float:
        """Factor of each new tree, or of each step of a linear booster."""
        found = _find(_configuration(self._model.booster)["learner"]["gradient_booster"], "learning_rate")
        return float(found)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._model.booster.set_param("learning_rate", value)


def wrapper_hint(model: object) -> str | None:
    """Return how to wrap `model`; None where it is none of XGBoost's."""
    if isinstance(model, (xgboost.Booster, xgboost.XGBModel)):
        return "XGBoostModel() from trainsignal.models.xgboost, before there is any booster"
    return None


def _configuration(booster: Any) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(booster.save_config())
    return configuration


def _properties(configuration: dict[str, Any]) -> dict[str, object]:
    """Return what tells boosters apart that cannot take each other's place."""
    learner = configuration["learner"]
    sizes = learner["learner_model_param"]
    return {
        "features": int(sizes["num_feature"]),
        "classes": int(sizes["num_class"]),
        "targets": int(sizes["num_target"]),
        "objective": learner["objective"]["name"],
        "booster": learner["gradient_booster"]["name"],
    }


def _restore_parameters(booster: Any, before: dict[str, Any]) -> None:
    """Give a booster the training parameters back that `load_model` has set to their defaults.

    Args:
        booster: has loaded a model.
        before: its configuration until then.
    """
    own = before["learner"]["gradient_booster"]
    if own["name"] == "gblinear":  # whose updater does not look at the configuration
        booster.set_param(own["updater"]["linear_train_param"])
    else:
        booster.load_config(json.dumps(before))


def _find(values: dict[str, Any], name: str) -> Any:
    """Return the entry of that name in nested dicts; None where there is none."""
    if name in values:
        return values[name]
    inner = (_find(cast("dict[str, Any]", one), name) for one in values.values() if isinstance(one, dict))
    return next((found for found in inner if found is not None), None)
