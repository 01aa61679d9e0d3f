"""What an estimator has learned, as plain values: fitted attributes, its optimizer, its random generators.

Nothing is pickled: plain values and arrays are saved, and a few objects of scikit-learn's, listed here, by
their attributes. How the estimator was made is not loaded but compared.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import numpy as np

from trainsignal.abilities import State
from trainsignal.errors import CheckpointError
from trainsignal.models.sklearn.framework import utils
from trainsignal.plain_values import NotPlainError, decode, encode, is_array, is_generator, set_state

_PARTS: Final[Mapping[str, str]] = {
    "AdamOptimizer": "sklearn.neural_network._stochastic_optimizers",
    "LabelBinarizer": "sklearn.preprocessing._label",
    "SGDOptimizer": "sklearn.neural_network._stochastic_optimizers",
}
"""Classes of objects that fitted attributes may hold, and where they are: those of MLPClassifier."""

_STATES: Final = ("_optimizer", "_random_state", "random_state_")
"""Attributes that only further training needs."""

_MADE_ANEW: Final = frozenset(
    (
        "_callback_fit_ctx", "_loss_function_", "_metadata_request", "_parent_callback_ctx", "_skl_callbacks",
        "_skl_callbacks_to_teardown", "_sklearn_output_config",
    )
)  # fmt: skip
"""Attributes that are not learned: set by the user's script, or at each `partial_fit`."""

_FREE: Final = frozenset(("max_iter", "n_iter_no_change", "n_jobs", "tol", "verbose", "warm_start"))
"""Parameters that may differ from the checkpoint's: how long to train, and how to tell of it."""

_SIZES: Final = ("n_features_in_", "n_outputs_", "classes_")
"""Attributes that say for which data an estimator was fitted."""


