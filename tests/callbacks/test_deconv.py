from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from tests.support import neon_reference
from tests.support.runs import quiet, tiny_model, tiny_set
from trainsignal import DeconvCallback
from trainsignal.errors import ConfigurationError, DataError, MissingAbilityError
from trainsignal.models.numpy_net import Affine, ArrayIterator, BatchNorm, Constant, Conv, Gaussian, Model

Floats = npt.NDArray[np.float32]


class Images:
    """A data set of given minibatches, which counts how many of them were asked for in each iteration."""

    def __init__(self, minibatches: list[Any], ndata: int) -> None:
        self.minibatches = [np.asarray(one, np.float32) for one in minibatches]
        self.ndata = ndata
        self.yielded: list[int] = []

    def __iter__(self) -> Iterator[tuple[Floats, None]]:
        self.yielded.append(0)
        for one in self.minibatches:
            self.yielded[-1] += 1
            yield one, None


def visualized(model: Any, *args: Any, **options: Any) -> Any:
    """Train for an epoch of no minibatches; return the shared data afterwards."""
    callbacks = quiet(model)
    callbacks.add_callback(DeconvCallback(None, *args, **options))
    with callbacks.training(1) as run:
        list(run.epochs())
    return callbacks.callback_data


def one_filter(weights: Any, shape: tuple[int, int, int]) -> Model:
    """Return a network of one convolution with given 1 x 1 filters, (channels, maps)."""
    filters = np.asarray(weights, np.float32)
    model = Model([Conv((1, 1, filters.shape[1]), Constant(0))])
    model.initialize(ArrayIterator(np.ones((1, int(np.prod(shape)))), None, lshape=shape))
    model.layers.layers[0].W[...] = filters  # type: ignore[attr-defined]
    return model


@pytest.fixture(scope="module")
def neons() -> neon_reference.Arrays:
    return neon_reference.arrays("deconv")


@pytest.fixture(scope="module")
def ours(neons: neon_reference.Arrays) -> Any:
    """Search the minibatches that neon did: five, though it was asked for four of ten."""
    model = neon_reference.trained_deconv(neons)
    return visualized(model, neon_reference.searched_set(neons), max_fm=7, dataset_pct=100)


@pytest.mark.parametrize("layer", ["0000", "0002", "0004"])
class TestAgainstNeon:
    def test_locations_are_equal(self, layer: str, ours: Any, neons: neon_reference.Arrays) -> None:
        for name in ("batch_img", "fm_loc"):
            expected = neons[f"h5_deconv/max_act/{layer}/{name}"]
            np.testing.assert_array_equal(ours[f"deconv/max_act/{layer}/{name}"][...], expected)

    def test_outputs_are_equal(self, layer: str, ours: Any, neons: neon_reference.Arrays) -> None:
        expected = neons[f"h5_deconv/max_act/{layer}/activation"]
        outputs = ours[f"deconv/max_act/{layer}/activation"][...]
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-6)

    def test_pictures_differ_by_one_level_at_most(
        self, layer: str, ours: Any, neons: neon_reference.Arrays
    ) -> None:
        expected = neons[f"h5_deconv/max_act/{layer}/vis"].astype(int)
        pictures = ours[f"deconv/max_act/{layer}/vis"][...].astype(int)
        assert abs(pictures - expected).max() <= 1

    def test_types_and_shapes_are_equal(self, layer: str, ours: Any) -> None:
        with h5py.File(str(neon_reference.NEON_DATA / "deconv.h5")) as archive:
            expected = {name: (it.shape, it.dtype) for name, it in archive[f"deconv/max_act/{layer}"].items()}
        group = ours[f"deconv/max_act/{layer}"]
        assert {name: (it.shape, it.dtype) for name, it in group.items()} == expected

    def test_source_of_each_picture_is_the_image_that_neon_kept(self, layer: str, ours: Any) -> None:
        with h5py.File(str(neon_reference.NEON_DATA / "deconv.h5")) as archive:
            for minibatch, column in ours[f"deconv/max_act/{layer}/batch_img"]:
                images = [
                    group["HWC_uint8"][..., group.attrs[str(column)]].astype(int)
                    for group in (data[f"deconv/img/batch_{minibatch}"] for data in (archive, ours))
                ]
                assert abs(images[0] - images[1]).max() <= 1


