from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from tests.support import neon_reference
from tests.support.neon_reference import NEON_DATA, Arrays
from tests.support.runs import fit, quiet
from trainsignal import Callback, Callbacks, HistCallback, SharedData
from trainsignal.errors import ConfigurationError, MissingAbilityError
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    Model,
    Softmax,
)
from trainsignal.shared_data.series import LARGEST_PLANNED_ROWS


class Tensor:
    """A device's numbers, as neon's: to be had by `get()` alone."""

    shape, dtype = (2, 1), np.dtype("f4")

    def __init__(self, values: Any) -> None:
        self._values = np.array(values, "f4")

    def get(self) -> npt.NDArray[np.float32]:
        return self._values


def layer(name: str, **parameters: Any) -> SimpleNamespace:
    return SimpleNamespace(name=name, **parameters)


def model_of(*layers: Any) -> SimpleNamespace:
    """Return a model that shows these layers, as neon's."""
    return SimpleNamespace(layers=SimpleNamespace(layers=list(layers)))


def watched(*callbacks: Callback, model: Any = None, epochs: int | None = 2, minibatches: int = 3) -> Any:
    """Return the shared data after a run in which a parameter is 2**(minibatches done)."""
    weights = np.ones((2, 1), "f4")
    container = quiet(model_of(layer("one", W=weights)) if model is None else model)
    container.callbacks = list(callbacks)
    with container.training(epochs) as run:
        for epoch in run.epochs():
            for _ in run.minibatches(range(minibatches)):
                weights *= 2
            if epoch == 1:
                break
    return container.callback_data


def powers(dataset: Any) -> list[list[int]]:
    """Return for each step the powers of two that were counted."""
    return [(np.flatnonzero(column) - 48).tolist() for column in dataset[:].T]


# neon's own numbers


def mini_set() -> ArrayIterator:
    """Return the training set of the scenario "hist_mini": the first 250 samples of that of "mlp"."""
    reference = neon_reference.arrays("mlp")
    return ArrayIterator(reference["X_train"][:250], reference["y_train"][:250], nclass=10)


def neons_model(reference: Arrays) -> Model:
    """Return a scenario's model with neon's first weights."""
    model = neon_reference.mlp()
    model.initialize(mini_set(), GeneralizedCost(CrossEntropyMulti()))
    neon_reference.set_params(model, reference, "w_init")
    return model


def show(model: Any, reference: Arrays, moment: str) -> None:
    """Give the layers neon's parameters of a moment, as they are recorded: "w_epoch00/07.Linear_0.W"."""
    for key, values in reference.items():
        if key.startswith(f"{moment}/"):
            position, name, attribute = key.removeprefix(f"{moment}/").split(".")
            one = model.layers.layers[int(position)]
            one.name = name
            setattr(one, attribute, values)


def neons_run(reference: Arrays, callback: HistCallback, lengths: list[int]) -> SharedData:
    """Show the callback neon's parameters, at each moment at which neon made histograms."""
    model = model_of(*(layer("without parameters") for _ in range(12)))
    show(model, reference, "w_init")
    model.nbatches, model.ndata = lengths[0], 32 * lengths[0]
    callbacks = quiet(model)
    callbacks.callbacks = [callback]
    callbacks.on_train_begin(len(lengths))
    for epoch, length in enumerate(lengths):
        callbacks.on_epoch_begin(epoch)
        for minibatch in range(length):
            callbacks.on_minibatch_begin(epoch, minibatch)
            show(model, reference, f"w_mb/e{epoch:02d}_m{minibatch:03d}")
            callbacks.on_minibatch_end(epoch, minibatch)
        show(model, reference, f"w_epoch{epoch:02d}")
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()
    return callbacks.callback_data


