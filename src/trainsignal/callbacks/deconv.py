"""`DeconvCallback`: images that show what the feature maps of convolutions look for."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal import keys
from trainsignal.abilities import Array, CanProjectBack, EvaluatesPairs, FeatureProjector
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import check_evaluable, check_is_dataset, host_array
from trainsignal.evaluation.inputs import as_columns, column_inputs, first_inputs, reading
from trainsignal.frequency import is_int
from trainsignal.shared_data import SharedData

_logger = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]


class DeconvCallback(Callback):
    """Writes, at train end, the image that made each feature map fire most, and what of it did so.

    For the first `max_fm` maps of each convolution it finds the largest output of the convolution proper
    (before bias, batch normalization and rectifier), over the searched minibatches; the first of equal ones,
    by location, then by column. Columns that only fill up the last minibatch are not searched. From there
    guided backpropagation leads to the image (Springenberg et al. 2014, arXiv:1412.6806). A map whose largest
    output is not positive gives a blank picture. Source: neon's callback of this name.

    The published method does not look at the image again at the end; neon keeps of its result only the pixels
    that are positive in the image itself. So does this callback, so that pictures are neon's, unless
    `mask_by_image=False`. With that, inputs whose pixels may be negative are shown right.

    A model that satisfies `EvaluatesPairs` is shown pairs (inputs, targets), all samples of which are
    searched. Everything else is the same: a column below is a sample.

    Layout, under "deconv": see `trainsignal.keys.strongest_outputs` and `source_images`. Types are wider
    where a location or a minibatch would not fit.
    """

    needs = (CanProjectBack,)
    writes = (keys.DECONV,)
    only_first = True

    def __init__(
        self,
        train_set: Any,
        valid_set: Any,
        max_fm: int = 16,
        dataset_pct: float = 25,
        *,
        mask_by_image: bool = True,
    ) -> None:
        """Store what to search.

        Args:
            train_set: not used, as in neon.
            valid_set: the set to search; it yields pairs (inputs, targets), each time anew. For a model
                with neon's layout see `trainsignal.abilities.EvaluationSet`.
            max_fm: how many maps of each convolution.
            dataset_pct: percentage of the minibatches to search, the first ones, rounded; at least one.
            mask_by_image: blacken what is not positive in the image itself.

        Raises:
            DataError: no data set, or an empty one.
            ConfigurationError: `max_fm` is no int of at least 1, or `dataset_pct` not within (0, 100].
        """
        super().__init__()
        check_is_dataset(valid_set, "valid_set")
        if not is_int(max_fm) or max_fm < 1:
            raise ConfigurationError(f"max_fm={max_fm!r}: expected the number of feature maps, at least 1")
        if not 0 < dataset_pct <= 100:
            raise ConfigurationError(
                f"dataset_pct={dataset_pct!r}: expected a percentage of more than 0 and at most 100"
            )
        self.train_set = train_set
        self.valid_set = valid_set
        self.max_fm = max_fm
        self.dataset_pct = dataset_pct
        self.mask_by_image = mask_by_image

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        check_evaluable(model, self.valid_set, "valid_set")
        projector = self._projector(model)
        if not projector.convolutions:
            raise ConfigurationError("the model has no convolution to visualize: leave DeconvCallback out")
        _image_shape(projector)
        first = as_columns(model, first_inputs(model, self.valid_set, "valid_set"))
        for _ in projector.outputs(first):  # better refused now than when training is over
            pass

    def on_train_end(self, callback_data: SharedData, model: Any) -> None:
        projector = self._projector(model)
        _logger.info("Guided backpropagation of %d convolutions", len(projector.convolutions))
        strongest = self._search(model, projector)
        if keys.DECONV in callback_data:  # of a run that was completed before, and is now continued
            del callback_data[keys.DECONV]
        channels_first = _image_shape(projector)
        for layer, found in strongest.items():
            pictures = projector.project_back(found.images, layer, np.arange(found.size), found.locations)
            if self.mask_by_image:
                pictures = np.where(found.images > 0, pictures, 0)
            _write_maps(callback_data, layer, found, _pixels(pictures, channels_first))
        _write_sources(callback_data, strongest, channels_first)

    def _projector(self, model: Any) -> FeatureProjector:
        """Return the projector; a model of pairs knows the shape of a sample by a minibatch alone."""
        projecting: CanProjectBack = model
        if not isinstance(model, EvaluatesPairs):
            return projecting.feature_projector()
        return projecting.feature_projector(first_inputs(model, self.valid_set, "valid_set"))

    def _search(self, model: Any, projector: FeatureProjector) -> dict[int, _Strongest]:
        strongest = {
            layer: _Strongest(min(maps, self.max_fm))
            for layer, (maps, _, _) in projector.convolutions.items()
        }
        with reading(model, self.valid_set):
            for minibatch, x, columns in self._searched(model):
                images = host_array(x)
                for layer, outputs in projector.outputs(x):
                    strongest[layer].update(outputs[:, :, :columns], minibatch, images)
        return strongest

    def _searched(self, model: Any) -> Iterator[tuple[int, Any, int]]:
        """Yield the index and inputs of each minibatch to search, and how many columns are samples."""
        for minibatch, (x, samples, in_all) in enumerate(column_inputs(model, self.valid_set)):
            yield minibatch, x, samples
            if minibatch + 1 >= math.floor(in_all * self.dataset_pct / 100 + 0.5):
                return


class _Strongest:
    """The largest output of each feature map of one convolution so far, and the image that it came from."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.outputs = np.full(size, -np.inf, np.float32)
        self.minibatches, self.columns, self.locations = np.zeros((3, size), np.intp)
        self.images: Array = np.zeros((0, size), np.float32)
        """(features, maps)."""

    def update(self, outputs: Array, minibatch: int, images: Array) -> None:
        """Take over what is larger in a minibatch.

        Args:
            outputs: (maps, locations, columns) of the convolution.
            minibatch: 0-based index.
            images: (features, columns).
        """
        if not self.images.size:
            self.images = np.zeros((len(images), self.size), images.dtype)
        by_map = outputs[: self.size].reshape(self.size, -1)
        places = by_map.argmax(axis=1)
        largest = by_map[np.arange(self.size), places]
        better = ~(largest <= self.outputs)  # also where it is NaN
        locations, columns = np.divmod(places, outputs.shape[2])
        self.outputs[better] = largest[better]
        self.minibatches[better] = minibatch
        self.columns[better] = columns[better]
        self.locations[better] = locations[better]
        self.images[:, better] = images[:, columns[better]]


