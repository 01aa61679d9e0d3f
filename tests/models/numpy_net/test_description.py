from __future__ import annotations

from trainsignal.models.numpy_net import CrossEntropyMulti, GeneralizedCost, GradientDescentMomentum
from trainsignal.models.numpy_net.description import describe


def test_dataclass_is_described_by_its_constructors_arguments() -> None:
    assert describe(GradientDescentMomentum(0.1, 0.9)) == {
        "type": "trainsignal.models.numpy_net.optimizers.GradientDescentMomentum",
        "config": {
            "learning_rate": 0.1,
            "momentum_coef": 0.9,
            "wdecay": 0.0,
            "gradient_clip_value": None,
        },
    }


def test_parts_within_parts_are_described_too_and_results_are_not() -> None:
    assert describe(GeneralizedCost(CrossEntropyMulti())) == {
        "type": "trainsignal.models.numpy_net.costs.GeneralizedCost",
        "config": {
            "costfunc": {"type": "trainsignal.models.numpy_net.costs.CrossEntropyMulti", "config": {}}
        },
    }


class OwnOptimizer:
    pass


def test_other_objects_are_described_by_their_class_alone() -> None:
    assert describe(OwnOptimizer()) == {"type": f"{__name__}.OwnOptimizer", "config": {}}
