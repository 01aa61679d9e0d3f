"""`GANPlotCallback`: pictures of what a generator makes, and of how its training goes.

Imports matplotlib at train begin, and uses its objects and Agg canvas alone: no window, no pyplot, no global
setting.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from trainsignal import keys
from trainsignal.abilities import Array, HasGanSamples
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError, MissingAbilityError
from trainsignal.evaluation import host_array
from trainsignal.extras import require
from trainsignal.files import check_target, expand, replacing
from trainsignal.frequency import Frequency, is_int
from trainsignal.image_grid import check_samples, image_grid
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData

_MEDIAN_WIDTH: Final = 101
"""Updates of the generator in the running median, as in neon."""


class GANPlotCallback(Callback):
    """Draws samples of the data and of the generator at the ends of epochs, and the course of training.

    "<filename>_data_<epoch>.png" and "<filename>_noise_<epoch>.png", epoch 0-based in three digits, show
    `model.data_batch` and `model.noise_batch`; see `trainsignal.image_grid`. Where `GANCostCallback` has
    written and the model names no other cost than Wasserstein's, "<filename>_training.png" shows the
    estimate of the Wasserstein distance over the updates of the generator, and its running median.

    Needs matplotlib: pip install "trainsignal[gan]". Source: neon's callback of this name.
    """

    optional_reads = (keys.GAN_ITERATIONS, keys.GAN_COST)
    only_first = True

    def __init__(
        self,
        filename: str | os.PathLike[str],
        hw: int = 28,
        nchan: int = 1,
        num_samples: int = 16,
        sym_range: bool = False,
        padding: int = 2,
        plot_width: int = 1200,
        plot_height: int = 600,
        dpi: float = 60.0,
        font_size: float = 10,
        epoch_freq: Frequency = 1,
    ) -> None:
        """Store what to draw, and how.

        Args:
            filename: what the names of the pictures begin with, folder included; ~ and $VARIABLES are
                filled in.
            hw: height and width of an image, in pixels.
            nchan: channels of an image, 1 or 3.
            num_samples: images in a picture.
            sym_range: pixels lie in [-1, 1] instead of [0, 1].
            padding: pixels between two images.
            plot_width: pixels of the picture of training.
            plot_height: pixels of the picture of training.
            dpi: pixels to an inch, which say how large a point is.
            font_size: of its labels, in points.
            epoch_freq: at which epochs.

        Raises:
            ConfigurationError: a size that is none, or another number of channels.
        """
        super().__init__(epoch_freq=epoch_freq)
        _check_sizes(hw=hw, num_samples=num_samples, plot_width=plot_width, plot_height=plot_height)
        _check_sizes(least=0, padding=padding)
        if nchan not in (1, 3):
            raise ConfigurationError(f"nchan={nchan!r}: expected 1 (grey) or 3 (colours)")
        if not (dpi > 0 and font_size > 0):
            raise ConfigurationError(f"dpi={dpi!r}, font_size={font_size!r}: expected more than 0")
        self.filename = filename
        self.hw = hw
        self.nchan = nchan
        self.num_samples = num_samples
        self.sym_range = sym_range
        self.padding = padding
        self.plot_width = plot_width
        self.plot_height = plot_height
        self.dpi = dpi
        self.font_size = font_size

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        _matplotlib("figure")
        path = self._path("training")
        check_target(path, "the pictures")
        run_of(self).claim_file(path, f"{type(self).__name__}(filename)", self)
        if isinstance(model, HasGanSamples):  # neon's model has none before the end of an epoch
            self._check(model)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        if not isinstance(model, HasGanSamples):
            raise MissingAbilityError(
                f"GANPlotCallback needs a model that keeps samples in data_batch and noise_batch by the end "
                f"of an epoch, and {type(model).__name__} does not"
            )
        self._check(model)
        for name, samples in _samples(model).items():
            grid = image_grid(
                samples,
                hw=self.hw,
                nchan=self.nchan,
                num_samples=self.num_samples,
                sym_range=self.sym_range,
                padding=self.padding,
            )
            with self._picture(f"{name}_{epoch:03d}") as file:
                _matplotlib("image").imsave(file, grid, format="png")
        iterations, estimates = _estimates(callback_data)
        if estimates.size and _is_wasserstein(model):
            with self._picture("training") as file:
                self._training_figure(iterations, estimates).savefig(file, format="png", dpi=self.dpi)

    def _check(self, model: HasGanSamples) -> None:
        for name, samples in _samples(model).items():
            check_samples(
                samples, f"model.{name}_batch", hw=self.hw, nchan=self.nchan, num_samples=self.num_samples
            )

    def _path(self, ending: str) -> Path:
        prefix = expand(self.filename)
        return prefix.with_name(f"{prefix.name}_{ending}.png")

    @contextlib.contextmanager
    def _picture(self, ending: str) -> Generator[IO[bytes]]:
        """Yield a file that becomes the picture once it is written, whole."""
        with replacing(self._path(ending)) as temporary, temporary.open("wb") as file:
            yield file

    def _training_figure(self, iterations: Array, estimates: Array) -> Any:
        """Return matplotlib's figure of the estimates, (updates,), over the updates of the generator."""
        size = (self.plot_width / self.dpi, self.plot_height / self.dpi)
        figure = _matplotlib("figure").Figure(figsize=size, dpi=self.dpi, layout="tight")
        _matplotlib("backends.backend_agg").FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(iterations, estimates, "k-", linewidth=0.25)
        places = np.unique(np.linspace(0, len(estimates) - 1, self.plot_width).astype(int))
        axes.plot(iterations[places], running_median(estimates, places), "r-", linewidth=2)
        axes.set_title(expand(self.filename).name, fontsize=self.font_size)
        axes.set_xlabel("Generator iterations", fontsize=self.font_size)
        axes.set_ylabel("Wasserstein estimate", fontsize=self.font_size)
        axes.tick_params(labelsize=self.font_size)
        axes.margins(0)
        return figure


