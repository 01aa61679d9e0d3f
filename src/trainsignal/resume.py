"""Going on with a run that was cut short: reading a checkpoint that `snapshot` made, and putting it back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainsignal import keys, random_state
from trainsignal.abilities import CanLoad, HasTrainingState
from trainsignal.callback import Callback
from trainsignal.checkpoint import load_state
from trainsignal.checkpoint.tree import is_mapping
from trainsignal.errors import ArchiveError, CheckpointError, MissingAbilityError, RunStateError
from trainsignal.feed import EMPTY_FEED
from trainsignal.files import expand
from trainsignal.plain_state import plain_attributes, set_attributes
from trainsignal.plain_values import decode, encode
from trainsignal.run import TrainingRun
from trainsignal.shared_data import Moment
from trainsignal.snapshot import FORMAT

_logger = logging.getLogger(__name__)

_ENTRIES = (
    "run_id", "epoch", "epochs_complete", "is_within_epoch", "minibatch", "minibatches_done", "cost", "feed",
    "random", "training", "callbacks", "loose",
)  # fmt: skip


def _loader(model: object, what: str) -> CanLoad:
    if not isinstance(model, CanLoad):
        raise MissingAbilityError(f"{what}: {type(model).__name__} has no deserialize(state) to load it with")
    return model


def load_file(model: object, path: str | Path, *, trust_pickle: bool) -> None:
    """Load a checkpoint's model, to begin with; see `load_into`."""
    what = f"model_file={str(path)!r}"
    _loader(model, what)
    load_into(model, load_state(path, trust_pickle=trust_pickle), what)


def load_into(model: object, state: Mapping[str, Any], what: str) -> None:
    """Load the state of a model.

    Args:
        model: satisfies `CanLoad`.
        state: a checkpoint's content.
        what: which checkpoint, for messages: "model_file='model.h5'".

    Raises:
        MissingAbilityError: the model cannot load one.
        CheckpointError: it is of another model.
    """
    loader = _loader(model, what)
    try:
        loader.deserialize({key: value for key, value in state.items() if key != keys.CHECKPOINT_RUN})
    except Exception as error:
        error.add_note(f"while loading {what}")
        raise


