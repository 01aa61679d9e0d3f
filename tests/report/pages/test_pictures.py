"""Feature maps: image and visualization side by side."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.browser import browser_page
from tests.support.pieces import HOSTILE, shown
from tests.support.report_runs import run
from trainsignal.report.pages.pictures import Pictures
from trainsignal.report.records import LayerMaps

RED_GREEN_BLUE_WHITE = np.array(
    [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8
)  # fmt: skip
BLACK_AND_GREY = np.array([[[0], [100]], [[200], [50]]], np.uint8)


def layer(maps: int, shape: tuple[int, ...] = (4, 4, 1), name: str = "0002", **changes: Any) -> LayerMaps:
    """Return a layer with so many maps, each of pictures of noise."""
    noise = np.random.default_rng(len(name)).integers(0, 256, (2, maps, *shape), dtype=np.uint8)
    given: dict[str, Any] = {
        "images": tuple(noise[0]),
        "visualizations": noise[1],
        "activations": np.arange(maps) + 0.5,
        "sources": np.stack([np.arange(maps), np.arange(maps) + 30], axis=1),
    }
    return LayerMaps(name, **(given | changes))


def html_of(*layers: LayerMaps) -> str:
    text: str = Pictures(run(feature_maps=layers)).model.text
    return text


def test_a_map_has_its_image_its_visualization_and_what_is_known_of_it() -> None:
    html = html_of(layer(2))

    assert "layer 0002: 2 maps" in html
    assert re.findall(r'alt="(.*?)"', html) == [
        "image of feature map 0", "visualization of feature map 0",
        "image of feature map 1", "visualization of feature map 1",
    ]  # fmt: skip
    assert "<b>1</b> fires at 1.5<br>minibatch 1, image 31</figcaption>" in html


def test_what_is_not_known_is_not_told() -> None:
    html = html_of(layer(1, activations=np.array([np.nan]), sources=np.array([[-1, -1]])))

    assert "1 map<" in html
    assert "<figcaption><b>0</b></figcaption>" in html


def test_an_image_that_the_archive_lacks_leaves_a_box_of_its_size() -> None:
    html = html_of(layer(1, images=(None,)))

    assert '<div class="absent" style="width: 96px; height: 96px">not in the archive</div><img' in html


def test_other_numbers_of_channels_are_told() -> None:
    assert "mean of 4 channels, in grey" in html_of(layer(1, (4, 4, 4)))
    assert "channels" not in html_of(layer(1, (4, 4, 3)))


def test_of_many_maps_the_rest_is_folded() -> None:
    before, _, after = html_of(layer(18)).partition("<details")

    assert before.count("<figure>") == 16
    assert after.count("<figure>") == 2
    assert "2 more" in after
    assert "<details" not in html_of(layer(16))


def test_pictures_that_would_make_the_page_too_large_are_left_out_evenly_and_told() -> None:
    html = html_of(layer(400, (64, 64, 3), "0000"), layer(2, (64, 64, 3), "0001"))

    assert 2_900_000 < len(html) < 3_010_000
    first, second = html.split("layer 0001: 2 maps")
    kept = first.count("<figure>")
    assert f"<small>{400 - kept} left out" in first
    assert second.count("<figure>") == 2
    assert "left out" not in second


def test_without_feature_maps_it_is_hidden_until_there_are_some() -> None:
    pictures = Pictures(run())
    assert not pictures.model.visible

    pictures.update(run(feature_maps=(layer(1),)))
    assert pictures.model.visible
    assert "layer 0002" in pictures.model.text


@pytest.mark.parametrize("changed", ["visualizations", "activations", "sources", "images"])
def test_only_what_changed_is_drawn_anew(changed: str) -> None:
    one, same = layer(1), layer(1)
    changes: dict[str, Any] = {
        "visualizations": one.visualizations + np.uint8(1),
        "activations": one.activations + 1,
        "sources": one.sources + 1,
        "images": (None,),
    }
    pictures = Pictures(run(feature_maps=(one,)))
    before = pictures.model.text

    pictures.update(run(feature_maps=(same,)))
    assert pictures.model.text is before
    pictures.update(run(feature_maps=(layer(1, **{changed: changes[changed]}),)))
    assert pictures.model.text != before


def pixels_of(picture: Any) -> npt.NDArray[np.uint8]:
    """Return what the browser shows of an element that begins anywhere, (height, width, 3)."""
    box = picture.bounding_box()
    page = np.asarray(Image.open(io.BytesIO(picture.page.screenshot())).convert("RGB"))
    left, top = round(box["x"]), round(box["y"])
    return page[top : top + round(box["height"]), left : left + round(box["width"])]


def test_in_a_browser_each_pixel_is_a_sharp_square_in_its_colour(tmp_path: Path) -> None:
    maps = layer(1, images=(RED_GREEN_BLUE_WHITE,), visualizations=BLACK_AND_GREY[np.newaxis], name=HOSTILE)

    with browser_page(width=420, color_scheme="dark") as tab:
        tab.open(shown(tmp_path, Pictures(run(feature_maps=(maps,))).model))
        image, visualization = tab.page.locator("img").all()

        whole = np.kron(RED_GREEN_BLUE_WHITE, np.ones((48, 48, 1), np.uint8))
        np.testing.assert_array_equal(pixels_of(image), whole)
        grey = np.kron(np.repeat(BLACK_AND_GREY, 3, axis=2), np.ones((48, 48, 1), np.uint8))
        np.testing.assert_array_equal(pixels_of(visualization), grey)
        left, right = image.bounding_box(), visualization.bounding_box()
        assert left["y"] == right["y"]
        assert left["x"] + left["width"] < right["x"]
        assert tab.page.locator("h3").inner_text() == f"layer {HOSTILE}: 1 map"
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 420
        assert (tab.console, tab.requests) == ([], [])
