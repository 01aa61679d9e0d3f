"""Saving and loading a model's state: whole or not at all, and never by running code unasked.

    save_state(model.serialize(), "model.h5")
    state = load_state("model.h5")

    formats   the table of suffixes; `save_state` and `load_state`
    history   `CheckpointHistory`: the newest n of a run's checkpoints
    tree      which values a state may hold
    packing   a state as a JSON skeleton plus named arrays, for the formats that hold arrays
    hdf5, npz, pickles    one file format each; none knows another

Knows nothing of models, callbacks or runs.
"""

from trainsignal.checkpoint.formats import load_state, save_state
from trainsignal.checkpoint.history import CheckpointHistory

__all__ = ["CheckpointHistory", "load_state", "save_state"]