def _image_shape(projector: FeatureProjector) -> tuple[int, int, int]:
    """Return (channels, height, width) of the samples.

    Raises:
        ConfigurationError: they are no images.
    """
    shape = projector.in_shape
    if not isinstance(shape, tuple) or len(shape) != 3:
        raise ConfigurationError(
            f"samples of shape {shape!r} are no images. Give the data set lshape=(channels, height, width), "
            "or leave DeconvCallback out."
        )
    return shape


def _pixels(images: Array, shape: tuple[int, int, int]) -> Array:
    """Return images, (features, images), as (height, width, channels, images)."""
    return images.reshape(*shape, -1).transpose(1, 2, 0, 3)


def _write_maps(data: SharedData, layer: int, found: _Strongest, pictures: Array) -> None:
    """Write what was found of a convolution.

    Args:
        data: where to.
        layer: position of the convolution.
        found: the strongest output of each map.
        pictures: (height, width, channels, maps).
    """
    group = data.create_group(keys.strongest_outputs(layer))
    places = np.stack([found.minibatches, found.columns], axis=1)
    group.create_dataset(keys.BATCH_IMAGE, data=_fitting(places, np.uint16))
    group.create_dataset(keys.MAP_LOCATION, data=_fitting(found.locations.reshape(-1, 1), np.int16))
    group.create_dataset(keys.ACTIVATION, data=found.outputs.reshape(-1, 1))
    scaled = [_scaled(pictures[..., one]) for one in range(found.size)]
    group.create_dataset(keys.VISUALIZATION, data=np.stack(scaled))


def _write_sources(
    data: SharedData, strongest: Mapping[int, _Strongest], shape: tuple[int, int, int]
) -> None:
    """Write the images that were found, by minibatch, each once."""
    by_minibatch: dict[int, dict[int, Array]] = defaultdict(dict)
    for found in strongest.values():
        for place, (minibatch, column) in enumerate(zip(found.minibatches, found.columns, strict=True)):
            by_minibatch[int(minibatch)][int(column)] = found.images[:, place]
    for minibatch, images in sorted(by_minibatch.items()):
        columns = sorted(images)
        group = data.create_group(keys.source_images(minibatch))
        stacked = np.stack([images[column] for column in columns], axis=1)
        group.create_dataset(keys.PIXELS, data=_scaled(_pixels(stacked, shape)))
        for position, column in enumerate(columns):
            group.attrs[str(column)] = position


def _fitting(indices: Array, neons: type[np.integer[Any]]) -> Array:
    """Return `indices` in neon's type, or as int64 where one of them would not fit."""
    return indices.astype(neons if indices.max() <= np.iinfo(neons).max else np.int64)


def _scaled(values: Array) -> Bytes:
    """Return `values` with the smallest as 0 and the largest as 255, cut to integers.

    Where all are equal, or one is no finite number, all become 0.
    """
    scaled: Bytes = np.zeros(values.shape, np.uint8)
    smallest, largest = values.min(), values.max()
    if np.isfinite(values).all() and largest > smallest:
        scaled = ((values - smallest) / (largest - smallest) * 255).astype(np.uint8)
    return scaled
