"""What does plugging in cost a minibatch, over the framework's own empty callback? No callbacks listen.

Each framework trains a linear model for real; counted is the time inside the two hooks of a minibatch, ours
or empty ones, so that what the framework does in between does not drown it.
"""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from benchmarks.harness import Case, Goal, Table, interleaved, main
from trainsignal import Callbacks

os.environ.setdefault("KERAS_BACKEND", "torch")

MINIBATCHES = 1000
WARM_UP = 100
"""Not counted: each of the first 64 minibatches of a run is timed for the account of callbacks."""
BATCH_SIZE = 8
EMPTY, OURS = "empty callback", "trainsignal"


class Stopwatch:
    """Adds up the time in methods of an object."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._calls = 0

    def time(self, owner: Any, *names: str) -> None:
        """Have each call of these methods timed."""
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)  # Ignite looks at what a handler takes
        def timed(*arguments: Any, **options: Any) -> Any:
            self._calls += 1
            began = perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                if self._calls > 2 * WARM_UP:
                    self.spent_s += perf_counter() - began

        return timed


def batches() -> list[tuple[Any, Any]]:
    """Return the minibatches, as tensors."""
    import torch

    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand((MINIBATCHES, BATCH_SIZE, 3), generator=generator)
    return [(one, one.sum(dim=1, keepdim=True)) for one in inputs]


def loader() -> Any:
    """Return what yields them, as frameworks want it."""
    import torch

    return torch.utils.data.DataLoader(batches(), batch_size=None)


def linear() -> Any:
    """Return the module that is trained."""
    import torch

    return torch.nn.Linear(3, 1)


def listening(model: object) -> Callbacks:
    """Return a container in which nobody listens."""
    callbacks = Callbacks(model, progress_bar=False)
    callbacks.callbacks = []
    return callbacks


def train_lightning(is_ours: bool, stopwatch: Stopwatch) -> None:
    """Train with Lightning."""
    import lightning.pytorch as pytorch
    import torch

    from trainsignal.loops.lightning import LightningLoop

    class Module(pytorch.LightningModule):  # type: ignore[misc]  # untyped framework
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return torch.nn.functional.mse_loss(self.linear(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    class Empty(pytorch.Callback):  # type: ignore[misc]  # untyped framework
        def on_train_batch_start(self, *arguments: Any) -> None: ...
        def on_train_batch_end(self, *arguments: Any) -> None: ...

    module = Module()
    callback = LightningLoop(listening(module)) if is_ours else Empty()
    stopwatch.time(callback, "on_train_batch_start", "on_train_batch_end")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = pytorch.Trainer(
        max_epochs=1, callbacks=[callback], accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader())


def train_ignite(is_ours: bool, stopwatch: Stopwatch) -> None:
    """Train with Ignite."""
    import torch
    from ignite.engine import Engine, Events

    from trainsignal.loops.ignite import IgniteLoop

    module = linear()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)

    def step(engine: Any, batch: Any) -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(module(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    class Empty:
        def begin(self) -> None: ...
        def end(self) -> None: ...

    engine = Engine(step)
    if is_ours:
        loop = IgniteLoop(listening(module))
        stopwatch.time(loop._driver, "begin_minibatch")
        stopwatch.time(loop, "_end_minibatch")
        loop.attach(engine)
    else:
        empty = Empty()
        stopwatch.time(empty, "begin", "end")
        engine.add_event_handler(Events.ITERATION_STARTED, empty.begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, empty.end)
    engine.run(batches(), max_epochs=1)


def train_keras(is_ours: bool, stopwatch: Stopwatch) -> None:
    """Train with Keras, on PyTorch."""
    import keras

    from trainsignal.loops.keras import KerasLoop

    class Empty(keras.callbacks.Callback):  # type: ignore[misc]  # untyped framework
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None: ...
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    callback = KerasLoop(listening(model)) if is_ours else Empty()
    stopwatch.time(callback, "on_train_batch_begin", "on_train_batch_end")
    model.fit(loader(), verbose=0, callbacks=[callback])


def train_transformers(is_ours: bool, stopwatch: Stopwatch) -> None:
    """Train with Hugging Face's Trainer; what keeps the loss of each step counts too."""
    import torch
    import transformers

    from trainsignal.loops.transformers import TransformersLoop

    class Module(torch.nn.Module):  # type: ignore[misc]  # untyped framework
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any, labels: Any) -> Any:
            outputs = self.linear(x)
            return {"loss": torch.nn.functional.mse_loss(outputs, labels), "logits": outputs}

    class Empty(transformers.TrainerCallback):  # type: ignore[misc]  # untyped framework
        def on_step_begin(self, *arguments: Any, **options: Any) -> None: ...
        def on_step_end(self, *arguments: Any, **options: Any) -> None: ...

    module = Module()
    samples = [{"x": x, "labels": y} for xs, ys in batches() for x, y in zip(xs, ys, strict=True)]
    callback = TransformersLoop(listening(module)) if is_ours else Empty()
    stopwatch.time(callback, "on_step_begin", "on_step_end")
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, per_device_train_batch_size=BATCH_SIZE, num_train_epochs=1, report_to="none",
            use_cpu=True, disable_tqdm=True, save_strategy="no", logging_strategy="no",
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = transformers.Trainer(module, arguments, train_dataset=samples, callbacks=[callback])
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()


