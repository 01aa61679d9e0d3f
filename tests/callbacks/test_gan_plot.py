from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.support.runs import Bare, quiet
from trainsignal import Callback, Callbacks, GANPlotCallback
from trainsignal.callbacks.gan_plot import running_median
from trainsignal.errors import ConfigurationError, DataError, MissingAbilityError
from trainsignal.run_link import run_of


class Tensor:
    """A device's numbers, as neon's: to be had by `get()` alone."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def get(self) -> Any:
        return self._values


def samples(features: int = 4, columns: int = 16, value: float = 0.25) -> Any:
    return np.full((features, columns), value, "f4")


def generator(**attributes: Any) -> SimpleNamespace:
    """Return a model with samples of 2 x 2 images."""
    return SimpleNamespace(**({"data_batch": samples(), "noise_batch": samples(value=0.75)} | attributes))


class GivenCosts(Callback):
    """Writes what `GANCostCallback` would, all at once."""

    writes = ("gan/gen_iter", "gan/cost_dis")

    def __init__(self, iterations: Any, costs: Any) -> None:
        super().__init__()
        self.columns = iterations, costs

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        for key, values in zip(self.writes, self.columns, strict=True):
            callback_data.create_series(key, len(values))[:] = values


def run(*callbacks: Callback, model: Any = None, epochs: int = 1) -> Callbacks:
    container = quiet(generator() if model is None else model)
    container.callbacks = list(callbacks)
    container.on_train_begin(epochs)
    for epoch in range(epochs):
        container.on_epoch_begin(epoch)
        container.on_epoch_end(epoch)
    container.on_train_end()
    return container


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def picture(path: Path) -> Any:
    """Return (height, width, 3) uint8."""
    return (matplotlib.image.imread(path)[..., :3] * 255).round().astype(np.uint8)


def test_each_epoch_has_a_picture_of_the_data_and_one_of_the_generator(tmp_path: Path) -> None:
    run(GANPlotCallback(tmp_path / "gan", hw=2, epoch_freq=2), epochs=4)
    assert names(tmp_path) == [
        "gan_data_001.png", "gan_data_003.png", "gan_noise_001.png", "gan_noise_003.png",
    ]  # fmt: skip


def test_pictures_show_the_samples(tmp_path: Path) -> None:
    run(GANPlotCallback(tmp_path / "gan", hw=2, num_samples=4, padding=1))
    data, noise = picture(tmp_path / "gan_data_000.png"), picture(tmp_path / "gan_noise_000.png")
    assert data.shape == (5, 5, 3)
    assert data[0, 0].tolist() == [191] * 3  # 1 - 0.25 of 255
    assert noise[0, 0].tolist() == [64] * 3
    assert data[2, 0].tolist() == [255] * 3


def test_digits_can_be_read_back_from_the_picture(tmp_path: Path) -> None:
    digits = load_digits().data[:4].T / 16
    model = generator(data_batch=digits, noise_batch=Tensor(digits))
    run(GANPlotCallback(tmp_path / "gan", hw=8, num_samples=4, padding=0), model=model)
    for name in ("data", "noise"):
        shades = 1 - picture(tmp_path / f"gan_{name}_000.png")[..., 0] / 255
        np.testing.assert_allclose(shades[8:, :8].reshape(-1), digits[:, 1], atol=1 / 255)
        np.testing.assert_allclose(shades[:8, 8:].reshape(-1), digits[:, 2], atol=1 / 255)


def test_colours_and_symmetric_range_are_shown(tmp_path: Path) -> None:
    blue_green_red = np.array([[-1.0], [0.0], [1.0]])
    model = generator(data_batch=blue_green_red, noise_batch=blue_green_red)
    run(GANPlotCallback(tmp_path / "gan", hw=1, nchan=3, num_samples=1, sym_range=True), model=model)
    assert picture(tmp_path / "gan_data_000.png").reshape(3).tolist() == [255, 128, 0]


def test_course_of_training_is_drawn_in_the_size_asked_for(tmp_path: Path) -> None:
    costs = GivenCosts([np.nan, 1, np.nan, 2, 3], [np.nan, -4.0, np.nan, -2.0, -1.0])
    plot = GANPlotCallback(tmp_path / "gan", hw=2, plot_width=300, plot_height=200)
    run(plot, costs)
    drawn = picture(tmp_path / "gan_training.png")
    assert drawn.shape == (200, 300, 3)
    is_red = (drawn[..., 0] > 200) & (drawn[..., 1] < 80) & (drawn[..., 2] < 80)
    assert is_red.any(axis=0).sum() > 150  # the median runs through the whole picture
    assert np.isclose(np.flatnonzero(is_red.any(axis=1)).std(), 0, atol=2)  # and is flat, as all are near


def course(folder: Path, iterations: Any, costs: Any) -> Any:
    """Return the picture of a course of training."""
    folder.mkdir()
    run(GANPlotCallback(folder / "gan", hw=2), GivenCosts(iterations, costs))
    return picture(folder / "gan_training.png")


def test_estimate_is_minus_the_cost_of_the_discriminator(tmp_path: Path) -> None:
    updates = np.arange(1.0, 1001.0)
    drawn = course(tmp_path / "rising", updates, updates)  # a cost that rises
    is_red = (drawn[..., 0] > 200) & (drawn[..., 1] < 80) & (drawn[..., 2] < 80)
    rows, columns = np.nonzero(is_red)
    assert rows[columns < np.median(columns)].mean() < rows[columns > np.median(columns)].mean() - 100


def test_updates_without_a_number_or_a_cost_are_not_drawn(tmp_path: Path) -> None:
    drawn = course(tmp_path / "with", [np.nan, 1, 2, 3], [-9, -4.0, np.nan, -1.0])
    np.testing.assert_array_equal(drawn, course(tmp_path / "without", [1, 3], [-4.0, -1.0]))


@pytest.mark.parametrize(
    ("costs", "cost"),
    [
        (None, None),
        (GivenCosts([np.nan], [np.nan]), None),
        (GivenCosts([1], [2]), SimpleNamespace(costfunc=SimpleNamespace(func="original"))),
    ],
    ids=["no series", "no value", "another cost"],
)
def test_course_of_training_is_left_out_where_there_is_none(
    costs: Callback | None, cost: Any, tmp_path: Path
) -> None:
    plot = GANPlotCallback(tmp_path / "gan", hw=2)
    run(*([plot] if costs is None else [plot, costs]), model=generator(cost=cost))
    assert names(tmp_path) == ["gan_data_000.png", "gan_noise_000.png"]


def test_cost_that_is_said_to_be_wassersteins_is_drawn(tmp_path: Path) -> None:
    cost = SimpleNamespace(costfunc=SimpleNamespace(func="wasserstein"))
    run(GANPlotCallback(tmp_path / "gan", hw=2), GivenCosts([1], [2]), model=generator(cost=cost))
    assert "gan_training.png" in names(tmp_path)


@pytest.mark.parametrize("length", [1, 100, 101, 102, 500])
def test_median_is_that_of_the_values_around(length: int) -> None:
    values = np.random.default_rng(0).standard_normal(length)
    places = np.arange(length)
    padded = np.pad(values, 50, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 101)
    np.testing.assert_array_equal(running_median(values, places), np.nanmedian(windows, axis=1))


def test_long_course_is_drawn_at_as_many_places_as_there_are_pixels(tmp_path: Path) -> None:
    updates = np.arange(1.0, 200_001.0)
    figure = GANPlotCallback(tmp_path / "gan", plot_width=300)._training_figure(updates, np.sqrt(updates))
    raw, smooth = figure.axes[0].lines
    assert len(raw.get_xdata()) == 200_000
    assert len(smooth.get_xdata()) == 300
    assert (smooth.get_xdata()[0], smooth.get_xdata()[-1]) == (1, 200_000)


def test_labels_are_as_large_as_asked_for(tmp_path: Path) -> None:
    plot = GANPlotCallback(tmp_path / "wgan", font_size=17)
    axes = plot._training_figure(np.array([1.0]), np.array([1.0])).axes[0]
    words = {
        "wgan": axes.title,
        "Generator iterations": axes.xaxis.label,
        "Wasserstein estimate": axes.yaxis.label,
    }
    for text, label in words.items():
        assert (label.get_text(), label.get_fontsize()) == (text, 17)


def test_nothing_of_matplotlibs_own_settings_is_changed(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    run(GANPlotCallback(tmp_path / "gan", hw=2), GivenCosts([1, 2], [1, 2]))
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported(tmp_path: Path) -> None:
    script = """