def _matplotlib(module: str) -> Any:
    """Return a module of matplotlib."""
    return require(f"matplotlib.{module}", "gan", "GANPlotCallback")


def running_median(values: Array, places: Array) -> Array:
    """Return the median of the values around each place, of at most `_MEDIAN_WIDTH`; of fewer at the ends.

    neon takes zeros for what is beyond the ends, which draws the curve towards 0 there.
    """
    reach = _MEDIAN_WIDTH // 2
    return np.array([np.median(values[max(0, place - reach) : place + reach + 1]) for place in places])


def _estimates(callback_data: SharedData) -> tuple[Array, Array]:
    """Return updates of the generator, and minus the cost of the discriminator there; without the missing."""
    if keys.GAN_ITERATIONS not in callback_data or keys.GAN_COST not in callback_data:
        return np.empty(0), np.empty(0)
    iterations = callback_data[keys.GAN_ITERATIONS][:]
    costs = callback_data[keys.GAN_COST][:]
    known = ~(np.isnan(iterations) | np.isnan(costs))
    return iterations[known], -costs[known]


def _samples(model: HasGanSamples) -> dict[str, Array]:
    return {"data": host_array(model.data_batch), "noise": host_array(model.noise_batch)}


def _is_wasserstein(model: Any) -> bool:
    """Return whether the cost may be Wasserstein's: neon's model tells it in `cost.costfunc.func`."""
    function = getattr(getattr(model, "cost", None), "costfunc", None)
    return getattr(function, "func", "wasserstein") == "wasserstein"


def _check_sizes(least: int = 1, **sizes: object) -> None:
    for name, size in sizes.items():
        if not is_int(size) or size < least:
            raise ConfigurationError(f"{name}={size!r}: expected a whole number, at least {least}")