@pytest.mark.parametrize(
    ("scenario", "callback", "lengths", "histograms"),
    [
        ("hist_mini", HistCallback(True, ["W"]), [8, 8], 4),
        ("mlp", HistCallback(False, ["W"]), [32, 31, 31, 31], 4),
        ("convbn", HistCallback(False, ["W", "gamma", "beta"]), [32, 31], 11),
    ],
    ids=["per minibatch", "per epoch", "several names"],
)
def test_histograms_and_their_layout_are_neons(
    scenario: str, callback: HistCallback, lengths: list[int], histograms: int
) -> None:
    ours = neons_run(neon_reference.arrays(scenario), callback, lengths)
    with h5py.File(str(NEON_DATA / f"{scenario}.h5")) as neons:
        assert dict(ours["hist"].attrs) == dict(neons["hist"].attrs)
        assert set(ours["hist"]) == set(neons["hist"])
        assert len(neons["hist"]) == histograms
        for name, expected in neons["hist"].items():
            np.testing.assert_array_equal(ours["hist"][name][:], expected[:], strict=True, err_msg=name)


def test_training_itself_leads_to_neons_histograms() -> None:
    """The last bits of the weights differ, so a number beside an edge may lie in the next bin."""
    model = neons_model(neon_reference.arrays("hist_mini"))
    callbacks = quiet(model)
    callbacks.callbacks = [HistCallback(True, ["W"])]
    fit(model, callbacks, 2, mini_set())
    with h5py.File(str(NEON_DATA / "hist_mini.h5")) as neons:
        for name, expected in neons["hist"].items():
            difference = np.abs(callbacks.callback_data["hist"][name][:] - expected[:])
            assert difference.sum() <= 8, name


# When


def test_histograms_per_minibatch_have_a_column_for_each() -> None:
    data = watched(HistCallback(True, "W"))
    assert powers(data["hist/one_0_W"]) == [[1], [2], [3], [4], [5], [6]]


def test_histograms_per_epoch_have_a_column_for_each() -> None:
    data = watched(HistCallback(False, "W"))
    assert powers(data["hist/one_0_W"]) == [[3], [6]]


def test_events_of_the_other_kind_are_not_waited_for() -> None:
    assert HistCallback(True, "W").epoch_freq is None
    assert HistCallback(False, "W").minibatch_freq is None


def test_columns_of_other_minibatches_stay_empty() -> None:
    callback = HistCallback(True, "W")
    callback.minibatch_freq = 2
    data = watched(callback)
    assert powers(data["hist/one_0_W"]) == [[], [2], [], [], [5]]
    np.testing.assert_array_equal(data["hist_nan"][:], [np.nan, 0, np.nan, np.nan, 0])


def test_columns_of_other_epochs_stay_empty() -> None:
    callback = HistCallback(False, "W")
    callback.epoch_freq = [1]
    data = watched(callback)
    assert powers(data["hist/one_0_W"]) == [[], [6]]
    np.testing.assert_array_equal(data["hist_nan"][:], [np.nan, 0])


def test_frequency_of_the_other_kind_of_event_changes_nothing() -> None:
    per_epoch, per_minibatch = HistCallback(False, "W"), HistCallback(True, "W")
    per_epoch.minibatch_freq = per_minibatch.epoch_freq = 1
    data = watched(per_epoch, per_minibatch)
    assert powers(data["hist/one_0_W"]) == [[3], [6]]
    assert len(powers(data["hist_2/one_0_W"])) == 6


@pytest.mark.parametrize("plot_per_mini", [True, False], ids=["minibatch", "epoch"])
def test_run_of_unknown_length_has_as_many_columns_as_it_got(plot_per_mini: bool) -> None:
    data = watched(HistCallback(plot_per_mini, "W"), epochs=None)
    steps = 6 if plot_per_mini else 2
    assert data["hist/one_0_W"].shape == (64, steps)
    assert data["hist"].attrs["time_steps"] == steps
    assert len(data["hist_nan"]) == steps
    assert all(data["hist/one_0_W"][:].sum(axis=0) == 2)


def test_run_that_is_too_long_to_plan_for_begins_empty_and_grows() -> None:
    data = watched(HistCallback(False, "W"), epochs=LARGEST_PLANNED_ROWS + 1)
    assert data["hist/one_0_W"].shape == (64, 2)
    assert data["hist"].attrs["time_steps"] == 2