import sys, types
import numpy as np
from trainsignal import Callbacks, GANPlotCallback

images = np.zeros((4, 16))
callbacks = Callbacks(types.SimpleNamespace(data_batch=images, noise_batch=images), progress_bar=False)
callbacks.callbacks = [plot := GANPlotCallback(sys.argv[1], hw=2)]
assert "matplotlib" not in sys.modules
with callbacks.training(1) as run:
    for _ in run.epochs():
        plot._training_figure(np.ones(1), np.ones(1))
assert "matplotlib.image" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "gan")], check=True)


def test_failing_picture_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left")

    monkeypatch.setattr(matplotlib.image, "imsave", fail)
    with pytest.raises(OSError, match="No space left"):
        run(GANPlotCallback(tmp_path / "gan", hw=2))
    assert names(tmp_path) == []


def test_home_and_variables_in_the_name_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURES", str(tmp_path))
    run(GANPlotCallback("$PICTURES/gan", hw=2))
    assert "gan_data_000.png" in names(tmp_path)


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hw": 0}, "hw=0: expected a whole number, at least 1"),
        ({"hw": 2.5}, "hw=2.5: expected"),
        ({"num_samples": 0}, "num_samples=0: expected"),
        ({"padding": -1}, "padding=-1: expected a whole number, at least 0"),
        ({"plot_width": 0}, "plot_width=0: expected"),
        ({"plot_height": 0}, "plot_height=0: expected"),
        ({"nchan": 2}, "nchan=2: expected 1"),
        ({"dpi": 0}, "dpi=0, font_size=10: expected more than 0"),
        ({"font_size": -1}, "font_size=-1: expected more than 0"),
    ],
    ids=str,
)
def test_sizes_that_are_none_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GANPlotCallback("gan", **options)


