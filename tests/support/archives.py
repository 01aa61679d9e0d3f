"""Archives in memory for tests of reading them, as a stranger could have written them."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from trainsignal.report.contents import Contents
from trainsignal.report.progress import Progress, read_progress

_h5py: Any = h5py  # h5py-stubs do not know all of it

PER_MINIBATCH = {"time_markers": "minibatch"}
PER_EPOCH = {"time_markers": "epoch_freq", "epoch_freq": 1}


def archive() -> Any:
    """Return an empty HDF5 file in memory."""
    return _h5py.File.in_memory()


def put(file: Any, path: str, values: Any, attributes: Any = None, **options: Any) -> Any:
    """Write a dataset, and attributes of it; return it."""
    dataset = file.create_dataset(path, data=values, **options)
    dataset.attrs.update(attributes or {})
    return dataset


def mark(file: Any, ends: Any, *, epochs: int, minibatches: int, dtype: str = "i8") -> None:
    """Write the markers of a run.

    Args:
        file: the archive.
        ends: minibatches done up to the end of each epoch.
        epochs: complete ones.
        minibatches: of the complete epochs.
        dtype: of `ends`.
    """
    put(file, "time_markers/minibatch", np.asarray(ends, dtype))
    file["time_markers"].attrs.update({"epochs_complete": epochs, "minibatches_complete": minibatches})


def found_in(file: Any, **bounds: int) -> tuple[Contents, Progress, list[str]]:
    """Return the contents of an archive, what its markers say, and the list of what is told from here on.

    `bounds`: as of `Contents`.
    """
    told: list[str] = []
    contents = Contents(file, told.append, **bounds)
    return contents, read_progress(contents), told