def test_long_run_takes_no_room_before_it_is_there() -> None:
    data = watched(HistCallback(False, "W"), epochs=LARGEST_PLANNED_ROWS)
    assert data["hist/one_0_W"].shape == (64, LARGEST_PLANNED_ROWS)
    data.flush()
    assert data["hist/one_0_W"].id.get_storage_size() < 100_000


# What


def test_parameters_are_found_by_name_and_called_by_layer_and_place() -> None:
    ones = np.ones(3)
    model = model_of(layer("a", W=ones), layer("b", beta=ones, W=None), layer("c", beta=ones, W=ones))
    data = watched(HistCallback(False, ["W", "beta"]), model=model)
    assert list(data["hist"]) == ["a_0_W", "b_1_beta", "c_2_W", "c_2_beta"]


def test_layers_inside_of_layers_are_counted_in_turn() -> None:
    weights = np.ones(3)
    inner = SimpleNamespace(name="block", layers=[layer("b", W=weights), layer("c", W=weights)])
    model = model_of(layer("a", W=weights), inner, [layer("d", W=weights), (layer("e", W=weights),)])
    data = watched(HistCallback(False, "W"), model=model)
    assert list(data["hist"]) == ["a_0_W", "b_1_W", "c_2_W", "d_3_W", "e_4_W"]


def test_tensors_are_fetched() -> None:
    data = watched(HistCallback(False, "W"), model=model_of(layer("a", W=Tensor([[1], [4]]))))
    assert powers(data["hist/a_0_W"]) == [[0, 2], [0, 2]]


def test_slash_in_a_name_makes_no_group() -> None:
    data = watched(HistCallback(False, "W"), model=model_of(layer("block/conv", W=np.ones(3))))
    assert list(data["hist"]) == ["block_conv_0_W"]


def test_more_parameters_than_neon_can_take_have_each_a_histogram() -> None:
    model = model_of(*(layer("one", W=np.ones(1)) for _ in range(4097)))  # neon's limit is 4096
    assert len(watched(HistCallback(False, "W"), model=model, epochs=1, minibatches=1)["hist"]) == 4097


def test_parameter_that_is_bound_anew_is_seen() -> None:
    one = layer("one", W=np.ones(1))

    class Rebinding(Callback):
        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            one.W = np.full(3, 2.0**epoch)

    data = watched(HistCallback(False, "W"), Rebinding(), model=model_of(one))
    assert powers(data["hist/one_0_W"]) == [[0], [1]]
    assert data["hist/one_0_W"][:].sum() == 6


