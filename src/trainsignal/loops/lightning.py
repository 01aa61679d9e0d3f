"""`LightningLoop`: has callbacks listen to the training loop of Lightning.

The only file that imports Lightning. Trains nothing and evaluates nothing: it tells what the trainer does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trainsignal.abilities import TakesOptimizers
from trainsignal.container import Callbacks
from trainsignal.distributed.detect import can_agree
from trainsignal.errors import ConfigurationError
from trainsignal.extras import require
from trainsignal.frameworks import refuse_two_checkpoints
from trainsignal.loop_driver import LoopDriver

_USER = "trainsignal.loops.lightning"
torch: Any = require("torch", extra="lightning", user=_USER)
pytorch: Any = require("lightning.pytorch", extra="lightning", user=_USER, at_least="2.5")


class LightningLoop(pytorch.Callback):  # type: ignore[misc]  # untyped framework
    """Drives callbacks from `Trainer.fit`.

        callbacks = Callbacks(TorchModel(module, loss=mse_loss), output_file="run.h5", progress_bar=False)
        trainer = Trainer(max_epochs=10, callbacks=[LightningLoop(callbacks)])
        trainer.fit(module, train_loader, val_loader)

    A minibatch is a batch of the training loader, also where gradients are accumulated over several. What the
    module logs, in validation too, is there at the end of the epoch: the last value of each name in
    `trainer.callback_metrics`, if it was logged in this epoch. `validate`, `test`, `predict` and the sanity
    check publish nothing.

    A vote to stop sets `trainer.should_stop`: Lightning then validates, where it does so at all, and ends the
    epoch; but first it trains for `min_epochs` and `min_steps`. With several processes the first one alone
    drives callbacks, and every vote waits for the end of the epoch. An exception closes the run. Lightning
    turns Ctrl-C into `SystemExit(1)`; inside `with callbacks:` the minibatch is finished before.

    With `Callbacks(..., resume=True)` the trainer goes on at the epoch of our checkpoint, within it if the
    loader went through `callbacks.serve(loader)` and has a length; `global_step` then counts one step of the
    optimizer for each minibatch, or each few that are accumulated. What `fit(ckpt_path=...)` goes on with is
    a new run for us, which begins at the trainer's epoch.

    Args:
        callbacks: a `Callbacks` object, for one `fit`.
        loss: name under which the module logs the loss of its validation set, which becomes "cost/loss";
            None: "val_loss", where the trainer validates.
    """

    def __init__(self, callbacks: Callbacks, loss: str | None = None) -> None:
        self._driver = LoopDriver(callbacks, "torch")
        self._loss = loss
        self._last = _LastAtEpochEnd(self._end_epoch)
        self._seen: Mapping[str, Any] = {}
        self._agrees = True
        self._is_fed = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run, where the trainer or our checkpoint says.

        Raises:
            TrainSignalError: what is wrong with the wiring, the files, the model or the trainer.
        """
        self._seen, self._agrees = {}, can_agree(trainer.world_size)
        trainer.callbacks = [*trainer.callbacks, self._last]
        if not self._drives(trainer):
            return
        self._begin(trainer, pl_module)
        run = self._driver.run
        if run.is_resumed and trainer.ckpt_path is not None:
            refuse_two_checkpoints(f"the trainer's, {str(trainer.ckpt_path)!r}", "fit(ckpt_path=...)")
        if run.is_resumed:
            self._is_fed = run.feed.is_used
            _go_to_epoch(trainer, run.epochs_complete)
        else:
            self._go_on_as_trainer(trainer.fit_loop)
        trainer.should_stop = trainer.should_stop or run.should_stop("epoch")

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin an epoch."""
        self._driver.begin_epoch()
        run = self._driver.run
        if self._is_fed and run.epoch_minibatches:
            if _has_length(trainer):
                _go_to_minibatch(trainer, run.epoch_minibatches)
            else:
                run.feed.is_used = True
                self._driver.train_epoch_again(
                    "the loader has no length, so Lightning reads ahead, and where it was is not known. "
                    "Give it a __len__."
                )
        self._is_fed = False
        trainer.should_stop = trainer.should_stop or (self._agrees and self._driver.should_stop())

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Begin a minibatch."""
        self._driver.begin_minibatch()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End a minibatch; its cost is what `training_step` returned."""
        cost = outputs.get("loss") if outputs else None
        if cost is not None and trainer.accumulate_grad_batches != 1:
            cost = cost * trainer.accumulate_grad_batches  # Lightning has divided it
        if self._driver.end_minibatch(cost) and self._agrees:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End the run."""
        self._leave(trainer)
        self._driver.end()

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Tell of a fit that had nothing to do, as with an empty loader: a run without epochs."""
        if self._drives(trainer) and not self._driver.run.has_begun:
            self._begin(trainer, pl_module)
            self._driver.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the run because of an exception."""
        self._leave(trainer)
        self._driver.failed(exception)

    def _drives(self, trainer: Any) -> bool:
        """Return whether the callbacks of this process take part."""
        return self._agrees or bool(trainer.is_global_zero)

    def _begin(self, trainer: Any, pl_module: Any) -> None:
        driver = self._driver
        if not driver.run.is_in_its_process:
            raise ConfigurationError(
                "the trainer's strategy trains in copies of this process, where our Callbacks cannot be: use "
                'strategy="ddp", which starts the script in each process'
            )
        _check_is_part(driver.given_model(torch.nn.Module, "module"), pl_module)
        if isinstance(driver.model, TakesOptimizers):
            schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
            driver.model.take_optimizers(trainer.optimizers, schedulers)
        epochs = trainer.max_epochs
        driver.begin(
            None if epochs in (None, -1) else epochs,
            int(trainer.num_training_batches) if _has_length(trainer) else None,
            loss=self._loss or ("val_loss" if trainer.enable_validation else None),
        )

    def _go_on_as_trainer(self, fit_loop: Any) -> None:
        """Number epochs and minibatches as a trainer that goes on from a checkpoint of its own."""
        epochs = fit_loop.epoch_progress.current
        batches = fit_loop.epoch_loop.batch_progress
        is_within = epochs.started > epochs.processed  # then the trainer tells of no begin of the epoch
        done = batches.current.processed if is_within else 0
        self._driver.go_on(epochs.processed, batches.total.processed - done, within=done)
        if is_within:
            self._driver.begin_epoch()

    def _end_epoch(self, trainer: Any) -> None:
        driver = self._driver
        if driver.run.is_in_epoch:
            logged = dict(trainer.callback_metrics)
            driver.report(
                {name: value for name, value in logged.items() if value is not self._seen.get(name)}
            )
            self._seen = logged  # a value of an earlier epoch stays there, the very same object
            driver.end_epoch()
        if trainer.strategy.reduce_boolean_decision(driver.run.should_stop("epoch"), all=False):
            trainer.should_stop = True

    def _leave(self, trainer: Any) -> None:
        trainer.callbacks = [one for one in trainer.callbacks if one is not self._last]


