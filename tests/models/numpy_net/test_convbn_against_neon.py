"""The network of convolutions with batch normalization, trained beside neon's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.fit_callbacks import QuietCallbacks
from trainsignal.models.numpy_net import (
    BatchNorm,
    CrossEntropyMulti,
    GeneralizedCost,
    GradientDescentMomentum,
    Misclassification,
    Model,
)


class CompareWithNeon(QuietCallbacks):
    """Compares all that neon recorded while it trained; takes over the averages that neon's tuning left."""

    def __init__(self, model: Model, reference: neon_reference.Arrays) -> None:
        self.model = model
        self.reference = reference
        self.valid_set = neon_reference.data_set(reference, "valid", lshape=(1, 8, 8))
        self.costs: list[float] = []
        self.epochs_compared = 0

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        assert self.model.cost is not None
        self.costs.append(float(self.model.cost.cost))

    def on_epoch_end(self, epoch: int) -> None:
        norms = [layer for layer in self.model.layers.layers if isinstance(layer, BatchNorm)]
        for index, norm in enumerate(norms):
            for name in ("gmean", "gvar"):
                key = f"bntune/epoch{epoch:02}/bn{index}_{name}"
                if epoch == 0:  # in the next one, neon moves the averages with the rho that tuning left
                    expected = self.reference[f"{key}_before"]
                    np.testing.assert_allclose(getattr(norm, name), expected, rtol=1e-4, atol=1e-5)
                getattr(norm, name)[...] = self.reference[f"{key}_after"]
        neon_reference.assert_params_equal(self.model, self.reference, f"w_epoch{epoch:02}", atol=1e-5)
        self._compare_evaluation(epoch)
        self.epochs_compared += 1

    def _compare_evaluation(self, epoch: int) -> None:
        outputs = [self.model.fprop(x, inference=True) for x, _ in self.valid_set]
        self.valid_set.reset()
        np.testing.assert_allclose(outputs, self.reference[f"eval_outputs/epoch{epoch:02}"], atol=1e-5)
        targets = np.eye(10, dtype=np.float32)[self.reference["y_valid"]]
        cost = GeneralizedCost(CrossEntropyMulti())
        loss = cost.get_cost(self.model.get_outputs(self.valid_set).T, targets.T)
        assert loss == pytest.approx(self.reference["h5_cost_loss"][epoch], abs=1e-5)
        misclassified = self.model.eval(self.valid_set, metric=Misclassification())
        np.testing.assert_allclose(misclassified, self.reference["h5_metrics/Top1Misclass"][epoch], atol=1e-6)


def test_training_gives_the_costs_weights_and_outputs_of_neon() -> None:
    reference = neon_reference.arrays("convbn")
    model = neon_reference.convbn()
    train_set = neon_reference.data_set(reference, "train", lshape=(1, 8, 8))
    cost = GeneralizedCost(CrossEntropyMulti())
    model.initialize(train_set, cost)
    neon_reference.set_params(model, reference, "w_init")
    callbacks = CompareWithNeon(model, reference)

    model.fit(train_set, cost, GradientDescentMomentum(0.05, 0.9), 2, callbacks)

    np.testing.assert_allclose(callbacks.costs, reference["raw_cost"], rtol=0, atol=1e-5)
    assert callbacks.epochs_compared == 2


@pytest.mark.parametrize("scenario", ["convbn", "deconv"])
def test_printed_network_is_that_of_neon(scenario: str) -> None:
    model = {"convbn": neon_reference.convbn, "deconv": neon_reference.deconv}[scenario]()
    model.initialize(neon_reference.data_set(neon_reference.arrays("convbn"), "train", lshape=(1, 8, 8)))
    console = (neon_reference.NEON_DATA / f"{scenario}.console.txt").read_text(encoding="utf-8")
    assert str(model) in console
