"""All callbacks of the package, found by themselves, and how to make and run each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

import trainsignal.callbacks
from tests.support.runs import fit, quiet, tiny_set
from tests.support.versatile import tiny_images, versatile_model
from trainsignal import Callback, Callbacks, LossCallback, TrainCostCallback
from trainsignal.models.numpy_net import PrecisionRecall

KINDS: list[type[Callback]] = [
    kind
    for kind in (getattr(trainsignal.callbacks, name) for name in trainsignal.callbacks.__all__)
    if isinstance(kind, type) and issubclass(kind, Callback)
]


def never_stop(state: Any, loss: Any) -> tuple[Any, bool]:
    return (state or 0) + 1, False


def constant_rate(epoch: int) -> float:
    return 0.1  # what `fit` trains with


def nothing(callback_data: Any, model: Any, epoch: int) -> None:
    pass


def made(kind: type[Callback], folder: Path) -> Callback:
    """Make one with what its required parameters stand for; a new name of one belongs in this table."""
    by_name: dict[str, Callable[[], Any]] = {
        "eval_set": tiny_set,
        "metric": lambda: PrecisionRecall(2, binarize=True),
        "labels": lambda: ["even", "odd"],
        "stop_func": lambda: never_stop,
        "save_path": lambda: folder / "model.h5",
        "path": lambda: folder / "best.h5",
        "plot_per_mini": lambda: True,
        "filter_key": lambda: ["W"],
        "filename": lambda: folder / "gan",
        "model": versatile_model,
        "valid_set": tiny_set,
        "train_set": lambda: None,  # the one callback that takes it does not use it
        "tune_set": tiny_set,
        "patience": lambda: 9,
        "limit": lambda: "1h",
        "log_dir": lambda: folder / "board",
        "schedule": lambda: constant_rate,
    }
    required = [one for one in inspect.signature(kind).parameters.values() if one.default is one.empty]
    one_of_many: dict[str, Any] = {"LambdaCallback": {"on_epoch_end": nothing}}  # it asks for any one
    options = one_of_many.get(kind.__name__, {})
    return kind(**{one.name: by_name[one.name]() for one in required}, **options)


def container_for(callback: Callback, **options: Any) -> Callbacks:
    """Return a container with the callback and the writers of all that it can read."""
    callbacks = quiet(versatile_model(), **options)
    companions = [LossCallback(tiny_set()), TrainCostCallback()]
    callbacks.callbacks = [
        *(one for one in companions if not set(one.writes) & set(callback.writes)),
        callback,
    ]
    return callbacks


def run(callbacks: Callbacks, epochs: int = 3) -> None:
    fit(callbacks.model(), callbacks, epochs, tiny_images())


def series_in(data: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}
    data.visititems(lambda name, it: found.update({name: it[...]}) if isinstance(it, h5py.Dataset) else None)
    return found
