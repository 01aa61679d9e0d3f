from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.neon_reference import NEON_DATA
from tests.support.runs import FakeClock, Terminal, quiet
from trainsignal import Callback, Callbacks, ProgressBarCallback, TrainLoggerCallback, TrainMulticostCallback
from trainsignal.errors import ConfigurationError, CostError, MissingAbilityError


@dataclass
class Branch:
    """A cost, with or without branches of its own."""

    cost: Any = 0.0
    costs: list[Branch] = field(default_factory=list)


class Leaf:
    """A cost that has no branches, not even an empty list of them."""

    cost: Any = 0.0


def model_of(*branches: Any, **attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(cost=Branch(costs=list(branches)), **attributes)


def trained(model: Any, costs: Any, *callbacks: Callback, epochs: int = 1) -> Callbacks:
    """Run epochs of minibatches that set these costs, (minibatches, branches), of the leaves in order."""
    leaves = [leaf for branch in model.cost.costs for leaf in (getattr(branch, "costs", None) or [branch])]
    container = quiet(model)
    container.callbacks = list(callbacks)
    with container.training(epochs) as run:
        for _ in run.epochs():
            for row in run.minibatches(costs):
                for leaf, cost in zip(leaves, row, strict=True):
                    leaf.cost = cost
    return container


def test_costs_are_neons() -> None:
    reference = neon_reference.arrays("multicost")
    model = model_of(Leaf(), Leaf(), Leaf(), nbatches=32, ndata=1000)
    container = quiet(model)
    container.callbacks = [TrainMulticostCallback()]
    container.on_train_begin(2)
    costs = iter(reference["branch_costs"])
    for epoch, minibatches in enumerate([32, 31]):
        container.on_epoch_begin(epoch)
        for minibatch in range(minibatches):
            container.on_minibatch_begin(epoch, minibatch)
            for leaf, cost in zip(model.cost.costs, next(costs), strict=True):
                leaf.cost = cost
            container.on_minibatch_end(epoch, minibatch)
        container.on_epoch_end(epoch)
    container.on_train_end()
    data = container.callback_data
    with h5py.File(str(NEON_DATA / "multicost.h5")) as neons:
        for key in ("multicost/train", "multicost/train_allbranches"):
            assert (data[key].shape, data[key].dtype) == (neons[key].shape, neons[key].dtype)
            assert dict(neons[key].attrs).items() <= dict(data[key].attrs).items()
        smoothed = neons["multicost/train"][:63]
    np.testing.assert_allclose(data["multicost/train"][:63], smoothed, rtol=0, atol=1e-5)
    np.testing.assert_allclose(data["multicost/train_allbranches"][:63], reference["branch_costs"])
    assert np.isnan(data["multicost/train"][63:]).all()  # neon's stay 0
    assert np.isnan(data["multicost/train_allbranches"][63:]).all()


def test_each_branch_is_smoothed_over_the_window() -> None:
    data = trained(model_of(Leaf(), Leaf()), [(1, 10), (3, 30), (5, 90)], TrainMulticostCallback(2))
    np.testing.assert_array_equal(data.callback_data["multicost/train"][:], [[1, 10], [2, 20], [4, 60]])


def test_window_runs_on_into_the_next_epoch() -> None:
    data = trained(model_of(Leaf()), [(1,), (3,)], TrainMulticostCallback(2), epochs=2)
    np.testing.assert_array_equal(data.callback_data["multicost/train"][:, 0], [1, 2, 2, 2])


def test_window_goes_on_in_a_resumed_run() -> None:
    before, after, model = TrainMulticostCallback(2), TrainMulticostCallback(2), model_of(Leaf(), Leaf())
    trained(model, [(1, 10), (3, 30)], before)
    container = quiet(model)
    container.callbacks = [after]
    with container.training(1) as run:
        after.load_state_dict(before.state_dict())
        for _ in run.epochs():
            for leaf, cost in zip(model.cost.costs, (5, 50), strict=True):
                leaf.cost = cost
            for _ in run.minibatches(range(1)):
                pass
    np.testing.assert_array_equal(container.callback_data["multicost/train"][:], [[4, 40]])


def test_nan_is_in_its_branch_until_it_leaves_the_window() -> None:
    costs = [(1, 1), (np.nan, 1), (3, 1), (5, 1)]
    data = trained(model_of(Leaf(), Leaf()), costs, TrainMulticostCallback(2))
    expected = [[1, 1], [np.nan, 1], [np.nan, 1], [4, 1]]
    np.testing.assert_array_equal(data.callback_data["multicost/train"][:], expected)


def test_branches_of_any_nesting_have_each_its_own_cost() -> None:
    a, b, c, d = Leaf(), Leaf(), Leaf(), Leaf()
    inner = SimpleNamespace(cost=5.0, costs=[b, SimpleNamespace(cost=7.0, costs=[c, d])])
    a.cost, b.cost, c.cost, d.cost = 1.0, 2.0, 3.0, 4.0
    data = trained(model_of(a, inner), [], TrainMulticostCallback())
    assert data.callback_data["multicost/train"].shape[1] == 2
    assert data.callback_data["multicost/train_allbranches"].shape[1] == 4
    container = quiet(model_of(a, inner))
    container.callbacks = [TrainMulticostCallback()]
    with container.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(1)):
                pass
    np.testing.assert_array_equal(container.callback_data["multicost/train"][:], [[1, 5]])
    np.testing.assert_array_equal(container.callback_data["multicost/train_allbranches"][:], [[1, 2, 3, 4]])


