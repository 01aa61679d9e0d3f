"""Keeping the newest n checkpoints of a run, under neon's names."""

from __future__ import annotations

import operator
import os
import re
import shutil
from collections.abc import Iterable
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

    Raises:
        ConfigurationError: `history` is no such number, the suffix names no format, `path` is not writable.
    """

    def __init__(self, path: str | os.PathLike[str], history: int = 1) -> None:
        self.path = expand(path).absolute()  # wherever the process goes later
        self.history = max(1, _checked(history))
        check_suffix(self.path)
        check_target(self.path, "the checkpoint")
        self._numbered: list[Path] = []  # those of this run, oldest first
        self._owns_path = False
        self._has_saved = False

    @property
    def written(self) -> list[str]:
        """Names of the numbered files that are this object's, oldest first; for `adopt`."""
        return [file.name for file in self._numbered]

    def adopt(self, written: Iterable[str], start: Path) -> None:
        """Take `path` over, and the files that an earlier process of the same run has written beside it.

        Nothing is taken over where the run goes on from a checkpoint of another name or folder.

        Args:
            written: what `written` was when the checkpoint was made from which the run goes on.
            start: absolute path of that checkpoint, or of the link to it.
        """
        if start.parent != self.path.parent or not self._is_ours(start):
            return
        self._owns_path = True
        newest = start.readlink() if start.is_symlink() else start  # which is not in the list
        earlier = [self.path.with_name(name) for name in (*written, newest.name)]
        self._numbered = [file for file in earlier if file != self.path and file.exists()]

    def _is_ours(self, file: Path) -> bool:
        """Return whether a file has a name that this object gives."""
        numbers = "(_[0-9]+){0,2}"
        pattern = f"{re.escape(self.path.stem)}{numbers}{re.escape(self.path.suffix)}"
        return re.fullmatch(pattern, file.name) is not None

    @property
    def has_any(self) -> bool:
        """Whether this object, or the process that it goes on for, has written a checkpoint."""
        return self._owns_path

    def save(self, state: object, epoch: int, minibatches: int | None = None) -> Path:
        """Write `state` as the checkpoint of a moment, and remove the oldest.

        Args:
            state: what `save_state` takes.
            epoch: 0-based index; the number in the file's name.
            minibatches: how many of the epoch are done, which follows in the name; None: all.

        Returns:
            The file that holds the state: `path`, or the numbered one.

        Raises:
            CheckpointError: it cannot be written, or the oldest cannot be removed; earlier ones are whole.
        """
        try:
            if not self._has_saved:
                remove_stale(self.path, numbered=True)  # what a killed run left half-written
                self._has_saved = True
            if self.history == 1:
                return self._save_alone(state)
            moment = str(epoch) if minibatches is None else f"{epoch}_{minibatches}"
            return self._save_numbered(state, moment)
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

    def _save_numbered(self, state: object, moment: str) -> Path:
        numbered = self.path.with_name(f"{self.path.stem}_{moment}{self.path.suffix}")
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


def _point(path: Path, numbered: Path) -> None:
    """Make `path` a relative link to `numbered` beside it, or a copy where there are no links."""
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(numbered.name)
        except OSError:
            shutil.copyfile(numbered, temporary)
