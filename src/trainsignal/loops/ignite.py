"""`IgniteLoop`: has callbacks listen to an engine of Ignite.

The only file that imports Ignite. Trains nothing and evaluates nothing: it tells what the engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, cast

from trainsignal.container import Callbacks
from trainsignal.distributed.detect import can_agree
from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.extras import require
from trainsignal.frameworks import refuse_two_checkpoints
from trainsignal.loop_driver import LoopDriver

_USER = "trainsignal.loops.ignite"
ignite: Any = require("ignite.engine", extra="ignite", user=_USER, at_least="0.5")
distributed: Any = require("ignite.distributed", extra="ignite", user=_USER)
Events: Any = ignite.Events


def loss_of(output: object) -> object:
    """Return the cost in what a process function returned: a number, or "loss" of a dict; None where none is.

    Raises:
        ConfigurationError: it is a tuple or a list, of which nobody knows what is where.
    """
    if isinstance(output, dict):
        return cast("dict[str, object]", output).get("loss")
    if isinstance(output, (tuple, list)):
        raise ConfigurationError(
            f"the process function returned a {type(cast('object', output)).__name__}: say what of it is the "
            "cost of the minibatch, by IgniteLoop(callbacks, output_transform=lambda output: output[0])"
        )
    return output


class IgniteLoop:
    """Drives callbacks from the events of a training engine.

        callbacks = Callbacks(TorchModel(module, loss=loss, optimizer=optimizer), output_file="run.h5")
        IgniteLoop(callbacks).attach(trainer, {"val": evaluator})
        trainer.run(loader, max_epochs=10)

    A minibatch is an iteration. What evaluators compute in an epoch is there at its end, as "val_accuracy"
    and so on; what is in `trainer.state.metrics` then, too. Our end of an epoch, and of a minibatch, comes
    after all other handlers, whenever these were added.

    A vote to stop calls `trainer.terminate()`. With several processes the first one alone drives callbacks,
    and every vote waits for the end of the epoch. After `terminate_epoch()` the run goes on with the next
    epoch; after `interrupt()` it stays open until the engine is run again.

    With `Callbacks(..., resume=True)` the engine goes on at the epoch of our checkpoint, within it if the
    data went through `callbacks.serve(loader)`. What an engine goes on with by itself, after
    `load_state_dict` or with a larger `max_epochs`, is a new run for us, which begins at the engine's epoch.

    An exception closes the run, and comes out of `trainer.run`. Where a handler of the user's for
    `Events.EXCEPTION_RAISED` swallows one of an iteration, the engine trains on, and so does the run.

    Args:
        callbacks: a `Callbacks` object, for one `run` of the engine.
        loss: name of the value that becomes "cost/loss"; None: "val_loss", if there is an evaluator "val".
        output_transform: returns the mean loss of a minibatch, or None, from what the process function
            returned.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        loss: str | None = None,
        output_transform: Callable[[Any], object] = loss_of,
    ) -> None:
        self._driver = LoopDriver(callbacks, "torch")
        self._loss = loss
        self._output_transform = output_transform
        self._trainer: Any = None
        self._handlers: list[tuple[Any, Any, Callable[..., None]]] = []
        self._agrees = True
        self._is_fed = False

    def attach(self, trainer: Any, evaluators: Mapping[str, Any] | None = None) -> Self:
        """Listen to an engine that trains, and to those that evaluate in its handlers.

        Args:
            trainer: an engine.
            evaluators: engines, by the name that is set before their metrics: under "val", "loss" becomes
                "val_loss".

        Raises:
            ConfigurationError: something is no engine.
            RunStateError: it has been attached before.
        """
        evaluators = evaluators or {}
        for what, engine in [("trainer", trainer), *evaluators.items()]:
            if not isinstance(engine, ignite.Engine):
                raise ConfigurationError(f"{what}: {engine!r} is no ignite.engine.Engine")
        if self._trainer is not None:
            raise RunStateError("this IgniteLoop has been attached already: make another one for another run")
        self._trainer = trainer
        if self._loss is None and "val" in evaluators:
            self._loss = "val_loss"
        self._on(trainer, Events.STARTED, self._begin)
        self._on(trainer, Events.EPOCH_STARTED, self._begin_epoch)
        self._on(trainer, Events.ITERATION_STARTED, self._driver.begin_minibatch)
        self._on(trainer, Events.ITERATION_COMPLETED, self._end_minibatch)
        self._on(trainer, Events.EPOCH_COMPLETED, self._end_epoch)
        self._on(trainer, Events.TERMINATE, self._terminated)
        self._on(trainer, Events.COMPLETED, self._driver.end)
        for name, evaluator in evaluators.items():
            self._on(evaluator, Events.COMPLETED, self._evaluated, name)
        trainer.add_event_handler(Events.EXCEPTION_RAISED, self._raised)
        handlers = _exception_handlers(trainer)
        handlers.insert(0, handlers.pop())  # one before it may raise
        return self

    def detach(self) -> None:
        """Listen no more, so that the engine can be run with another `Callbacks` object.

        What passes exceptions on stays, as Ignite would swallow them once a handler had been there.
        """
        for engine, event, handler in self._handlers:
            engine.remove_event_handler(handler, event)
        self._handlers = []

    def _on(self, engine: Any, event: Any, handler: Callable[..., None], *arguments: object) -> None:
        engine.add_event_handler(event, handler, *arguments)
        self._handlers.append((engine, event, handler))

    def _begin(self) -> None:
        """Begin the run, where the engine or our checkpoint says."""
        self._agrees = can_agree(distributed.get_world_size())
        if not self._agrees and distributed.get_rank() != 0:
            return
        state, run = self._trainer.state, self._driver.run
        length = state.epoch_length
        epochs = state.max_epochs
        if epochs is None and length is not None:
            epochs = -(-state.max_iters // length)
        self._driver.begin(epochs, length, loss=self._loss)
        if run.is_resumed:
            if state.epoch or state.iteration:
                refuse_two_checkpoints(
                    f"the engine's state, epoch {state.epoch}", "what was loaded into the engine"
                )
            self._is_fed = run.feed.is_used
            state.epoch, state.iteration = run.epochs_complete, run.epochs_complete * (length or 0)
        else:
            within = max(0, state.iteration - state.epoch * length) if length else 0
            self._driver.go_on(state.epoch, state.iteration - within, within)
        if run.should_stop("epoch"):
            self._trainer.terminate()

    def _begin_epoch(self) -> None:
        """Begin an epoch, and see to it that its end is heard of last."""
        driver, trainer = self._driver, self._trainer
        for event, handler in (
            (Events.ITERATION_COMPLETED, self._end_minibatch),
            (Events.EPOCH_COMPLETED, self._end_epoch),
        ):
            trainer.remove_event_handler(handler, event)
            trainer.add_event_handler(event, handler)
        run = driver.run
        driver.end_epoch()  # of which the engine told nothing: terminate_epoch(skip_epoch_completed=True)
        if not run.should_stop("epoch"):
            driver.begin_epoch()
        if self._is_fed:
            trainer.state.iteration += run.epoch_minibatches
        self._is_fed = False
        if self._agrees and driver.should_stop():
            trainer.terminate()

    def _end_minibatch(self) -> None:
        cost = self._output_transform(self._trainer.state.output)
        if self._driver.end_minibatch(cost) and self._agrees:
            self._trainer.terminate()

    def _end_epoch(self) -> None:
        driver = self._driver
        if driver.run.is_in_epoch:
            driver.report(self._trainer.state.metrics)
            driver.end_epoch()
        wanted = driver.run.should_stop("epoch")
        if wanted if self._agrees else distributed.all_reduce(int(wanted), "MAX"):
            self._trainer.terminate()

    def _evaluated(self, evaluator: Any, name: str) -> None:
        if self._driver.run.is_in_epoch:
            self._driver.report({f"{name}_{key}": value for key, value in evaluator.state.metrics.items()})

    def _terminated(self) -> None:
        if self._trainer.should_terminate == "skip_completed":
            self._driver.end()

    def _raised(self, error: BaseException) -> None:
        """Close the run, if the engine's run is over, and pass the exception on, if nobody else handles it.

        The engine asks twice about an exception of an iteration: there, where training goes on if no handler
        raises it again, and then at the end of `run`.
        """
        is_over = self._trainer._dataloader_iter is None
        if is_over and not isinstance(error, GeneratorExit):  # an interrupted engine is being deleted
            self._driver.failed(error)
        handlers = [handler for handler, *_ in _exception_handlers(self._trainer)]
        are_ours = all(getattr(one, "__func__", None) is IgniteLoop._raised for one in handlers)
        if are_ours and handlers[-1] == self._raised:
            raise error


def _exception_handlers(engine: Any) -> list[Any]:
    """Return the engine's own list of handlers for exceptions, each with its arguments."""
    handlers: list[Any] = engine._event_handlers[Events.EXCEPTION_RAISED]
    return handlers
