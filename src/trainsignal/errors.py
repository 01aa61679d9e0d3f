"""The exceptions that trainsignal raises, each also the builtin that fits it, and the hint in their messages.

    TrainSignalError
    ├── UnknownSignalError        (LookupError, AttributeError)  no signal of that name
    ├── HandlerError              (TypeError)     a handler or hook that cannot be called as it will be
    ├── FrequencyError            (ValueError)    a frequency or filter that can never mean anything
    ├── ConfigurationError        (ValueError)    arguments that do not go together
    │   └── MissingPackageError   (ImportError)   an optional package is not installed, or too old
    ├── WiringError               (ValueError)    callbacks that cannot work together
    ├── MissingAbilityError       (TypeError)     the model cannot do what a callback needs of it
    ├── CostError                 (TypeError)     a minibatch cost that is absent or no number
    ├── DataError                 (ValueError)    a data set that cannot be trained or evaluated on
    ├── RunStateError             (RuntimeError)  a call that does not fit the moment of the run
    │   └── UnknownBatchSizeError (AttributeError)  asked of a backend that nobody has told it
    ├── CommunicatorError         (RuntimeError)  the ranks of a run cannot talk to each other
    │   └── RankFailedError                       another rank of the run failed, died or left
    ├── RelayError                (ConnectionError)  the broker cannot be reached, or says no
    ├── ArchiveError              (OSError)       the archive cannot be read, written or claimed
    │   └── ArchiveLockedError                    another run is writing it
    └── CheckpointError           (OSError)       a checkpoint cannot be read or written
        └── UntrustedPickleError                  reading it could run code, and nobody allowed that

Catch `TrainSignalError` for all of them. This module imports nothing of trainsignal.
"""

from __future__ import annotations

import difflib
from collections import abc


class TrainSignalError(Exception):
    """The root of every exception that trainsignal raises on purpose."""


class UnknownSignalError(TrainSignalError, LookupError, AttributeError):
    """A name that is no signal of this bus; `hasattr(bus, name)` is then False."""


class HandlerError(TrainSignalError, TypeError):
    """A handler or hook whose parameters do not fit what it will be called with."""


class FrequencyError(TrainSignalError, ValueError):
    """A frequency, index or interval that has no meaning (0, -1, True, "2")."""


class ConfigurationError(TrainSignalError, ValueError):
    """Arguments that do not go together, such as `eval_freq` without `eval_set`."""


class MissingPackageError(ConfigurationError, ImportError):
    """An optional package that is not installed, or too old."""


class WiringError(TrainSignalError, ValueError):
    """Callbacks that cannot work together: a missing writer, a cycle, a clash of names."""


class MissingAbilityError(TrainSignalError, TypeError):
    """A model that lacks what a callback needs of it."""


class CostError(TrainSignalError, TypeError):
    """A minibatch cost that nobody set, or that is not one number."""


class DataError(TrainSignalError, ValueError):
    """A data set that is empty or of the wrong shape."""


class RunStateError(TrainSignalError, RuntimeError):
    """A call at a moment of the run where it makes no sense, such as a second run."""


class UnknownBatchSizeError(RunStateError, AttributeError):
    """A batch size that nobody has told; `hasattr(be, "bsz")` is then False."""


class CommunicatorError(TrainSignalError, RuntimeError):
    """The ranks of a run cannot talk to each other, or have nothing to agree on."""


class RankFailedError(CommunicatorError):
    """Another rank of the run failed, died or left; the text names it: "rank 3: ValueError: bad batch"."""


class RelayError(TrainSignalError, ConnectionError):
    """The broker of a relay cannot be reached, or does not let us in."""


class ArchiveError(TrainSignalError, OSError):
    """An archive that cannot be read, written or claimed."""


class ArchiveLockedError(ArchiveError):
    """An archive that another run is writing."""


class CheckpointError(TrainSignalError, OSError):
    """A checkpoint that cannot be read or written."""


class UntrustedPickleError(CheckpointError):
    """A pickle that nobody said to trust; unpickling can run any code."""


def did_you_mean(name: str, known: abc.Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return what a message about an unknown name ends with: " Did you mean 'epoch_end'?", or "".

    Args:
        name: what was given.
        known: what could have been meant.
        cutoff: how near the nearest must be, from 0 to 1 for equal; `difflib.get_close_matches` measures it.
            One that differs in case alone is near enough.
    """
    names = list(known)
    same = [one for one in names if one.casefold() == name.casefold()]
    near = same or difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
