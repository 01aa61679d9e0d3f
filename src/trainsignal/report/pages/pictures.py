"""Feature maps: the image that made each fire most, and beside it what in the image did so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.report.pages import markup
from trainsignal.report.pages.picture_files import picture, shown_size
from trainsignal.report.records import LayerMaps, Run
from trainsignal.report.wording import number

_MOST_BYTES = 3_000_000
"""Of all pictures of a page together, as text."""

_SHOWN = 16
"""Maps of a layer; what is beyond is folded."""


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature map: what `LayerMaps` says of it."""

    index: int
    image: npt.NDArray[np.uint8] | None
    visualization: npt.NDArray[np.uint8]
    activation: float
    source: tuple[int, int]


class Pictures:
    """Pictures of all layers; hidden where there are none.

    Args:
        run: whose feature maps.

    Attributes:
        model: Bokeh's element.
    """

    def __init__(self, run: Run) -> None:
        self.model: Any = markup.element()
        self._drawn = b""
        self.update(run)

    def update(self, run: Run) -> None:
        """Show the feature maps of the run as it is now; draws nothing that stands there already."""
        wanted = _fingerprint(run.feature_maps)
        if wanted != self._drawn:
            self._drawn = wanted
            self.model.text = _html(run.feature_maps)
        self.model.visible = bool(run.feature_maps)


def _fingerprint(layers: Sequence[LayerMaps]) -> bytes:
    told = hashlib.blake2b()
    for layer in layers:
        told.update(repr((layer.layer, layer.visualizations.shape)).encode())
        for array in (layer.visualizations, layer.activations, layer.sources, *layer.images):
            told.update(b"absent" if array is None else array.tobytes())
    return told.digest()


def _html(layers: Sequence[LayerMaps]) -> str:
    figures: list[list[str]] = [[] for _ in layers]
    size = 0
    for place, feature in _all_first_maps_first(layers):
        figure = _figure(feature)
        size += len(figure)
        if size > _MOST_BYTES:
            break
        figures[place].append(figure)
    sections = [_section(place, layer, figures[place]) for place, layer in enumerate(layers)]
    return "<h2>Feature maps</h2>" + _LEGEND + "".join(sections)


_LEGEND = (
    '<p class="soft">Left: the image that made the map fire most. '
    "Right: what in it did so, by guided backpropagation.</p>"
)


def _all_first_maps_first(layers: Sequence[LayerMaps]) -> Iterator[tuple[int, _Feature]]:
    """Yield the position of a layer and one of its maps: the first of each layer, then the second of each."""
    for index in range(max((len(layer.images) for layer in layers), default=0)):
        for place, layer in enumerate(layers):
            if index < len(layer.images):
                minibatch, column = layer.sources[index]
                source = (int(minibatch), int(column))
                activation = float(layer.activations[index])
                yield (
                    place,
                    _Feature(index, layer.images[index], layer.visualizations[index], activation, source),
                )


def _section(place: int, layer: LayerMaps, figures: list[str]) -> str:
    maps = len(layer.images)
    count = "1 map" if maps == 1 else f"{maps:,} maps"
    channels = layer.visualizations.shape[3]
    notes = [] if channels in (1, 3) else [f"mean of {channels} channels, in grey"]
    if len(figures) < maps:
        notes.append(f"{maps - len(figures):,} left out, so that the page stays small")
    told = "".join(f" <small>{note}</small>" for note in notes)
    shown = f'<div class="pairs">{"".join(figures[:_SHOWN])}</div>'
    if len(figures) > _SHOWN:
        rest = f'<div class="pairs">{"".join(figures[_SHOWN:])}</div>'
        shown += markup.folded(f"layer{place}", f"{len(figures) - _SHOWN:,} more", rest)
    return f"<h3>layer {escape(layer.layer)}: {count}{told}</h3>{shown}"


def _figure(feature: _Feature) -> str:
    what = f"of feature map {feature.index}"
    width, height = shown_size(feature.visualization)
    if feature.image is None:
        left = f'<div class="absent" style="width: {width}px; height: {height}px">not in the archive</div>'
    else:
        left = picture(feature.image, f"image {what}")
    right = picture(feature.visualization, f"visualization {what}")
    strength = "" if np.isnan(feature.activation) else f" fires at {number(feature.activation)}"
    minibatch, column = feature.source
    where = "" if min(feature.source) < 0 else f"<br>minibatch {minibatch:,}, image {column:,}"
    caption = f"<figcaption><b>{feature.index}</b>{strength}{where}</figcaption>"
    return f'<figure><div class="pair">{left}{right}</div>{caption}</figure>'