def test_only_images_that_were_found_are_kept(ours: Any) -> None:
    found = {
        tuple(pair) for one in ours["deconv/max_act"].values() for pair in one["batch_img"][...].tolist()
    }
    kept = {
        (int(name.removeprefix("batch_")), int(column))
        for name, group in ours["deconv/img"].items()
        for column in group.attrs
    }
    assert kept == found
    for group in ours["deconv/img"].values():
        assert group["HWC_uint8"].shape == (8, 8, 1, len(group.attrs))
        assert sorted(group.attrs.values()) == list(range(len(group.attrs)))


def test_mask_by_the_image_can_be_left_out() -> None:
    model = one_filter([[1], [-1]], shape=(2, 1, 2))
    image = [[3], [1], [-1], [0]]  # a pixel more than zero, and others, in each channel
    masked = visualized(model, Images([image], 1), dataset_pct=100)["deconv/max_act/0000/vis"][0]
    whole = visualized(model, Images([image], 1), dataset_pct=100, mask_by_image=False)
    np.testing.assert_array_equal(masked, [[[255, 0], [0, 0]]])
    # the largest output, 4, is at location 0: 4 times the filter there
    np.testing.assert_array_equal(whole["deconv/max_act/0000/vis"][0], [[[255, 0], [127, 127]]])


@pytest.mark.parametrize(
    ("percentage", "searched"), [(1, 1), (10, 1), (14, 1), (15, 2), (25, 3), (40, 4), (95, 10), (100, 10)]
)
def test_as_much_of_the_set_is_searched_as_stated(percentage: float, searched: int) -> None:
    images = Images([[[number, 0.0]] for number in range(10)], 20)
    data = visualized(one_filter([[1]], (1, 1, 1)), images, dataset_pct=percentage)
    assert images.yielded == [1, searched]  # one minibatch is looked at when training begins
    assert data["deconv/max_act/0000/activation"][0, 0] == searched - 1


def test_short_last_minibatch_counts_as_one_of_the_set() -> None:
    images = Images([[[0, 0, 0, 0]], [[1, 1, 1, 1]], [[2]]], 9)
    data = visualized(one_filter([[1]], (1, 1, 1)), images, dataset_pct=67)
    assert data["deconv/max_act/0000/activation"][0, 0] == 1
    images = Images([[[0, 0, 0, 0]], [[1, 1, 1, 1]], [[2]]], 9)
    data = visualized(one_filter([[1]], (1, 1, 1)), images, dataset_pct=100)
    np.testing.assert_array_equal(data["deconv/max_act/0000/batch_img"], [[2, 0]])


def test_wrapped_columns_are_not_searched() -> None:
    images = Images([[[1, 2]], [[3, 99]]], ndata=3)
    data = visualized(one_filter([[1]], (1, 1, 1)), images, dataset_pct=100)
    np.testing.assert_array_equal(data["deconv/max_act/0000/batch_img"], [[1, 0]])
    assert data["deconv/max_act/0000/activation"][0, 0] == 3


def test_first_of_equal_outputs_counts_by_location_then_column() -> None:
    images = Images([[[0, 5], [5, 5]], [[5, 5], [5, 5]]], ndata=4)  # (pixels, columns)
    data = visualized(one_filter([[1]], (1, 1, 2)), images, dataset_pct=100)
    np.testing.assert_array_equal(data["deconv/max_act/0000/batch_img"], [[0, 1]])
    np.testing.assert_array_equal(data["deconv/max_act/0000/fm_loc"], [[0]])


def test_no_more_feature_maps_than_asked_for() -> None:
    images = Images([[[1, 2]]], ndata=2)
    for max_fm, shown in ((2, 2), (3, 3), (9, 3)):
        data = visualized(one_filter([[1, 2, -1]], (1, 1, 1)), images, max_fm=max_fm)
        np.testing.assert_array_equal(
            data["deconv/max_act/0000/activation"][:, 0], np.array([2, 4, -1])[:shown]
        )


def test_location_that_does_not_fit_neons_type_is_kept_in_a_wider_one() -> None:
    image = np.zeros((200 * 200, 1))
    image[39_999] = 1
    data = visualized(one_filter([[1]], (1, 200, 200)), Images([image], 1))
    assert data["deconv/max_act/0000/fm_loc"][0, 0] == 39_999


