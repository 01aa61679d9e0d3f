"""`TransformersLoop`: has callbacks listen to the Trainer of Hugging Face transformers.

The only file that imports PyTorch, transformers and accelerate. Trains nothing and evaluates nothing.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from trainsignal.abilities import TakesOptimizers
from trainsignal.container import Callbacks
from trainsignal.distributed.detect import can_agree
from trainsignal.errors import ConfigurationError
from trainsignal.extras import require
from trainsignal.frameworks import refuse_two_checkpoints
from trainsignal.loop_driver import LoopDriver
from trainsignal.loops.transformers.loss_hook import LossHook
from trainsignal.loops.transformers.trainer import EVALUATED, direction_of, steps_per_epoch

_logger = logging.getLogger(__name__)
_USER: Final = "trainsignal.loops.transformers"
transformers: Any = require("transformers", extra="transformers", user=_USER, at_least="5")
torch: Any = require("torch", extra="transformers", user=_USER)
accelerate: Any = require("accelerate.utils", extra="transformers", user=_USER)


class TransformersLoop(transformers.TrainerCallback):  # type: ignore[misc]  # untyped framework
    """Drives callbacks from `Trainer.train`.

        callbacks = Callbacks(TorchModel(model), output_file="run.h5", progress_bar=False)
        trainer = Trainer(model, arguments, train_dataset=data, callbacks=[TransformersLoop(callbacks)])
        with callbacks:
            trainer.train()

    The Trainer tells nobody when its loop raises, hence the `with` block. A minibatch is what the Trainer
    calls a step: an update of the parameters, where gradients are accumulated from several batches. Its cost
    is the loss in the model's outputs; a Trainer that computes another one (an overridden `compute_loss`,
    `compute_loss_func`, label smoothing) sets `callbacks.run.cost = loss` there.

    An epoch ends after the evaluation at its end, so that what was evaluated is there; of evaluations within
    an epoch the last one counts for it, and each is written at its minibatch, as "eval_loss_by_minibatch".
    What the Trainer logs ("loss", "learning_rate", "grad_norm") is written at the latest minibatch. Put
    TransformersLoop after callbacks that ask the Trainer to evaluate.

    A vote to stop sets `control.should_training_stop`: the Trainer evaluates if that is due, and ends the
    epoch. After one before the first minibatch of an epoch it trains on that minibatch still. With several
    processes the first one alone drives callbacks, and every vote waits for the end of the epoch, where all
    of them stop.

    With `Callbacks(..., resume=True)` a new Trainer goes on at the epoch of our checkpoint, with the state of
    its optimizer and of its learning rate schedule; its own count of epochs and steps begins at 0. It goes on
    within the epoch if its `get_train_dataloader` returns `callbacks.serve(DataLoader(...))`, with PyTorch's
    loader: accelerate's has a `state_dict` that does not work. A run that `train(resume_from_checkpoint=...)`
    goes on with is a new one for us, which begins at the Trainer's epoch.

    Args:
        callbacks: a `Callbacks` object, for one `train`.
        loss: name of the evaluated value that becomes "cost/loss"; with a dict of evaluation sets
            "eval_<set>_loss".
        evaluation_sets: how many sets that dict has.
        is_loss_in_outputs: False where the model's outputs have a loss, but the Trainer computes another one.

    Raises:
        TypeError: `callbacks` is no `Callbacks` object.
        ConfigurationError: `evaluation_sets` is no count of sets.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        loss: str = "eval_loss",
        *,
        evaluation_sets: int = 1,
        is_loss_in_outputs: bool = True,
    ) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  # untyped framework
        if evaluation_sets < 1:
            raise ConfigurationError(f"evaluation_sets={evaluation_sets!r}: expected 1 or more")
        self._driver = LoopDriver(callbacks, "torch")
        self._loss = loss
        self._evaluation_sets = evaluation_sets
        self._is_loss_in_outputs = is_loss_in_outputs
        self._hook = LossHook()
        self._handle: Any = None
        self._agrees = True
        self._awaited = 0  # evaluations before the epoch ends
        self._has_begun = self._is_in_epoch = False  # told in every process of the Trainer
        self._is_to_catch_up = self._has_warned = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the run, where the Trainer or our checkpoint says.

        Raises:
            ConfigurationError: `Callbacks` was given another model; two checkpoints are to be resumed;
                nothing is left to do.
            TrainSignalError: what is wrong with the wiring, the files or the model.
        """
        self._agrees = can_agree(args.world_size)
        if not self._agrees and not state.is_world_process_zero:
            return
        driver, model, loader = self._driver, kwargs["model"], kwargs["train_dataloader"]
        driver.check_is_trained(model, torch.nn.Module, "module", "give it TorchModel(trainer.model)")
        steps = steps_per_epoch(loader, args.gradient_accumulation_steps)
        epochs = None if state.num_train_epochs == sys.maxsize else state.num_train_epochs
        driver.callbacks.bus.subscribe("run_closed", self._let_go)
        try:
            if isinstance(driver.model, TakesOptimizers):
                driver.model.take_optimizers([kwargs["optimizer"]], [kwargs["lr_scheduler"]])
            driver.begin(epochs, steps, loss=None if args.eval_strategy == "no" else self._loss)
            if driver.run.is_resumed:
                self._go_on(state, loader)
        except BaseException as error:
            driver.failed(error)
            self._let_go()
            raise
        if state.global_step:
            self._go_on_as_trainer(state.global_step, steps, may_skip=not args.ignore_data_skip)
        if self._is_loss_in_outputs:
            self._handle = model.register_forward_hook(self._hook, with_kwargs=True)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin an epoch."""
        if self._is_in_epoch:  # a Trainer with an `evaluate` of its own may tell nothing of it
            self._end_epoch(control)
        self._has_begun = self._is_in_epoch = True
        self._driver.begin_epoch()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin a minibatch."""
        self._driver.begin_minibatch()
        if self._is_to_catch_up:  # not before: only now it is known where in the epoch the run goes on
            self._is_to_catch_up = False
            state.max_steps -= self._driver.run.minibatches_done

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End a minibatch."""
        driver, cost = self._driver, self._hook.take()
        if cost is None:
            self._warn_of_missing_cost()
        if driver.end_minibatch(cost) and self._agrees:
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the epoch, unless it is to be evaluated first."""
        self._driver.end_minibatch(self._hook.take())  # one of too few batches for an update
        if control.should_evaluate:
            self._awaited = self._evaluation_sets
        else:
            self._end_epoch(control)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """Note what was evaluated; end the epoch if it was to end with that.

        Raises:
            ConfigurationError: the epoch has ended already, so that there are more sets than was said.
        """
        if not self._has_begun:  # `eval_on_start`, or the Trainer does not train
            return
        if not self._is_in_epoch:
            raise ConfigurationError(
                "the Trainer evaluates after its epoch has ended. Say how many sets it evaluates, by "
                f"TransformersLoop(callbacks, evaluation_sets={self._evaluation_sets + 1}), or put "
                "TransformersLoop after the callback that asks for an evaluation"
            )
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        self._driver.report(values, higher_is_better=direction_of(args))
        if not self._awaited:
            self._driver.report_minibatch({f"{name}_by_minibatch": values[name] for name in values})
        elif self._awaited == 1:
            self._end_epoch(control)
        else:
            self._awaited -= 1

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write what the Trainer says of its steps; what it evaluated, `on_evaluate` is told."""
        if "train_loss" in logs:  # totals of the whole training
            return
        of_steps = [name for name in logs if name != "epoch" and not name.startswith(EVALUATED)]
        self._driver.report_minibatch({name: logs[name] for name in of_steps})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run."""
        self._has_begun = self._is_in_epoch = False
        self._driver.end()

    def _end_epoch(self, control: Any) -> None:
        """End the epoch, and stop in all processes if one of them has heard a vote."""
        self._awaited, self._is_in_epoch = 0, False
        self._driver.end_epoch()
        wanted = [self._driver.should_stop("epoch")]
        if not self._agrees:
            accelerate.broadcast_object_list(wanted)
        if wanted[0]:
            control.should_training_stop = True

    def _go_on(self, state: Any, loader: Any) -> None:
        """Have the Trainer do what is left after our checkpoint, with its minibatches in the right order."""
        driver, run = self._driver, self._driver.run
        if state.global_step:
            refuse_two_checkpoints("the Trainer's", "train(resume_from_checkpoint=...)")
        if run.epochs_complete == run.total_epochs or run.minibatches_complete >= state.max_steps:
            driver.end()
            raise ConfigurationError(
                f"the run of {str(run.resumed_from)!r} is complete, and the Trainer cannot train for no "
                "step: do not call train(), or ask for more epochs"
            )
        self._is_to_catch_up = True
        sampler: Any = getattr(getattr(loader, "batch_sampler", None), "sampler", None)
        if hasattr(sampler, "initial_seed"):  # accelerate's, which shuffles by this plus the Trainer's epoch
            sampler.initial_seed += run.epochs_complete

    def _go_on_as_trainer(self, done: int, steps: int | None, *, may_skip: bool) -> None:
        """Number epochs and minibatches as a Trainer that goes on from a checkpoint of its own.

        Args:
            done: its steps so far.
            steps: of an epoch; None where unknown, and the Trainer takes all for one epoch.
            may_skip: whether it goes on within the epoch.
        """
        epochs, within = divmod(done, steps) if steps else (0, done)
        self._driver.go_on(epochs, done - within, within if may_skip else 0)

    def _warn_of_missing_cost(self) -> None:
        """Say once where the cost of minibatches is to come from, if it comes from nowhere."""
        run, cost = self._driver.run, self._driver.run.minibatch_cost
        if run.is_in_epoch and not (self._has_warned or cost.is_late or cost.told() is not None):
            self._has_warned = True
            _logger.warning(
                "no cost of minibatches is known: the model's outputs hold no loss. Set "
                "callbacks.run.cost = loss where the Trainer computes it, as in an overridden compute_loss."
            )

    def _let_go(self) -> None:
        """Leave the model as it was."""
        if self._handle is not None:
            self._handle.remove()
        self._handle, self._has_begun = None, False