@pytest.mark.parametrize(
    "kind", [float, np.float32, lambda x: np.array([[x]])], ids=["float", "f4", "(1, 1)"]
)
def test_cost_comes_in_any_form(kind: Any) -> None:
    data = trained(model_of(Leaf(), Leaf()), [(kind(1), kind(2))], TrainMulticostCallback())
    np.testing.assert_array_equal(data.callback_data["multicost/train"][:], [[1, 2]])


def test_cost_that_is_no_number_is_refused() -> None:
    with pytest.raises(CostError, match=r"a branch of model\.cost\.costs has a cost that is not one number"):
        trained(model_of(Leaf(), Leaf()), [(1, None)], TrainMulticostCallback())


def test_branch_with_an_empty_list_of_branches_has_none() -> None:
    data = trained(model_of(Branch(), Leaf()), [(1, 2)], TrainMulticostCallback())
    np.testing.assert_array_equal(data.callback_data["multicost/train_allbranches"][:], [[1, 2]])


@pytest.mark.parametrize("cost", [Leaf(), Branch()], ids=["no list", "empty list"])
def test_model_with_one_cost_is_refused_before_the_first_epoch(cost: Any) -> None:
    container = quiet(SimpleNamespace(cost=cost))
    container.callbacks = [TrainMulticostCallback()]
    with pytest.raises(MissingAbilityError, match=r"has none.*Callbacks\(multicost=True\)"):
        container.on_train_begin(1)


def test_window_of_no_width_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="wsz=0"):
        TrainMulticostCallback(0)


def test_progress_and_log_show_several_costs_without_a_smoothed_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    screen = Terminal()
    bar = ProgressBarCallback(stream=screen, clock=FakeClock(step=1.0))
    logger = TrainLoggerCallback(minibatch_freq=2)
    model = model_of(Leaf(), Leaf(), total_cost=np.array([[1.5]]))
    with caplog.at_level("INFO", logger="trainsignal"):
        trained(model, [(1, 10), (3, 30)], bar, logger, TrainMulticostCallback())
    shown = re.findall(r"batches, (\(.*?\)) costs, ", screen.getvalue())
    assert list(dict.fromkeys(shown)) == ["(1.00, 10.00)", "(2.00, 20.00)"]
    assert caplog.messages[1:] == [
        "Epoch 0 Minibatch 1 complete. Train cost: (2.000000, 20.000000)",
        "Epoch 0 complete.  Train Cost 1.500000.",
    ]


def test_progress_line_is_neons() -> None:
    console = (NEON_DATA / "multicost.console.txt").read_text(encoding="utf-8")
    neons = re.findall(r"Epoch 0   \[Train \|█+\|   32/32   batches, .* costs, ", console)
    costs = neon_reference.arrays("multicost")["branch_costs"][:32]
    screen = Terminal()
    bar = ProgressBarCallback(stream=screen, clock=FakeClock())
    trained(model_of(Leaf(), Leaf(), Leaf()), costs, bar, TrainMulticostCallback())
    assert len(neons) == 1
    last = re.split(r"[\r\n]+", screen.getvalue().strip())[-1]
    ours = re.sub(r"32/32 +batches", "32/32   batches", last)
    assert ours.startswith(neons[0])
