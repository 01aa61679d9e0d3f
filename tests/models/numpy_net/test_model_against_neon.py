from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.fit_callbacks import QuietCallbacks
from trainsignal.checkpoint import load_state
from trainsignal.errors import UntrustedPickleError
from trainsignal.models.numpy_net import (
    Accuracy,
    CrossEntropyMulti,
    GeneralizedCost,
    GradientDescentMomentum,
    Misclassification,
    Model,
)


class CompareWithNeon(QuietCallbacks):
    """Compares all that neon recorded while it trained the MLP."""

    def __init__(self, model: Model, reference: neon_reference.Arrays) -> None:
        self.model = model
        self.reference = reference
        self.valid_set = neon_reference.data_set(reference, "valid")
        self.costs: list[float] = []
        self.epochs_compared = 0

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        assert self.model.cost is not None
        self.costs.append(self.model.cost.cost)

    def on_epoch_end(self, epoch: int) -> None:
        neon_reference.assert_params_equal(self.model, self.reference, f"w_epoch{epoch:02}", atol=1e-5)
        outputs = [self.model.fprop(x, inference=True) for x, _ in self.valid_set]
        self.valid_set.reset()
        np.testing.assert_allclose(outputs, self.reference[f"eval_outputs/epoch{epoch:02}"], atol=1e-5)
        self._compare_loss(epoch)
        for metric in (Misclassification(), Accuracy()):
            name = f"h5_metrics/{metric.metric_names[0]}"
            if name in self.reference:
                mean = self.model.eval(self.valid_set, metric=metric)
                np.testing.assert_allclose(mean, self.reference[name][epoch], atol=1e-6)
        self.epochs_compared += 1

    def _compare_loss(self, epoch: int) -> None:
        targets = np.eye(10, dtype=np.float32)[self.reference["y_valid"]]
        cost = GeneralizedCost(CrossEntropyMulti())
        loss = cost.get_cost(self.model.get_outputs(self.valid_set).T, targets.T)
        assert loss == pytest.approx(self.reference["h5_cost_loss"][epoch], abs=1e-5)


@pytest.mark.parametrize("scenario", ["mlp", "default_only"])
def test_training_gives_the_costs_weights_and_outputs_of_neon(scenario: str) -> None:
    reference = neon_reference.arrays(scenario)
    model = neon_reference.initialized_mlp(reference)
    callbacks = CompareWithNeon(model, reference)
    epochs = len(reference["total_cost_per_epoch"])
    model.fit(
        neon_reference.data_set(reference, "train"),
        GeneralizedCost(CrossEntropyMulti()),
        GradientDescentMomentum(0.1, momentum_coef=0.9),
        epochs,
        callbacks,
    )
    np.testing.assert_allclose(callbacks.costs, reference["raw_cost"], rtol=0, atol=1e-5)
    assert callbacks.epochs_compared == epochs


def test_checkpoint_of_neon_gives_the_outputs_of_neon() -> None:
    reference = neon_reference.arrays("mlp")
    model = neon_reference.mlp()
    model.load_params(neon_reference.NEON_DATA / "mlp_best.prm", trust_pickle=True)
    neon_reference.assert_params_equal(model, reference, "w_epoch03", atol=0)
    outputs = [model.fprop(x, inference=True) for x, _ in neon_reference.data_set(reference, "valid")]
    np.testing.assert_allclose(outputs, reference["eval_outputs/epoch03"], atol=1e-5)
    assert model.epoch_index == 4
    assert [len(layer.states[0]) for layer in model.layers_to_optimize] == [1, 1, 1, 1]


def test_pickle_of_neon_is_not_read_unless_trusted() -> None:
    with pytest.raises(UntrustedPickleError):
        neon_reference.mlp().load_params(neon_reference.NEON_DATA / "mlp_best.prm")


def test_saved_state_has_the_structure_of_neons() -> None:
    reference = neon_reference.arrays("mlp")
    model = neon_reference.mlp()
    model.fit(
        neon_reference.data_set(reference, "train"),
        GeneralizedCost(CrossEntropyMulti()),
        GradientDescentMomentum(0.1, 0.9),
        1,
        QuietCallbacks(),
    )
    state = model.serialize()
    neons = load_state(neon_reference.NEON_DATA / "mlp_best.prm", trust_pickle=True)
    assert state.keys() == neons.keys()
    assert state["train_input_shape"] == neons["train_input_shape"]
    layers, neons_layers = (saved["model"]["config"]["layers"] for saved in (state, neons))
    assert [outline(layer) for layer in layers] == [outline(layer) for layer in neons_layers]


def outline(layer: dict[str, Any]) -> dict[str, Any]:
    """Return what two saved layers must have in common to be loaded by one another's model."""
    return {
        "kind": layer["type"].rpartition(".")[2],
        "name": layer["config"]["name"],
        "params": {name: values.shape for name, values in layer.get("params", {}).items()},
        "states": [np.shape(values) for values in layer.get("states", [])],
        "keys": layer.keys(),
    }
