"""`Callbacks`: neon's container of callbacks, over a bus, shared data and a run of its own.

Hands on and does nothing itself, but for the two minibatch methods: they hold the flat loop that `hot_path`
prepares, because a layer between costs more than the dispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from trainsignal import defaults, description, hand_loop, wiring
from trainsignal.abilities import CanFinish
from trainsignal.binding import Choice, HookReceiver, Member, bind, members
from trainsignal.bus import Bus
from trainsignal.callback import Callback
from trainsignal.callbacks import EarlyStopCallback, SaveBestStateCallback
from trainsignal.callbacks.early_stop import StopFunction
from trainsignal.errors import WiringError
from trainsignal.frequency import Frequency
from trainsignal.hot_path import Call, HotPath
from trainsignal.life import RunLife
from trainsignal.order import run_order
from trainsignal.preflight import check_is_callback, check_wiring, warn_of_idle
from trainsignal.receiver import OnError, check_on_error
from trainsignal.run import TrainingRun
from trainsignal.run_link import join
from trainsignal.shared_data import SharedData
from trainsignal.summary import summarize


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
        trust_pickle: bool = False,
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
            multicost: the model has several costs (not available yet).
            on_error: what an exception of a callback leads to, unless it was added with another choice.
            trust_pickle: allow `model_file` to be a pickle, which can run any code when it is loaded.
            clock: seconds; says what callbacks cost, when intervals are over and when publishing is due.

        Raises:
            ConfigurationError: arguments that do not go together.
        """
        check_on_error(on_error)
        self.bus = Bus(clock=clock)
        self.callback_data = SharedData(output_file, position=lambda: self.run.position(), clock=clock)
        self.run = TrainingRun(model, self.bus, self.callback_data, driver=self)
        self._life = RunLife(self.run, driver=self, on_close=self._unwire)
        self.output_file = output_file
        self.save_path = save_path
        self.model_file = model_file
        self._on_error: OnError = on_error
        self._trust_pickle = trust_pickle
        self._choices: dict[int, Choice] = {}
        self._bound: list[HookReceiver] = []
        self._begin = self.run.minibatch_begin
        self._end = self.run.minibatch_end
        self._callbacks = defaults.default_callbacks(
            eval_freq=eval_freq, eval_set=eval_set, metric=metric, progress_bar=progress_bar,
            save_path=save_path, serialize=serialize, history=history, multicost=multicost,
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

    # -- adding callbacks ------------------------------------------------------------------------------

    def add_callback(
        self,
        callback: Callback,
        insert_pos: int | None = None,
        *,
        name: str | None = None,
        on_error: OnError | None = None,
    ) -> None:
        """Add a callback.

        Args:
            callback: an instance.
            insert_pos: position in `callbacks`; None: at the end.
            name: how messages call it; None: its class's name.
            on_error: what an exception of it leads to; None: as the container was told.

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
        self._choices[id(callback)] = Choice(callback, name, on_error)
        self._callbacks.insert(position, callback)
        self._rewire()

    def add_save_best_state_callback(self, path: str | Path) -> None:
        """Save the model to `path` whenever the evaluation loss is better than ever before."""
        self.add_callback(SaveBestStateCallback(path))

    def add_early_stop_callback(self, stop_func: StopFunction) -> None:
        """Stop when `stop_func(state, loss) -> (state, stop)` says so; `state` begins as None."""
        self.add_callback(EarlyStopCallback(stop_func))

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
        check_wiring(self._callbacks, self.run.model, epochs)
        warn_of_idle(self._callbacks, epochs)
        self.callback_data.claim()
        try:
            if self.model_file is not None:
                defaults.load_model(self.run.model, self.model_file, trust_pickle=self._trust_pickle)
            self._wire()
        except BaseException:
            self._unwire()
            self.callback_data.release()
            raise
        with self._life.closing_on_error():
            self._life.begin(epochs)
            self._rewire()  # a callback may have replaced hooks of its own in on_train_begin

    def on_train_end(self) -> None:
        """Publish `train_end`, then close the run."""
        with self._life.closing_on_error():
            self._life.end()

    def on_epoch_begin(self, epoch: int) -> None:
        """Publish `epoch_begin` for the 0-based `epoch`."""
        with self._life.closing_on_error():
            self._life.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int) -> None:
        """Publish `epoch_end` for the 0-based `epoch`."""
        with self._life.closing_on_error():
            self._life.end_epoch(epoch)

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
            else:
                data, model = path.data, path.model
                for call in path.always:  # ends early where the wiring changes amid it
                    call(data, model, epoch, minibatch)
                if path.special < 0:
                    last, call = call, None  # from here on an error is not that of `last`
                    path.fire_rest(last, epoch, minibatch)
        except BaseException as error:  # noqa: BLE001  # `_recover` re-raises unless the user chose otherwise
            self._recover(path, call, error, epoch, minibatch)
        path.latest = minibatch

    # -- loops that we help ----------------------------------------------------------------------------

    @contextmanager
    def training(self, epochs: int | None) -> Generator[TrainingRun]:
        """Drive a hand-written loop: begin the run, yield it, and close it whatever happens.

            with callbacks.training(epochs=10) as run:
                for epoch in run.epochs():
                    for x, y in run.minibatches(loader):
                        run.cost = step(x, y)

        Args:
            epochs: how many; None: until somebody votes to stop.
        """
        with self:
            if isinstance(self.run.model, CanFinish):
                self.run.model.finished = False  # as `fit` does: an earlier run may have been stopped
            self.on_train_begin(epochs)
            yield self.run

    def stop(self, reason: str) -> None:
        """Vote to stop at the next minibatch boundary."""
        self.run.request_stop(reason, "user")

    def should_stop(self) -> bool:
        """Return whether a loop should stop now, between two minibatches."""
        return self.run.should_stop()

    def __enter__(self) -> Self:
        """Make it certain that the run is closed, and with which error, when the block is left."""
        self._life.is_guarded = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.is_guarded = False
        if error is not None:
            self._life.failed(error)
        else:
            with self._life.closing_on_error():
                hand_loop.finish(self.run, self)

    # -- wiring ----------------------------------------------------------------------------------------

    def _wire(self) -> None:
        before = self._bound
        self._bound = bind(self._members(run_order(self._callbacks)), self.bus, before)
        self._bound += [one for one in before if one not in self._bound]
        for callback in self._callbacks:
            join(callback, self.run)

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