def test_layer_that_gets_its_parameter_later_has_empty_columns_before() -> None:
    late = layer("late", W=None)

    class Allocating(Callback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            late.W = np.ones(3)

    data = watched(HistCallback(False, "W"), Allocating(), model=model_of(layer("a", W=np.ones(3)), late))
    assert powers(data["hist/late_1_W"]) == [[], [0]]


def test_nan_of_all_parameters_are_counted_together() -> None:
    model = model_of(layer("a", W=np.array([np.nan, 1])), layer("b", W=np.array([np.nan, np.nan, np.inf])))
    data = watched(HistCallback(True, "W"), model=model)
    np.testing.assert_array_equal(data["hist_nan"][:], [3] * 6)
    assert data["hist/b_1_W"][:, 0].sum() == 1


@pytest.mark.parametrize(
    ("plot_per_mini", "axis"),
    [(True, {"time_markers": "minibatch"}), (False, {"time_markers": "epoch_freq", "epoch_freq": 1})],
)
def test_series_of_nan_tells_its_axis(plot_per_mini: bool, axis: dict[str, Any]) -> None:
    assert dict(watched(HistCallback(plot_per_mini, "W"))["hist_nan"].attrs) == axis


def test_second_one_writes_to_a_second_group() -> None:
    model = model_of(layer("a", W=np.ones(3)), layer("bn", beta=np.ones(3)))
    data = watched(HistCallback(False, ["W"]), HistCallback(True, ["beta"]), model=model)
    assert list(data["hist"]) == ["a_0_W"]
    assert list(data["hist_2"]) == ["bn_1_beta"]
    assert data["hist"].attrs["time_markers"] == "epoch"
    assert data["hist_2"].attrs["time_markers"] == "minibatch"
    assert len(data["hist_nan"]) == 2
    assert len(data["hist_nan_2"]) == 6


# Errors


@pytest.mark.parametrize("names", [[], "", None, 3, [3], [["W"]]], ids=repr)
def test_filter_without_names_is_refused(names: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"expected names of parameters, such as \['W'\]"):
        HistCallback(False, names)


def test_filter_that_lets_nothing_pass_is_refused_with_the_names_there_are() -> None:
    model = model_of(layer("a", W=np.ones(3), gamma=Tensor([1, 2]), size=3, _own=np.ones(1)))
    with pytest.raises(ConfigurationError) as caught:
        watched(HistCallback(False, ["gama", "w"]), model=model)
    assert str(caught.value) == (
        "filter_key=['gama', 'w']: no layer has a parameter of such a name. They have: W, gamma. "
        "Did you mean 'gamma'? Did you mean 'W'?"
    )


@pytest.mark.parametrize(
    ("name", "hint"), [("w", " Did you mean 'W'?"), ("beta_", " Did you mean 'beta'?"), ("gradient", "")]
)
def test_names_of_the_reference_network_are_those_of_its_parameters(name: str, hint: str) -> None:
    model = Model([Affine(nout=10, init=Gaussian(), batch_norm=True, activation=Softmax())])
    model.initialize(mini_set(), GeneralizedCost(CrossEntropyMulti()))
    with pytest.raises(ConfigurationError) as caught:
        watched(HistCallback(False, [name]), model=model)
    assert str(caught.value).endswith(f"They have: W, beta, gamma, gmean, gvar.{hint}")


def test_layer_whose_params_is_no_dict_tells_its_attributes() -> None:
    model = model_of(layer("bn", params=[np.ones(3)], gamma=np.ones(3)))
    with pytest.raises(ConfigurationError, match="They have: gamma"):
        watched(HistCallback(False, "W"), model=model)


def test_model_without_any_parameter_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="They have: none at all"):
        watched(HistCallback(False, "W"), model=model_of(layer("a")))


@pytest.mark.parametrize("value", ["a text", np.ones(2, "c8"), len], ids=["text", "complex", "function"])
def test_attribute_that_is_no_array_of_real_numbers_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="a_0_W is no array of real numbers"):
        watched(HistCallback(False, "W"), model=model_of(layer("a", W=value)))


def test_model_without_layers_is_refused() -> None:
    with pytest.raises(MissingAbilityError, match="needs a model with layers"):
        watched(HistCallback(False, "W"), model=SimpleNamespace())


# A run that goes on


def test_resumed_run_has_the_columns_of_one_that_was_not_cut(tmp_path: Path) -> None:
    def train(epochs: int, file: str, **options: Any) -> Callbacks:
        model = neons_model(neon_reference.arrays("hist_mini"))
        callbacks = quiet(model, output_file=tmp_path / f"{file}.h5", **options)
        callbacks.add_callback(HistCallback(True, "W"))
        callbacks.add_callback(HistCallback(False, "W"))
        fit(model, callbacks, epochs, mini_set())
        return callbacks

    whole = train(3, "whole").callback_data
    train(2, "cut", save_path=tmp_path / "cut_model.h5")
    resumed = train(3, "cut", save_path=tmp_path / "cut_model.h5", resume=True).callback_data

    for group in ("hist", "hist_2"):
        for name in whole[group]:
            np.testing.assert_array_equal(resumed[group][name][:], whole[group][name][:], err_msg=name)
    np.testing.assert_array_equal(resumed["hist_nan"][:], whole["hist_nan"][:])