@dataclass(frozen=True, slots=True)
class Resumption:
    """A checkpoint to go on from.

    Attributes:
        path: the file.
        state: the model's own state.
        saved: what `snapshot` returned.
    """

    path: Path
    state: Mapping[str, Any]
    saved: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path, *, may_be_absent: bool, trust_pickle: bool) -> Resumption | None:
        """Return what to go on from; None where there is no checkpoint yet, if that may be.

        Raises:
            CheckpointError: it cannot be read, or holds a model alone.
        """
        file = expand(path)
        if may_be_absent and not file.exists() and not file.is_symlink():
            _logger.warning("there is no checkpoint %s yet: the run begins anew", file)
            return None
        state: Any = load_state(file, trust_pickle=trust_pickle)
        saved: Any = state.get(keys.CHECKPOINT_RUN) if is_mapping(state) else None
        if not is_mapping(saved):
            raise CheckpointError(
                f"cannot resume from {str(file)!r}: it holds a model and no run. To start anew from its "
                "parameters pass it as model_file; to begin afresh, move it away."
            )
        if saved.get("format") != FORMAT:
            raise CheckpointError(
                f"cannot resume from {str(file)!r}: it was written by a newer trainsignal. Install that one."
            )
        missing = [key for key in _ENTRIES if key not in saved]
        if missing:
            raise CheckpointError(f"cannot resume from {str(file)!r}: its run has no entry {missing[0]!r}")
        return cls(file, state, saved)

    @property
    def moment(self) -> Moment:
        """Up to where the archive counts."""
        return Moment(self.saved["epoch"], self.saved["minibatches_done"])

    @property
    def is_within_epoch(self) -> bool:
        """Whether the epoch to go on with is done in part."""
        return bool(self.saved["is_within_epoch"])

    def for_ranks(self, ranks: int) -> Resumption:
        """Return what a run of so many ranks goes on from.

        With another number of them than before, minibatches are others: an epoch that was cut short is
        trained again from its begin, with the model as it was.
        """
        if self.saved.get("ranks", 1) == ranks:
            return self
        saved = {**self.saved, "feed": encode(dict(EMPTY_FEED))}
        if self.is_within_epoch:
            _logger.warning(
                "epoch %d is trained again from its begin, with the model as it was after %d minibatches: "
                "the run had %d ranks, and has %d now",
                saved["epoch"], saved["minibatch"], saved.get("ranks", 1), ranks,
            )  # fmt: skip
            before = saved["minibatches_done"] - saved["minibatch"]
            saved = {**saved, "is_within_epoch": False, "minibatch": 0, "minibatches_done": before}
        return replace(self, saved=saved)

    def check_archive(self, attributes: Mapping[str, Any] | None, path: str) -> None:
        """Refuse an archive that another run has written; tell of one that is absent or behind.

        Args:
            attributes: of its groups "config" and "time_markers"; None: there is none.
            path: its path, for the message.

        Raises:
            ArchiveError: it is of another run.
        """
        if attributes is None:
            _logger.warning("no archive at %s: the resumed run has no series of the time before", path)
            return
        run_id = attributes.get(keys.RUN_ID)
        if run_id is not None and run_id != self.saved["run_id"]:
            raise ArchiveError(
                f"cannot resume: the archive {path!r} and the checkpoint {str(self.path)!r} are of different "
                "runs. Move the archive away to resume without it, or name the one that belongs to it."
            )
        if attributes.get(keys.EPOCHS_COMPLETE, 0) < self.moment.epochs:
            _logger.warning(
                "the archive %s is behind the checkpoint, as after a full disk: rows stay missing", path
            )

    def check_first_epoch(self, epoch: int) -> None:
        """Refuse a loop that does not go on where the run was.

        Raises:
            RunStateError: it begins with another epoch.
        """
        expected = self.moment.epochs
        if epoch != expected:
            raise RunStateError(
                f"the run is resumed in epoch {expected}, and the loop begins with epoch {epoch}: begin it "
                "with callbacks.run.epochs_complete, which a fit takes as its initial epoch"
            )

    def tell(self, epochs: int | None) -> None:
        """Tell the user where the run goes on, and whether it has, of so many epochs, no more to do."""
        done = self.moment.epochs
        _logger.info(
            "the run goes on from %s: epoch %d, minibatch %d", self.path, done, self.saved["minibatch"]
        )
        if epochs is not None and done >= epochs:
            _logger.warning(
                "nothing is left to train: the checkpoint %s has %d epochs, and the run is to have %d",
                self.path, done, epochs,
            )  # fmt: skip

    def load_model(self, model: object) -> None:
        """Put the model back; see `load_into`."""
        load_into(model, self.state, f"the checkpoint {str(self.path)!r} to resume from")
        if self.saved["training"] is not None and isinstance(model, HasTrainingState):
            model.load_training_state(decode(self.saved["training"]))

    def place(self, run: TrainingRun) -> None:
        """Set the run's position to the last complete epoch before the moment."""
        run.is_being_restored, run.run_id = True, self.saved["run_id"]
        run.resumed_from = self.path.absolute()
        run.epochs_complete = self.saved["epochs_complete"]
        run.epoch = max(0, self.saved["epoch"] - 1)
        run.minibatches_complete = self.saved["minibatches_done"] - self.saved["minibatch"]
        if run.ranks is not None:
            run.ranks.stops.go_on_from(self.moment.epochs, self.saved["minibatch"])

    def begin_epoch(self, run: TrainingRun, callbacks: Mapping[str, Callback]) -> None:
        """Publish the begin of the epoch that was cut short once more, and put back what was then.

        Raises:
            Exception: as `restore`.
        """
        by_default = [one for one in callbacks.values() if type(one).state_dict is Callback.state_dict]
        before = [(callback, plain_attributes(callback)) for callback in by_default]
        run.bus.publish(run.bus.epoch_begin, run.model, epoch=run.epoch)
        for callback, attributes in before:  # what was so at the checkpoint too is not in it
            now = plain_attributes(callback)
            set_attributes(callback, decode({name: attributes[name] for name in attributes if name in now}))
        run.minibatch_begin.latest = run.minibatch_end.latest = self.saved["minibatch"] - 1
        self.restore(run, callbacks)

    def restore(self, run: TrainingRun, callbacks: Mapping[str, Callback]) -> None:
        """Put back where the model, the data, the callbacks and the random generators were.

        The model once more, for a hook of the new process may have changed it: one that loads weights to
        begin with in `on_train_begin`, or one of the begin of the epoch, which is published again.

        Raises:
            Exception: what the `load_state_dict` of a callback raised, with a note that names it.
        """
        random = decode(self.saved["random"])
        feed = decode(self.saved["feed"])
        if run.rank:  # what was saved are those of the first rank, whose shard and random numbers are others
            random = random_state.capture(run.model)
            sources = [{**source, "position": None, "random_before": random} for source in feed["sources"]]
            feed = {**feed, "sources": sources}
        self.load_model(run.model)
        run.minibatch_cost.load_state_dict(self.saved["cost"])
        run.feed.load_state_dict(feed, random)
        states: Mapping[str, Any] = self.saved["callbacks"]
        for name in () if run.rank else states.keys() - callbacks.keys():
            _logger.warning("the checkpoint holds a state of %s, which this run has not", name)
        for name, callback in callbacks.items():
            if name not in states:
                _logger.warning("the checkpoint holds no state of %s, which begins anew", name)
                continue
            try:
                callback.load_state_dict(decode(states[name]))
            except Exception as error:
                error.add_note(f"while {name} was put back to its state in {str(self.path)!r}")
                raise
        random_state.restore(random, run.model)
        run.is_being_restored = False