@dataclass(frozen=True, slots=True)
class FittedState:
    """What one estimator has learned.

    Attributes:
        class_name: of the estimator.
        parameters: those of its constructor that are plain values, by name, as text.
        learned: fitted attributes by name, encoded.
        states: those that only further training needs, encoded.
        generators: states of the random generators among the parameters, by the parameter's name.
    """

    class_name: str
    parameters: Mapping[str, str]
    learned: Mapping[str, Any]
    states: Mapping[str, Any]
    generators: Mapping[str, Any]

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Return what an estimator has learned, arrays copied.

        Raises:
            CheckpointError: one of its attributes is neither plain nor known here.
        """
        given = estimator.get_params(deep=False)
        attributes = _encode_all(estimator)
        return cls(
            type(estimator).__qualname__,
            {name: repr(value) for name, value in given.items() if _is_comparable(value)},
            {name: value for name, value in attributes.items() if name not in _STATES},
            {name: value for name, value in attributes.items() if name in _STATES},
            {name: encode(value) for name, value in given.items() if is_generator(value)},
        )

    @classmethod
    def from_plain(cls, plain: State) -> Self:
        """Return what `to_plain` gave; without the states, if they were left out.

        Raises:
            CheckpointError: it is something else.
        """
        try:
            made, training = plain["estimator"], plain.get("training", {"states": {}, "generators": {}})
            return cls(
                made["class"],
                made["parameters"],
                plain["learned"],
                training["states"],
                training["generators"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"the checkpoint was not made by a SklearnModel: no entry {error}"
            ) from error

    def to_plain(self, *, keep_states: bool) -> dict[str, Any]:
        """Return it as nested dicts of plain values."""
        plain: dict[str, Any] = {
            "estimator": {"class": self.class_name, "parameters": dict(self.parameters)},
            "learned": dict(self.learned),
        }
        if keep_states:
            plain["training"] = {"states": dict(self.states), "generators": dict(self.generators)}
        return plain

    def check(self, estimator: Any) -> None:
        """Refuse another estimator than the one that learned this.

        Raises:
            CheckpointError: of another class, with other parameters, or fitted on data of another shape.
        """
        name = type(estimator).__qualname__
        if name != self.class_name:
            raise CheckpointError(f"the checkpoint is of a {self.class_name}, the model is a {name}")
        given = {key: repr(value) for key, value in estimator.get_params(deep=False).items()}
        differences = [
            f"{key}={text} in the checkpoint, {given.get(key, 'unknown')} in the model"
            for key, text in self.parameters.items()
            if key not in _FREE and given.get(key) != text
        ]
        fitted = _fitted(estimator)
        for key in _SIZES:
            saved = _decode(self.learned[key]) if key in self.learned else None
            if saved is not None and key in fitted and not np.array_equal(saved, fitted[key]):
                differences.append(f"{key} is {saved} in the checkpoint, {fitted[key]} in the model")
        if differences:
            raise CheckpointError(f"the checkpoint is of another {name}: {'; '.join(differences)}")

    def give_to(self, estimator: Any, *, load_states: bool) -> None:
        """Set the fitted attributes of an estimator, and remove those that it has beside them.

        Args:
            estimator: that `check` accepts.
            load_states: what only further training needs, too; else the estimator keeps its own.
        """
        encoded = {**self.learned, **self.states} if load_states else self.learned
        attributes = _decode_all(encoded)
        for name in _fitted(estimator):
            if name not in attributes and (load_states or name not in _STATES):
                delattr(estimator, name)
        for name, value in attributes.items():
            setattr(estimator, name, value)
        given = estimator.get_params(deep=False)
        for name, state in self.generators.items() if load_states else ():
            if is_generator(given.get(name)):
                set_state(given[name], _state(state))


def _fitted(estimator: Any) -> dict[str, Any]:
    """Return the attributes that training has set."""
    given = estimator.get_params(deep=False)
    there: dict[str, Any] = estimator.__dict__
    return {name: value for name, value in there.items() if name not in given and name not in _MADE_ANEW}


def _is_comparable(value: Any) -> bool:
    """Return whether a parameter is the same in another process: no generator, no function."""
    if is_generator(value):
        return False
    try:
        encode(value)
    except NotPlainError:
        return False
    return True


def _encode_all(estimator: Any) -> dict[str, Any]:
    """Return the fitted attributes, encoded; an array of two names, as the averages of SGD, is one again."""
    encoded: dict[str, Any] = {}
    names: dict[int, str] = {}
    for name, value in _fitted(estimator).items():
        first = names.setdefault(id(value), name) if is_array(value) else name
        encoded[name] = _encode(value, name, estimator) if first == name else {"same as": first}
    return encoded


def _decode_all(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `_encode_all` was given."""
    values = {name: _decode(value) for name, value in encoded.items() if "same as" not in value}
    values.update({name: values[value["same as"]] for name, value in encoded.items() if "same as" in value})
    return values


def _encode(value: Any, path: str, estimator: Any) -> dict[str, Any]:
    """Return what stands for the value of an attribute in a checkpoint."""
    if value is utils.check_random_state(None):
        return {"generator": "global"}  # whose state the checkpoint of a run has anyway
    if is_array(value) and value.dtype == object and all(isinstance(item, str) for item in value.flat):
        return {"text": value.astype(str)}  # names of columns or classes, from a data frame
    kind = cast("Any", type(value))
    if _PARTS.get(kind.__name__) == kind.__module__:
        inside: dict[str, Any] = value.__dict__
        attributes = {name: _encode(item, f"{path}.{name}", estimator) for name, item in inside.items()}
        return {"part": kind.__name__, "attributes": attributes}
    try:
        return {"value": encode(value)}
    except NotPlainError as error:
        raise CheckpointError(
            f"{type(estimator).__name__}.{path} is a {kind.__name__}, which cannot be saved ({error}): "
            "checkpoints hold plain values and arrays. Leave out the callbacks that save this model."
        ) from error


def _decode(encoded: Any) -> Any:
    """Return a copy of the value for which `_encode` gave this."""
    if "generator" in encoded:
        return utils.check_random_state(None)
    if "text" in encoded:
        return encoded["text"].astype(object)
    if "part" in encoded:
        kind: Any = getattr(importlib.import_module(_PARTS[encoded["part"]]), encoded["part"])
        part = kind.__new__(kind)
        for name, item in encoded["attributes"].items():
            setattr(part, name, _decode(item))
        return part
    return copy.deepcopy(decode(encoded["value"]))


def _state(encoded: Any) -> Any:
    """Return the state of a random generator that was encoded."""
    return decode(encoded["state"])
