"""`Callbacks`: neon's container of callbacks, over a bus, shared data and a run of its own.

Hands on and does nothing itself, but for the two minibatch methods: they hold the flat loop that `hot_path`
prepares, because a layer between costs more than the dispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from trainsignal import defaults, description, hand_loop, wiring
from trainsignal.abilities import CanFinish
from trainsignal.binding import Choice, HookReceiver, Member, bind, members
from trainsignal.bus import Bus
from trainsignal.callback import Callback
from trainsignal.callbacks import (
    DeconvCallback,
    EarlyStopCallback,
    HistCallback,
    SaveBestStateCallback,
    WatchTickerCallback,
)
from trainsignal.callbacks.early_stop import StopFunction
from trainsignal.distributed.communicator import Communicator
from trainsignal.ending import reason_of
from trainsignal.errors import ConfigurationError, WiringError
from trainsignal.feed import Served
from trainsignal.frequency import Frequency
from trainsignal.hot_path import Call, HotPath
from trainsignal.interrupt import Interruption
from trainsignal.joining import (
    begin_relay,
    introduction,
    join_ranks,
    leave_ranks,
    relay_settings,
    run_everywhere,
)
from trainsignal.life import RunLife
from trainsignal.order import run_order
from trainsignal.preflight import check_is_callback, check_wiring, warn_of_idle
from trainsignal.receiver import OnError, check_on_error
from trainsignal.resume import Resumption, load_file
from trainsignal.run import TrainingRun
from trainsignal.run_link import join
from trainsignal.shared_data import SharedData
from trainsignal.subscription import When
from trainsignal.summary import summarize

if TYPE_CHECKING:
    from trainsignal.relay import Relay

_Batch = TypeVar("_Batch")


class Callbacks:
    """The callbacks of one training run, and the six calls through which a loop drives them.

    Source: neon's class of this name; `docs/differs-from-neon.md` lists what differs.

    Attributes:
        callbacks: list of callbacks, in the order in which they were added; may be edited before training.
        bus: signals of this run, for handlers: `callbacks.bus.subscribe("epoch_end", handler)`.
        callback_data: the shared data, an `h5py.File`; stays readable after the run.
        run: where the run stands, and how it ended.
        output_file: path of the archive; None: the data stays in memory.
        save_path: path of the checkpoints, or None.
        model_file: path of the checkpoint that is loaded before training, or None.
    """

    def __init__(
        self,
        model: Any,
        train_set: Any = None,
        output_file: str | Path | None = None,
        eval_freq: Frequency = None,
        progress_bar: bool = True,
        save_path: str | Path | None = None,
        serialize: int = 0,
        history: int = 1,
        model_file: str | Path | None = None,
        eval_set: Any = None,
        metric: Any = None,
        log_token: str | None = None,
        multicost: bool = False,
        *,
        on_error: OnError = "raise",
        resume: bool | str | Path = False,
        checkpoint_every: When = None,
        grace_s: float = 15.0,
        trust_pickle: bool = False,
        communicator: Communicator | None = None,
        relay: str | Relay | None = None,
        allow_remote_stop: bool = False,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Make the container with neon's default callbacks.

        Args:
            model: any object; what a callback needs of it is checked before epoch 0.
            train_set: deprecated in neon, and not used.
            output_file: archive to write; a file that is there is kept under a numbered name.
            eval_freq: evaluate every nth epoch, or at the 0-based epochs of a list; None: never.
            progress_bar: show one.
            save_path: checkpoint to write; its suffix chooses the format.
            serialize: write it every nth epoch; 0 counts as 1.
            history: how many checkpoints to keep.
            model_file: checkpoint to load at train begin.
            eval_set: data set for the loss and the metric.
            metric: metric to evaluate beside the loss.
            log_token: neon's cloud service is gone; has no effect.
            multicost: record each of the model's several costs (`model.cost.costs`) instead of one.
            on_error: what an exception of a callback leads to, unless it was added with another choice.
            resume: True: go on from the checkpoint at `save_path`, with the same archive; where there is none
                yet, begin anew. A path: go on from that checkpoint, which must be there.
            checkpoint_every: save checkpoints within epochs too: every nth minibatch, or after each interval
                ("30m").
            grace_s: seconds after Ctrl-C or SIGTERM within which the current minibatch may end in order.
            trust_pickle: allow `model_file`, and the checkpoint to resume from, to be a pickle, which can
                run any code when it is loaded.
            communicator: how this process talks to the others that train the same model, such as
                `trainsignal.distributed.mpi.MPICommunicator()`; None: by torch.distributed, where that is
                initialised when the run begins.
            relay: tell listeners on other machines of this run, through the Redis server at this URL; a
                `trainsignal.relay.Relay` says more.
            allow_remote_stop: let whoever reaches that server stop the run.
            clock: seconds; says what callbacks cost, when intervals are over and when publishing is due.

        Raises:
            ConfigurationError: arguments that do not go together.
        """
        check_on_error(on_error)
        if resume is True and save_path is None:
            raise ConfigurationError(
                "resume=True without save_path: pass the path of the checkpoints as save_path, or that of "
                "one as resume"
            )
        self.bus = Bus(clock=clock)
        self.callback_data = SharedData(output_file, position=lambda: self.run.position(), clock=clock)
        self.run = TrainingRun(model, self.bus, self.callback_data, driver=self)
        self._life = RunLife(self.run, driver=self, bound=lambda: self._bound, on_close=self._unwire)
        self._interruption = Interruption(grace_s, self.run.minibatch_end.wake, self.run.force)
        self.output_file = output_file
        self.save_path = save_path
        self.model_file = model_file
        self._on_error: OnError = on_error
        self._resume_from = save_path if resume is True else (resume or None)
        self._may_begin_anew = resume is True
        self._trust_pickle = trust_pickle
        self._communicator = communicator
        self._relay = relay_settings(relay, allow_remote_stop=allow_remote_stop)
        self._choices: dict[int, Choice] = {}
        self._bound: list[HookReceiver] = []
        self._begin = self.run.minibatch_begin
        self._end = self.run.minibatch_end
        self._callbacks = defaults.default_callbacks(
            model, eval_freq=eval_freq, eval_set=eval_set, metric=metric, progress_bar=progress_bar,
            save_path=save_path, serialize=serialize, checkpoint_every=checkpoint_every, history=history,
            multicost=multicost, clock=clock,
        )  # fmt: skip
        defaults.check_leftovers(train_set, log_token)

    # -- what is there ---------------------------------------------------------------------------------

    def model(self) -> Any:
        """Return the model; neon holds it weakly and is called the same way."""
        return self.run.model

    @property
    def callbacks(self) -> list[Callback]:
        """The callbacks in the order in which they were added; replacing the list is seen also in a run."""
        return self._callbacks

    @callbacks.setter
    def callbacks(self, callbacks: list[Callback]) -> None:
        self._check_amid_run(callbacks)
        self._callbacks = callbacks
        self._rewire()

    @property
    def epoch_marker(self) -> int:
        """Minibatches done up to the end of the last complete epoch."""
        return self.run.minibatches_complete

    @property
    def epoch_minibatches(self) -> int:
        """Minibatches done in the current epoch."""
        return self.run.epoch_minibatches

    def __str__(self) -> str:
        """Return the wiring: each signal with its receivers in order, and who reads and writes what."""
        try:
            in_order, wrong = run_order(self._callbacks), ""
        except WiringError as error:  # what is wrong is best seen in the wiring
            in_order, wrong = self._callbacks, f"\nwrong: {error}"
        return wiring.describe(self._members(in_order), self.bus, self.run.model) + wrong

    def summary(self) -> str:
        """Return what became of the run, in lines: why it ended, best values, time per callback, files."""
        return summarize(self.run, self._bound, self.output_file)

    def show(self) -> None:
        """Display the run in the current cell of a notebook, and follow it there until it is closed.

        Raises:
            ConfigurationError: there is no notebook.
        """
        from trainsignal.report import notebook  # what draws is imported when somebody wants to see

        notebook.show(self.run, lambda: self._bound, self.__str__)

    def _repr_html_(self) -> str:
        """Return the run as HTML, which notebooks display: what ran, how it ended, values, charts."""
        from trainsignal.report import notebook

        return notebook.as_html(self.run, self._bound, self.__str__)

    def serialize(self) -> dict[str, Any]:
        """Return the description of the container and its callbacks; the same as `get_description`."""
        return self.get_description()

    def get_description(self) -> dict[str, Any]:
        """Return type and constructor arguments of each callback, as plain values. Source: neon."""
        return {
            "epoch_marker": self.epoch_marker,
            "output_file": None if self.output_file is None else str(self.output_file),
            "callbacks": [description.describe(callback) for callback in self._callbacks],
        }

    @classmethod
    def load_callbacks(
        cls,
        cdict: Mapping[str, Any] | str | Path,
        model: Any,
        data: Iterable[Any] = (),
        *,
        trust_pickle: bool = False,
    ) -> Self:
        """Return a container with the callbacks of a description.

        Args:
            cdict: what `get_description` returned, or a file with it.
            model: any object.
            data: what the description only names: data sets by their `name`, metrics, functions.
            trust_pickle: allow the file to be a pickle, which can run any code when it is loaded.

        Raises:
            ConfigurationError: a class is not loaded, or a data set is not among `data`.
        """
        described = description.read_description(cdict, trust_pickle=trust_pickle)
        callbacks = cls(model, output_file=described.get("output_file"))
        callbacks.callbacks = description.rebuild(described, data)
        return callbacks

    # -- adding callbacks ------------------------------------------------------------------------------

    def add_callback(
        self,
        callback: Callback,
        insert_pos: int | None = None,
        *,
        name: str | None = None,
        on_error: OnError | None = None,
        only_first: bool | None = None,
    ) -> None:
        """Add a callback.

        Args:
            callback: an instance.
            insert_pos: position in `callbacks`; None: at the end.
            name: how messages call it; None: its class's name.
            on_error: what an exception of it leads to; None: as the container was told.
            only_first: of a run of several ranks, run it on the first one alone; None: as its class says.

        Raises:
            WiringError: it is no callback.
            ConfigurationError: `on_error` is no policy.
        """
        check_is_callback(callback)
        if on_error is not None:
            check_on_error(on_error)
        position = len(self._callbacks) if insert_pos is None else insert_pos
        changed = [*self._callbacks]
        changed.insert(position, callback)
        self._check_amid_run(changed)
        self._choices[id(callback)] = Choice(callback, name, on_error, only_first)
        self._callbacks.insert(position, callback)
        self._rewire()

    def add_save_best_state_callback(self, path: str | Path) -> None:
        """Save the model to `path` whenever the evaluation loss is better than ever before."""
        self.add_callback(SaveBestStateCallback(path))

    def add_early_stop_callback(self, stop_func: StopFunction) -> None:
        """Stop when `stop_func(state, loss) -> (state, stop)` says so; `state` begins as None."""
        self.add_callback(EarlyStopCallback(stop_func))

    def add_hist_callback(self, plot_per_mini: bool = False, filter_key: Sequence[str] = ("W",)) -> None:
        """Archive histograms of the parameters of these names, per minibatch or per epoch."""
        self.add_callback(HistCallback(plot_per_mini, filter_key))

    def add_deconv_callback(
        self, train_set: Any, valid_set: Any, max_fm: int = 16, dataset_pct: float = 25
    ) -> None:
        """Archive, at the end, which images excite the feature maps of each convolution, and what in them.

        Args:
            train_set: not used, as in neon.
            valid_set: images to search.
            max_fm: feature maps of each layer, at most.
            dataset_pct: how much of `valid_set` to search, in percent.
        """
        self.add_callback(DeconvCallback(train_set, valid_set, max_fm=max_fm, dataset_pct=dataset_pct))

    def add_watch_ticker_callback(self, valid: Any) -> None:
        """Log inputs, outputs and targets of one sequence of `valid` at each epoch's end."""
        self.add_callback(WatchTickerCallback(self.model(), valid))

    # -- neon's six calls ------------------------------------------------------------------------------

    def on_train_begin(self, epochs: int | None) -> None:
        """Check the wiring, claim the archive, load `model_file`, and publish `train_begin`.

        Until `train_begin` an error leaves all as it was: mend the cause and call again.

        Args:
            epochs: how many there will be; None where unknown.

        Raises:
            TrainSignalError: what is wrong with the wiring, the files or the model.
        """
        self._life.check_new(epochs)
        ranks = join_ranks(self._communicator, self.run, self._life, self._interruption)
        resumption: Resumption | None = None
        try:
            if ranks is None:
                resumption = self._prepare(epochs)
            else:
                everywhere = run_everywhere(self._callbacks, self._choices)
                with ranks.meeting(lambda: introduction(self.run, everywhere, epochs, resumption)):
                    check_wiring(everywhere, self.run.model, epochs)
                    resumption = self._prepare(epochs)
        except BaseException:
            self._unwire()
            self.callback_data.release()
            leave_ranks(self.run)
            raise
        with self._life.closing_on_error():
            begin_relay(self._relay, self.run, lambda: self._callbacks)
            self._life.begin(epochs, resumption)
            self._rewire()  # a callback may have replaced hooks of its own in on_train_begin
            self._heed_signals()

    def on_train_end(self) -> None:
        """Publish `train_end`, then close the run."""
        with self._life.closing_on_error():
            self._life.end()

    def on_epoch_begin(self, epoch: int) -> None:
        """Publish `epoch_begin` for the 0-based `epoch`."""
        with self._life.closing_on_error():
            self._life.begin_epoch(epoch)
            self._heed_signals()

    def on_epoch_end(self, epoch: int) -> None:
        """Publish `epoch_end` for the 0-based `epoch`."""
        with self._life.closing_on_error():
            self._life.end_epoch(epoch)
            self._heed_signals()

    # The loop stands twice: a call to one that both share costs more than publishing to nobody does.

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        """Publish `minibatch_begin`; indices are 0-based, `minibatch` within its epoch."""
        path = self._begin
        path.latest = minibatch
        if minibatch < path.special and not path.always:  # nothing is due
            return
        call = None
        try:
            if minibatch >= path.special:
                path.fire(epoch, minibatch)
                return
            data, model = path.data, path.model
            for call in path.always:  # ends early where the wiring changes amid it
                call(data, model, epoch, minibatch)
            if path.special < 0:
                last, call = call, None  # from here on an error is not that of `last`
                path.fire_rest(last, epoch, minibatch)
        except BaseException as error:  # noqa: BLE001  # `_recover` re-raises unless the user chose otherwise
            self._recover(path, call, error, epoch, minibatch)

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        """Publish `minibatch_end`; indices are 0-based, `minibatch` within its epoch."""
        path = self._end
        if minibatch < path.special and not path.always:  # nothing is due
            path.latest = minibatch
            return
        call = None
        try:
            if minibatch >= path.special:
                path.fire(epoch, minibatch)
                path.latest = minibatch
                self._heed_signals()
            else:
                data, model = path.data, path.model
                for call in path.always:  # ends early where the wiring changes amid it
                    call(data, model, epoch, minibatch)
                if path.special < 0:
                    last, call = call, None  # from here on an error is not that of `last`
                    path.fire_rest(last, epoch, minibatch)
        except BaseException as error:  # noqa: BLE001  # `_recover` re-raises unless the user chose otherwise
            path.latest = minibatch  # the model has learned from it, whoever has not heard of that
            self._recover(path, call, error, epoch, minibatch)
        path.latest = minibatch

    # -- loops that we help ----------------------------------------------------------------------------

    @contextmanager
    def training(self, epochs: int | None, minibatches: int | None = None) -> Generator[TrainingRun]:
        """Drive a hand-written loop: begin the run, yield it, and close it whatever happens.

            with callbacks.training(epochs=10) as run:
                for epoch in run.epochs():
                    for x, y in run.minibatches(loader):
                        run.cost = step(x, y)

        Args:
            epochs: how many; None: until somebody votes to stop.
            minibatches: of an epoch, where callbacks want to know at train begin, as `model.nbatches` say;
                None: each loader tells, if it has a length.
        """
        with self:
            self.run.minibatches_per_epoch = minibatches
            if isinstance(self.run.model, CanFinish):
                self.run.model.finished = False  # as `fit` does: an earlier run may have been stopped
            self.on_train_begin(epochs)
            yield self.run

    def serve(self, dataset: Iterable[_Batch]) -> Iterable[_Batch]:
        """Return what yields the minibatches of a data set, each epoch's by one iteration.

        A loop that takes them through this, as `run.minibatches` does too, can be resumed within an epoch:
        its data set is put back, at once, and the first iteration yields what was not done yet.
        """
        self.run.feed.place(dataset)
        return Served(self.run.feed, dataset)

    def stop(self, reason: str) -> None:
        """Vote to stop at the next minibatch boundary."""
        self.run.request_stop(reason, "user")

    def close(self, error: BaseException) -> None:
        """Close the run because of an exception of which a framework tells, but which it may not let pass.

        Does nothing where no run is open. An exception that leaves a `with callbacks:` block, or that a
        callback raises, closes the run by itself.
        """
        if self.run.is_open:
            self._life.close(reason_of(error), error)

    def should_stop(self) -> bool:
        """Return whether a loop should stop now, between two minibatches."""
        return self.run.should_stop()

    def __enter__(self) -> Self:
        """Make it certain that the run is closed, and with which error, when the block is left."""
        self._interruption.__enter__()
        self._life.is_guarded = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.is_guarded = False
        try:
            if error is not None:
                self._life.failed(error)
            else:
                with self._life.closing_on_error():
                    hand_loop.finish(self.run, self)
        finally:
            self._interruption.__exit__(kind, error, trace)

    def _heed_signals(self) -> None:
        """Raise what SIGINT or SIGTERM asked for; of several ranks, when all have agreed on the moment."""
        if self.run.ranks is None:
            self._interruption.raise_if_asked()
        else:
            self.run.ranks.stops.at_boundary()

    # -- wiring ----------------------------------------------------------------------------------------

    def _prepare(self, epochs: int | None) -> Resumption | None:
        """Check, claim, load and wire all that a run needs; return what it goes on from, or None."""
        check_wiring(self._callbacks, self.run.model, epochs)
        warn_of_idle(self._callbacks, epochs)
        self.callback_data.claim()
        resumption = self._resumption()
        if resumption is not None:
            resumption.load_model(self.run.model)
        elif self.model_file is not None:
            load_file(self.run.model, self.model_file, trust_pickle=self._trust_pickle)
        self._wire()
        return resumption

    def _wire(self) -> None:
        before, everywhere = self._bound, run_everywhere(self._callbacks, self._choices)
        here = self._callbacks if self.run.rank == 0 else everywhere
        self._bound = bind(self._members(run_order(here)), self.bus, before)
        self.run.evaluations.arrange(self._bound, [one for one in here if one not in everywhere])
        self._bound += [one for one in before if one not in self._bound]
        for callback in here:
            join(callback, self.run)

    def _resumption(self) -> Resumption | None:
        """Return the checkpoint to go on from, if the user wants that and there is one."""
        if self._resume_from is None:
            return None
        resumption = Resumption.read(
            self._resume_from, may_be_absent=self._may_begin_anew, trust_pickle=self._trust_pickle
        )
        if resumption is None:
            return None
        resumption.check_archive(self.callback_data.hold_previous(), self.callback_data.filename)
        return resumption.for_ranks(1 if self.run.ranks is None else self.run.ranks.size)

    def _check_amid_run(self, callbacks: list[Callback]) -> None:
        """Refuse a change during a run that would not have been allowed before it."""
        if self.run.is_open:
            check_wiring(callbacks, self.run.model, self.run.total_epochs)

    def _rewire(self) -> None:
        """Follow a change of the callbacks during a run."""
        if not self.run.is_open:
            return
        before = {id(receiver.member.callback) for receiver in self._bound}
        self._unwire()
        self._wire()
        for receiver in self._bound:
            if receiver.hook.signal == "train_begin" and id(receiver.member.callback) not in before:
                receiver(self.run.model, epochs=self.run.total_epochs)

    def _unwire(self) -> None:
        for receiver in self._bound:
            receiver.disconnect()
            join(receiver.member.callback, None)

    def _members(self, callbacks: list[Callback]) -> list[Member]:
        return members(callbacks, self._callbacks, self._choices, self._on_error)

    def _recover(
        self, path: HotPath, call: Call | None, error: BaseException, epoch: int, minibatch: int
    ) -> None:
        with self._life.closing_on_error():
            path.recover(call, error, epoch, minibatch)
