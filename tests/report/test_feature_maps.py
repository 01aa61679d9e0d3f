"""Images that made feature maps fire, and what in them did so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.archives import archive, found_in, put
from tests.support.neon_reference import NEON_DATA
from trainsignal.report.feature_maps import read_feature_maps
from trainsignal.report.reading import read_run
from trainsignal.report.records import LayerMaps

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), "u1")
SOURCES = np.random.default_rng(1).integers(0, 256, (4, 5, 3, 2), "u1")


def read(file: Any, **bounds: int) -> tuple[list[LayerMaps], list[str]]:
    contents, _, told = found_in(file, **bounds)
    return list(read_feature_maps(contents)), told


def put_layer(file: Any, layer: str = "0000", **changes: Any) -> None:
    """Write two maps of a convolution; an entry that is None is left out."""
    entries = {
        "vis": PICTURES,
        "activation": np.array([[1.5], [2.5]], "f4"),
        "batch_img": np.array([[7, 30], [7, 4]], "u2"),
        **changes,
    }
    for name, values in entries.items():
        if values is not None:
            put(file, f"deconv/max_act/{layer}/{name}", values)


def put_sources(file: Any, **positions: Any) -> None:
    put(file, "deconv/img/batch_7/HWC_uint8", SOURCES, compression="gzip")
    file["deconv/img/batch_7"].attrs.update(positions or {"4": 0, "30": 1})


def test_each_map_has_its_image_by_minibatch_and_column() -> None:
    with archive() as file:
        put_layer(file)
        put_sources(file)
        (layer,), told = read(file)

    assert told == []
    assert layer.layer == "0000"
    np.testing.assert_array_equal(layer.visualizations, PICTURES)
    np.testing.assert_array_equal(np.stack(layer.images), [SOURCES[..., 1], SOURCES[..., 0]])  # type: ignore[arg-type]  # none is None
    assert layer.activations.tolist() == [1.5, 2.5]
    assert layer.sources.tolist() == [[7, 30], [7, 4]]


def test_an_image_that_many_maps_name_is_held_once() -> None:
    with archive() as file:
        put_layer(file, batch_img=np.array([[7, 30], [7, 4]], "u2"))
        put_layer(file, "0002")
        put_sources(file, **{"4": 1, "30": 1})
        found, _ = read(file)

    first, second = found[0].images
    assert first is second is found[1].images[0]


def test_images_that_would_fill_the_memory_are_told() -> None:
    fitting = PICTURES.nbytes + 4 * 2 + SOURCES.nbytes + 2 * SOURCES[..., 0].nbytes
    with archive() as file:
        put_layer(file, activation=None)
        put_sources(file)
        assert len(read(file, most_bytes=fitting)[0]) == 1
        found, told = read(file, most_bytes=fitting - 1)

    assert found == []
    assert told == [
        "'deconv/max_act/0000/vis' cannot be read: "
        f"it has 60 bytes, and {fitting - 1} are read of an archive in all"
    ]


def test_layers_are_in_their_order() -> None:
    with archive() as file:
        for layer in ("0010", "0002"):
            put_layer(file, layer)
        assert [one.layer for one in read(file)[0]] == ["0002", "0010"]


@pytest.mark.parametrize("position", [2, -1, "0", 0.5])
def test_a_position_that_is_none_gives_no_image(position: Any) -> None:
    with archive() as file:
        put_layer(file)
        put_sources(file, **{"4": position, "30": 1})
        (layer,), _ = read(file)

    assert layer.images[1] is None
    assert layer.images[0] is not None


def test_without_the_images_the_maps_are_shown_alone() -> None:
    with archive() as file:
        put_layer(file)
        (layer,), told = read(file)

    assert layer.images == (None, None)
    assert told == []


@pytest.mark.parametrize("pixels", [SOURCES[..., 0], SOURCES.astype("f4"), np.zeros((0, 5, 3, 2), "u1")])
def test_images_of_another_shape_or_type_are_told(pixels: Any) -> None:
    with archive() as file:
        put_layer(file)
        put(file, "deconv/img/batch_7/HWC_uint8", pixels)
        (layer,), told = read(file)

    assert layer.images == (None, None)
    assert len(told) == 1
    assert told[0].startswith("'deconv/img/batch_7/HWC_uint8' cannot be read: it holds no pictures")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("batch_img", None),
        ("batch_img", np.zeros((3, 2), "u2")),
        ("activation", None),
        ("activation", np.zeros(2, "f4")),
        ("activation", np.array([["a"], ["b"]], "S1")),
    ],
)
def test_what_is_not_there_is_unknown_and_told(name: str, values: Any) -> None:
    with archive() as file:
        put_layer(file, **{name: values})
        put_sources(file)
        (layer,), told = read(file)

    assert len(told) == 1
    assert f"'deconv/max_act/0000/{name}' holds no numbers of the shape" in told[0]
    if name == "activation":
        assert np.isnan(layer.activations).all()
    else:
        assert (layer.sources == -1).all()
        assert layer.images == (None, None)


def test_places_that_are_no_indices_are_unknown() -> None:
    with archive() as file:
        put_layer(file, batch_img=np.array([[np.nan, np.inf], [7, -4]]))
        (layer,), _ = read(file)

    assert layer.sources.tolist() == [[-1, -1], [7, -1]]


def test_a_layer_without_pictures_is_told() -> None:
    with archive() as file:
        put_layer(file, vis=None)
        put_layer(file, "0002", vis=np.zeros((2, 4)))
        found, told = read(file)

    assert found == []
    assert told[0] == "'deconv/max_act/0000' lacks 'vis'"
    assert told[1].startswith("'deconv/max_act/0002/vis' cannot be read: it holds no pictures")


def test_neons_maps_are_read_as_neon_wrote_them() -> None:
    run = read_run(NEON_DATA / "deconv.h5")
    with np.load(NEON_DATA / "deconv.npz", allow_pickle=False) as reference:
        for layer in run.feature_maps:
            prefix = f"h5_deconv/max_act/{layer.layer}"
            np.testing.assert_array_equal(layer.visualizations, reference[f"{prefix}/vis"])
            np.testing.assert_array_equal(layer.activations, reference[f"{prefix}/activation"][:, 0])
            np.testing.assert_array_equal(layer.sources, reference[f"{prefix}/batch_img"])
            assert all(image is not None and image.shape == (8, 8, 1) for image in layer.images)
    assert [(one.layer, len(one.images)) for one in run.feature_maps] == [
        ("0000", 6),
        ("0002", 7),
        ("0004", 7),
    ]


def test_neons_images_are_those_that_its_convolutions_saw() -> None:
    run = read_run(NEON_DATA / "deconv.h5")
    with np.load(NEON_DATA / "deconv.npz") as reference:
        for layer in run.feature_maps:
            for image, (minibatch, column) in zip(layer.images, layer.sources, strict=True):
                seen = reference[f"deconv_inputs/batch{minibatch}"][:, column].reshape(8, 8)
                assert image is not None
                order = np.argsort(seen, axis=None, kind="stable")
                assert (
                    np.diff(image.reshape(-1)[order].astype(int)) >= 0
                ).all()  # scaled, so in the same order
