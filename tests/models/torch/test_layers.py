from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.support.runs import hand_loop, quiet
from trainsignal import HistCallback
from trainsignal.abilities import HasBatchStatistics, HasLayers, all_layers
from trainsignal.histogram import log2_histogram
from trainsignal.models.torch import TorchModel
from trainsignal.models.torch.layers import LayerTensor, TorchLayers


def layers(module: torch.nn.Module) -> list[Any]:
    return list(TorchLayers(module).layers)


def test_layers_have_neons_names_for_their_parameters() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Linear(2, 1, bias=False),
        torch.nn.LayerNorm(1), torch.nn.BatchNorm1d(1, affine=False),
    )  # fmt: skip

    found = {layer.name: sorted(layer.params) for layer in layers(module)}

    assert found == {
        "0": ["W", "b"], "1": ["beta", "gamma", "gmean", "gvar"], "2": [], "3": ["W"],
        "4": ["beta", "gamma"], "5": ["gmean", "gvar"],
    }  # fmt: skip


def test_other_parameters_keep_pytorchs_names() -> None:
    (layer,) = layers(torch.nn.GRU(1, 1))

    assert sorted(layer.params) == ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"]
    assert layer.weight_ih_l0.shape == (3, 1)


def test_a_container_counts_where_it_has_parameters_of_its_own() -> None:
    module = torch.nn.Sequential(torch.nn.Sequential(torch.nn.MultiheadAttention(2, 1)))

    assert [(layer.name, sorted(layer.params)) for layer in layers(module)] == [
        ("0.0", ["in_proj_bias", "in_proj_weight"]), ("0.0.out_proj", ["W", "b"]),
    ]  # fmt: skip


def test_a_module_without_submodules_is_a_layer_with_the_name_of_its_class() -> None:
    assert [layer.name for layer in layers(torch.nn.Linear(1, 1))] == ["Linear"]


def test_a_parameter_of_a_forbidden_name_is_in_the_params_alone() -> None:
    module = torch.nn.Module()
    for name in ("name", "module", "params"):
        module.register_parameter(name, torch.nn.Parameter(torch.ones(1)))

    (layer,) = layers(module)

    assert (layer.name, layer.module) == ("Module", module)
    assert sorted(layer.params) == ["module", "name", "params"]


def test_what_is_shown_follows_the_module() -> None:
    linear = torch.nn.Linear(2, 1)
    (layer,) = layers(linear)
    linear.weight = torch.nn.Parameter(torch.ones(1, 2))

    before = layer.W.get()
    with torch.no_grad():
        linear.weight.fill_(2)

    np.testing.assert_array_equal(before, [[1, 1]])
    np.testing.assert_array_equal(layer.W[:], [[2, 2]])
    np.testing.assert_array_equal(np.asarray(layer.W), [[2, 2]])
    assert layer.W.dtype == np.float32


def test_assigning_changes_the_parameter_in_place() -> None:
    linear = torch.nn.Linear(2, 1)
    parameter = linear.weight

    LayerTensor(linear, "weight")[:] = np.array([[1.0, 2.0]])

    assert linear.weight is parameter
    assert parameter.tolist() == [[1, 2]]
    assert parameter.requires_grad


def test_a_batch_normalization_has_neons_statistics() -> None:
    module = torch.nn.BatchNorm1d(2, momentum=0.1)
    (layer,) = layers(module)
    assert isinstance(layer, HasBatchStatistics)
    assert layer.rho == 0.9

    layer.rho = 0.0
    module(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))

    np.testing.assert_allclose(layer.gmean.get(), [2, 4])
    np.testing.assert_allclose(layer.gvar.get(), [2, 8])  # unbiased, as PyTorch keeps it


def test_momentum_is_to_the_last_bit_what_it_was_after_rho_is_put_back() -> None:
    for momentum in (0.1, 0.01, 0.3, 0.003, 1.0):
        module = torch.nn.BatchNorm1d(2, momentum=momentum)
        layer = layers(module)[0]
        rho = layer.rho
        layer.rho = 0.0
        layer.rho = rho
        assert module.momentum == momentum


@pytest.mark.parametrize("options", [{"momentum": None}, {"track_running_stats": False}], ids=str)
def test_a_batch_normalization_without_a_moving_average_has_no_rho(options: dict[str, Any]) -> None:
    (layer,) = layers(torch.nn.BatchNorm1d(2, **options))

    assert not isinstance(layer, HasBatchStatistics)


def test_histograms_are_those_of_the_weights() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    model = TorchModel(module)
    assert isinstance(model, HasLayers)
    assert [layer.name for layer in all_layers(model.layers)] == ["0", "1", "2"]
    callbacks = quiet(model)
    callbacks.add_callback(HistCallback(plot_per_mini=False, filter_key=["W", "b"]))

    hand_loop(callbacks, epochs=1)

    group = callbacks.callback_data["hist"]
    assert sorted(group) == ["0_0_W", "0_0_b", "2_2_W", "2_2_b"]
    weights = module[2].weight.detach().numpy()
    np.testing.assert_array_equal(group["2_2_W"][:, 0], log2_histogram(weights)[0])