FRAMEWORKS: dict[str, Callable[[bool, Stopwatch], None]] = {
    "lightning": train_lightning,
    "ignite": train_ignite,
    "keras": train_keras,
    "transformers": train_transformers,
}
"""By the names of their packages."""


def framework_case(name: str, is_ours: bool) -> Case:
    """Time the hooks of a minibatch amid a training."""

    def run() -> float:
        stopwatch = Stopwatch()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            FRAMEWORKS[name](is_ours, stopwatch)
        return stopwatch.spent_s

    return Case(row(name, is_ours), run, MINIBATCHES - WARM_UP)


def row(name: str, is_ours: bool) -> str:
    """Return the name of a row."""
    return f"{name}, {OURS if is_ours else EMPTY}"


def loops_of_their_own() -> Iterator[Case]:
    """Yield cases of hand-written loops, whose costs are tensors and arrays, which need no computing here."""
    import jax.numpy as jnp
    import torch

    for name, cost in (("PyTorch by hand", torch.tensor(0.5)), ("JAX by hand", jnp.asarray(0.5))):
        yield Case(row(name, False), lambda cost=cost: plain_loop(cost), MINIBATCHES - WARM_UP)  # type: ignore[misc]
        yield Case(row(name, True), lambda cost=cost: our_loop(cost), MINIBATCHES - WARM_UP)  # type: ignore[misc]


def plain_loop(cost: Any) -> float:
    """Loop without anybody; the loss is kept, as a loop does that reports it later."""
    kept = []
    began = perf_counter()
    for _ in range(MINIBATCHES - WARM_UP):
        kept.append(cost.detach() if hasattr(cost, "detach") else cost)
    return perf_counter() - began


def our_loop(cost: Any) -> float:
    """Loop with a run in which nobody listens."""
    began = spent = 0.0
    with listening(object()).training(epochs=1) as run:
        for _ in run.epochs():
            for minibatch in run.minibatches(range(MINIBATCHES)):
                if minibatch == WARM_UP:
                    began = perf_counter()
                run.cost = cost
            spent = perf_counter() - began
    return spent


def measure(quick: bool) -> Table:
    """Train with each framework, with an empty callback of its own and with ours."""
    installed = [name for name in FRAMEWORKS if find_spec(name) is not None]
    cases = [*loops_of_their_own()]
    cases += [framework_case(name, is_ours) for name in installed for is_ours in (False, True)]
    rows = interleaved(cases, repeats=1 if quick else 8)
    names = list(dict.fromkeys(case.name.rpartition(", ")[0] for case in cases))
    table = Table(
        "plugging in without callbacks", "us per minibatch", 1e6, row("PyTorch by hand", False), rows
    )
    for name in names:
        over = table.minimum(row(name, True)) - table.minimum(row(name, False))
        table.goals.append(Goal(f"at most 1 us over an empty callback, {name}", f"{over:.2f} us", over <= 1))
    table.notes += [f"{name} is left out: not installed" for name in FRAMEWORKS if name not in installed]
    table.notes.append("boosting rounds and iterations of scikit-learn are epochs, not minibatches")
    return table


if __name__ == "__main__":
    main(measure)