def begin(*callbacks: Callback, model: Any) -> None:
    container = quiet(model)
    container.callbacks = list(callbacks)
    container.on_train_begin(1)


def test_images_of_another_size_are_refused_before_the_first_epoch_where_they_are_there(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match=r"model\.data_batch is \(4, 16\)"):
        begin(GANPlotCallback(tmp_path / "gan", hw=3), model=generator())


def test_images_that_come_with_the_first_epoch_are_refused_at_its_end(tmp_path: Path) -> None:
    model = SimpleNamespace()

    class Late(Callback):
        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            model.data_batch, model.noise_batch = samples(), samples(columns=3)

    with pytest.raises(DataError, match=r"model\.noise_batch has 3 columns, fewer than num_samples=4"):
        run(GANPlotCallback(tmp_path / "gan", hw=2, num_samples=4), Late(), model=model)


def test_model_that_keeps_no_samples_is_refused_at_the_end_of_the_first_epoch(tmp_path: Path) -> None:
    with pytest.raises(MissingAbilityError, match="keeps samples in data_batch and noise_batch"):
        run(GANPlotCallback(tmp_path / "gan"), model=Bare())


def test_missing_folder_is_refused_before_the_first_epoch(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot write the pictures to"):
        begin(GANPlotCallback(tmp_path / "none" / "gan", hw=2), model=generator())


def test_file_that_another_writes_is_refused(tmp_path: Path) -> None:
    class Other(Callback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            run_of(self).claim_file(tmp_path / "gan_training.png", "Other", self)

    with pytest.raises(ConfigurationError, match=r"Other and GANPlotCallback\(filename\) would both write"):
        begin(Other(), GANPlotCallback(tmp_path / "gan", hw=2), model=generator())


def test_missing_matplotlib_is_said_before_the_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r'pip install "trainsignal\[gan\]"'):
        begin(GANPlotCallback(tmp_path / "gan", hw=2), model=generator())