class _LastAtEpochEnd(pytorch.callbacks.Checkpoint):  # type: ignore[misc]  # untyped framework
    """Hears of the end of an epoch after the module, which may log then too, as those that save checkpoints.

    Args:
        end_epoch: called with the trainer.
    """

    def __init__(self, end_epoch: Callable[[Any], None]) -> None:
        self._end_epoch = end_epoch

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """End the epoch."""
        self._end_epoch(trainer)


def _check_is_part(module: Any, pl_module: Any) -> None:
    """Refuse a module of which no parameter is trained; None: there is none."""
    if module is None:
        return
    trained = {id(parameter) for parameter in pl_module.parameters()}
    given = [id(parameter) for parameter in module.parameters()]
    if given and trained.isdisjoint(given):
        raise ConfigurationError(
            f"Callbacks was given a {type(module).__name__}, of which the trainer trains no parameter: it "
            f"fits a {type(pl_module).__name__}. Give Callbacks a TorchModel of that, or of a part of it"
        )


def _has_length(trainer: Any) -> bool:
    return bool(trainer.num_training_batches != float("inf"))


def _go_to_epoch(trainer: Any, epochs: int) -> None:
    """Have the trainer go on after so many epochs, each of which had all of its minibatches."""
    fit_loop = trainer.fit_loop
    _set_progress(fit_loop.epoch_progress.total, epochs)
    _set_progress(fit_loop.epoch_progress.current, epochs)
    if _has_length(trainer):
        minibatches = int(trainer.num_training_batches)
        _set_progress(fit_loop.epoch_loop.batch_progress.total, epochs * minibatches)
        _set_steps(fit_loop.epoch_loop, epochs * -(-minibatches // trainer.accumulate_grad_batches))


def _go_to_minibatch(trainer: Any, done: int) -> None:
    """Have the trainer go on within the epoch, whose loader yields only what is not done yet."""
    epoch_loop = trainer.fit_loop.epoch_loop
    _set_progress(epoch_loop.batch_progress.current, done)
    _set_progress(epoch_loop.batch_progress.total, epoch_loop.batch_progress.total.completed + done)
    _set_steps(epoch_loop, trainer.global_step + done // trainer.accumulate_grad_batches)
    epoch_loop.restarting = True


def _set_progress(tracker: Any, count: int) -> None:
    tracker.ready = tracker.started = tracker.processed = tracker.completed = count


def _set_steps(epoch_loop: Any, steps: int) -> None:
    """Set `trainer.global_step`, in both kinds of optimization."""
    automatic = epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
    manual = epoch_loop.manual_optimization.optim_step_progress.total
    automatic.ready = automatic.completed = manual.ready = manual.completed = steps
