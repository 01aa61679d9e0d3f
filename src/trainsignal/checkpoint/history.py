"""Keeping the newest n checkpoints of a run, under neon's names."""

from __future__ import annotations

import operator
import os
import re
import shutil
from pathlib import Path

from trainsignal.checkpoint.formats import check_suffix, save_state
from trainsignal.errors import CheckpointError, ConfigurationError
from trainsignal.files import check_target, expand, keep_aside, remove_stale, replacing


class CheckpointHistory:
    """Saves a run's states at `path` and keeps the newest `history` of them.

    With `history=1` each state replaces `path`. With more, the state of epoch 7 is `model_7.h5`, and
    `model.h5` is a relative symbolic link to the newest (a copy, where the file system has no links).
    Only files that this object wrote are removed or replaced: any other file in the way is kept under a
    numbered name, `model.1.h5`. neon keeps one file more than its documentation says, and leaves a
    `model.h5` that is no link as it was.

    Args:
        path: the checkpoint; its suffix chooses the format, ~ and $VARIABLES are expanded.
        history: how many to keep. 0 counts as 1, as in neon.
        resumed: the run goes on from the checkpoints of an earlier run on this path: those of earlier epochs,
            and `path` itself, then count as written by this object.

    Raises:
        ConfigurationError: `history` is no such number, the suffix names no format, `path` is not writable.
    """

    def __init__(self, path: str | os.PathLike[str], history: int = 1, *, resumed: bool = False) -> None:
        self.path = expand(path).absolute()  # wherever the process goes later
        self.history = max(1, _checked(history))
        check_suffix(self.path)
        check_target(self.path, "the checkpoint")
        self._numbered: list[Path] = []  # those of this run, oldest first
        self._owns_path = resumed
        self._adopts_earlier = resumed
        self._has_saved = False

    def save(self, state: object, epoch: int) -> Path:
        """Write `state` as the checkpoint of `epoch`, and remove the oldest.

        Args:
            state: what `save_state` takes.
            epoch: 0-based index; the number in the file's name.

        Returns:
            The file that holds the state: `path`, or the numbered one.

        Raises:
            CheckpointError: it cannot be written, or the oldest cannot be removed; earlier ones are whole.
        """
        try:
            if not self._has_saved:
                remove_stale(self.path, numbered=True)  # what a killed run left half-written
                self._has_saved = True
            return self._save_alone(state) if self.history == 1 else self._save_numbered(state, epoch)
        except CheckpointError:
            raise
        except OSError as error:
            raise CheckpointError(
                f"cannot keep the checkpoints of {str(self.path)!r} in order: {error}. Check the free "
                "space and the permissions of its folder."
            ) from error

    def _save_alone(self, state: object) -> Path:
        self._clear_path()
        save_state(state, self.path)
        self._owns_path = True
        return self.path

    def _save_numbered(self, state: object, epoch: int) -> Path:
        if self._adopts_earlier:
            self._numbered = _numbered_before(self.path, epoch)
            self._adopts_earlier = False
        numbered = self.path.with_name(f"{self.path.stem}_{epoch}{self.path.suffix}")
        if numbered not in self._numbered:
            keep_aside(numbered)
        save_state(state, numbered)
        self._numbered = [file for file in self._numbered if file != numbered] + [numbered]
        self._clear_path()
        _point(self.path, numbered)
        self._owns_path = True
        while len(self._numbered) > self.history:
            self._numbered[0].unlink(missing_ok=True)
            del self._numbered[0]
        return numbered

    def _clear_path(self) -> None:
        """Keep somebody else's file at `path`; a link may go, as what it leads to has its own name."""
        if not self._owns_path and not self.path.is_symlink():
            keep_aside(self.path)


def _checked(history: int) -> int:
    try:
        count = operator.index(history)
    except TypeError:
        count = -1
    if count < 0 or isinstance(history, bool):
        raise ConfigurationError(
            f"history={history!r} is no number of checkpoints to keep. Give an int of at least 1."
        )
    return count


def _numbered_before(path: Path, epoch: int) -> list[Path]:
    """Return the numbered checkpoints of `path` for epochs before `epoch`, oldest first."""
    pattern = re.compile(rf"{re.escape(path.stem)}_(0|[1-9][0-9]*){re.escape(path.suffix)}")
    matches = ((pattern.fullmatch(file.name), file) for file in path.parent.glob("*"))
    found = sorted((int(match[1]), file) for match, file in matches if match)
    return [file for number, file in found if number < epoch]


def _point(path: Path, numbered: Path) -> None:
    """Make `path` a relative link to `numbered` beside it, or a copy where there are no links."""
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(numbered.name)
        except OSError:
            shutil.copyfile(numbered, temporary)