@pytest.mark.parametrize("pixel", [0.0, 3.0, -2.0, np.nan, np.inf])
def test_picture_without_contrast_or_of_no_numbers_is_black(pixel: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = visualized(one_filter([[1]], (1, 1, 1)), Images([[[pixel]]], 1))
    assert data["deconv/max_act/0000/vis"][0, 0, 0, 0] == 0
    assert data["deconv/img/batch_0/HWC_uint8"][0, 0, 0, 0] == 0
    np.testing.assert_array_equal(data["deconv/max_act/0000/activation"][0, 0], pixel)


def test_data_set_is_put_back_and_the_model_untouched() -> None:
    init = Gaussian(scale=0.5)
    model = Model([Conv((2, 2, 3), init, batch_norm=True), Affine(2, init)])
    dataset = ArrayIterator(
        np.random.RandomState(0).normal(size=(5, 9)), None, lshape=(1, 3, 3), batch_size=2
    )
    model.initialize(dataset)
    before = model.serialize()
    dataset.start = 1
    visualized(model, dataset, dataset_pct=100)
    assert dataset.start == 1
    np.testing.assert_equal(model.serialize(), before)
    assert isinstance(model.layers.layers[1], BatchNorm)


def test_pictures_of_an_earlier_end_are_replaced() -> None:
    callbacks = quiet(one_filter([[1]], (1, 1, 1)))
    callbacks.add_callback(DeconvCallback(None, Images([[[2.0]]], 1)))
    with callbacks.training(1) as run:
        callbacks.callback_data.create_dataset("deconv/max_act/0007/vis", (1, 1))
        list(run.epochs())
    assert list(callbacks.callback_data["deconv/max_act"]) == ["0000"]


def test_model_without_convolutions_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigurationError, match="no convolution to visualize: leave DeconvCallback out"):
        visualized(tiny_model(), tiny_set())


class FlatProjector:
    """The projector of a model whose samples are no images."""

    in_shape = 4
    convolutions = {0: (1, 2, 2)}  # noqa: RUF012  # a fake

    def feature_projector(self) -> FlatProjector:
        return self


def test_samples_that_are_no_images_are_refused_before_the_run() -> None:
    with pytest.raises(ConfigurationError, match=r"samples of shape 4 are no images.*lshape="):
        visualized(FlatProjector(), tiny_set())


def test_images_of_another_size_are_refused_before_the_run() -> None:
    callbacks = quiet(one_filter([[1]], (1, 1, 1)))
    callbacks.add_callback(DeconvCallback(None, Images([[[1], [2]]], 1)))
    with pytest.raises(DataError, match=r"expected \(1, columns\)"):
        callbacks.on_train_begin(1)


def test_set_without_minibatches_is_refused_before_the_run() -> None:
    callbacks = quiet(one_filter([[1]], (1, 1, 1)))
    callbacks.add_callback(DeconvCallback(None, Images([], 1)))
    with pytest.raises(DataError, match="Images yielded no minibatch to search"):
        callbacks.on_train_begin(1)


def test_set_that_yields_no_pairs_is_refused_before_the_run() -> None:
    class Triples(Images):
        def __iter__(self) -> Iterator[Any]:
            return ((*one, None) for one in super().__iter__())

    callbacks = quiet(one_filter([[1]], (1, 1, 1)))
    callbacks.add_callback(DeconvCallback(None, Triples([[[1.0]]], 1)))
    with pytest.raises(DataError, match=r"Triples yielded a tuple of 3: .* pairs \(inputs, targets\)"):
        callbacks.on_train_begin(1)


def test_model_that_cannot_project_back_is_refused_before_the_run() -> None:
    callbacks = quiet()
    callbacks.add_callback(DeconvCallback(None, tiny_set()))
    with pytest.raises(MissingAbilityError, match="DeconvCallback needs a model with feature_projector"):
        callbacks.on_train_begin(1)


@pytest.mark.parametrize("arguments, message", [
    ({"max_fm": 0}, "max_fm=0"), ({"max_fm": 1.5}, "max_fm=1.5"), ({"dataset_pct": 0}, "dataset_pct=0"),
    ({"dataset_pct": 100.5}, "dataset_pct=100.5"), ({"dataset_pct": float("nan")}, "dataset_pct=nan"),
])  # fmt: skip
def test_arguments_without_a_meaning_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DeconvCallback(None, tiny_set(), **arguments)


def test_missing_set_is_refused() -> None:
    with pytest.raises(DataError, match="valid_set=None"):
        DeconvCallback(tiny_set(), None)
