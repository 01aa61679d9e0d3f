"""Images that made the feature maps of convolutions fire most, and what in them did so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trainsignal import keys
from trainsignal.report import attributes
from trainsignal.report.attributes import as_text
from trainsignal.report.contents import Contents, float64s, is_numeric, shortened
from trainsignal.report.records import Indices, LayerMaps

Pictures: TypeAlias = npt.NDArray[np.uint8]


def map_layers(contents: Contents) -> list[str]:
    """Return the paths of the groups that hold the feature maps of a convolution each."""
    return contents.groups_in(keys.STRONGEST_OUTPUTS)


def read_feature_maps(contents: Contents) -> Iterator[LayerMaps]:
    """Yield what was found of each convolution, the first one first."""
    sources = SourceImages(contents)
    for group in map_layers(contents):
        path = f"{group}/{keys.VISUALIZATION}"
        with contents.telling(path):
            visualizations = _pictures(contents, path)
            if visualizations is None:
                contents.tell(f"{shortened(group)!r} lacks {keys.VISUALIZATION!r}")
                continue
            maps = len(visualizations)
            places = _places(contents, f"{group}/{keys.BATCH_IMAGE}", maps)
            yield LayerMaps(
                layer=as_text(group.rpartition("/")[2]) or "",
                images=tuple(sources.image(*place) for place in places.tolist()),
                visualizations=visualizations,
                activations=_numbers(contents, f"{group}/{keys.ACTIVATION}", (maps, 1)).reshape(-1),
                sources=places,
            )


class SourceImages:
    """The images that the archive holds: each minibatch of them is read once, each image handed out once.

    Many feature maps may name one image, which costs a file nothing.

    Args:
        contents: of the archive.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._minibatches: dict[int, tuple[Any, Pictures | None]] = {}
        self._images: dict[tuple[int, int], Pictures] = {}

    def image(self, minibatch: int, column: int) -> Pictures | None:
        """Return an image, (H, W, C); None where the archive does not hold it.

        Args:
            minibatch: 0-based.
            column: 0-based column of the minibatch.

        Raises:
            ValueError: images would take too much memory.
        """
        if minibatch not in self._minibatches:
            self._minibatches[minibatch] = self._read(minibatch)
        group, images = self._minibatches[minibatch]
        position = attributes.whole(group, str(column))
        if images is None or position is None or position >= images.shape[3]:
            return None
        if (minibatch, position) not in self._images:
            self._contents.keep(images[..., position].nbytes)
            self._images[minibatch, position] = np.ascontiguousarray(images[..., position])
        return self._images[minibatch, position]

    def _read(self, minibatch: int) -> tuple[Any, Pictures | None]:
        path = keys.source_images(minibatch)
        pixels = f"{path}/{keys.PIXELS}"
        with self._contents.telling(pixels):
            return self._contents.group(path), _pictures(self._contents, pixels)
        return None, None


def _pictures(contents: Contents, path: str) -> Pictures | None:
    """Return pictures with four axes; None where nothing is at `path`.

    Raises:
        ValueError: they have other axes, or another type than uint8.
        Exception: one of `READ_ERRORS`.
    """
    dataset = contents.dataset(path)
    if dataset is None:
        return None
    if not is_numeric(dataset) or dataset.dtype != np.uint8 or len(dataset.shape) != 4 or 0 in dataset.shape:
        raise ValueError("it holds no pictures: bytes of the shape (maps, height, width, channels)")
    return contents.read(dataset)


def _places(contents: Contents, path: str, maps: int) -> Indices:
    """Return minibatch and column of the image of each map, (maps, 2); -1 where they are no indices."""
    places = _numbers(contents, path, (maps, 2))
    is_index = (places >= 0) & (places < 2**31)
    return np.where(is_index, places, -1).astype(np.int64)


def _numbers(contents: Contents, path: str, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return numbers of a shape; NaN throughout where there are none, which is told."""
    with contents.telling(path):
        dataset = contents.dataset(path)
        if dataset is None or not is_numeric(dataset) or dataset.shape != shape:
            contents.tell(f"{shortened(path)!r} holds no numbers of the shape {shape}")
        else:
            return float64s(contents.read(dataset))
    return np.full(shape, np.nan)
