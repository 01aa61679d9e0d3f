"""What does a relayed run pay for a minibatch, and how many get through a Redis server of this machine?"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

from benchmarks.harness import Case, Goal, Table, Timing, interleaved, main, summarized
from benchmarks.subjects import FakeModel, empty_loop
from trainsignal import Callbacks, TrainCostCallback
from trainsignal.errors import RelayError
from trainsignal.relay.broker import Broker
from trainsignal.relay.messages import MINIBATCHES, decode
from trainsignal.relay.sender import RelaySender
from trainsignal.relay.settings import Relay
from trainsignal.relay.streams import events, minibatches

ALONE = "not relayed"
RELAYED = "relayed"
AWAY = "relayed, the server is away"
THROUGH = "relayed, a run from its begin until the server has all of it"
EMPTY = "empty loop"
NOWHERE = "redis://127.0.0.1:1"


def measure(quick: bool) -> Table:
    """Time minibatches with TrainCost; long epochs, so that what is done every fifth of a second counts."""
    length, repeats = (20_000, 1) if quick else (200_000, 7)
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        containers = {ALONE: begun(None, length), RELAYED: begun(url, length), AWAY: begun(NOWHERE, length)}
        cases = [epoch_case(name, container, length) for name, container in containers.items()]
        empty = Case(EMPTY, lambda: empty_loop(range(length)), length)
        rows = interleaved([empty, *cases], repeats)
        for container in containers.values():
            container.on_train_end()
        through_s = [run_through(url, f"through {index}", length) for index in range(repeats)]
    spent = {name: rows[name].minus(rows[EMPTY]) for name in containers}
    table = Table(
        f"Relay a run of {length:,} minibatches an epoch, with TrainCost", "ns per minibatch", 1e9, ALONE,
        {**spent, THROUGH: summarized([seconds / length for seconds in through_s])},
    )  # fmt: skip
    for name in (RELAYED, AWAY):
        more = Timing.minus(spent[name], spent[ALONE])
        aim = f"{name}: at most 2 us more"
        table.goals.append(Goal(aim, f"{more.median_s * 1e6:.2f} us, medians", more.median_s <= 2e-6))
    rate = length / sorted(through_s)[len(through_s) // 2]
    table.goals.append(Goal("20,000 a second get through", f"{rate:,.0f}, median", rate >= 20_000))
    return table


def begun(url: str | None, length: int) -> Callbacks:
    """Return a container whose run has begun; None: it is not relayed."""
    container = Callbacks(FakeModel(length))
    container.callbacks = [TrainCostCallback()]
    if url is not None:
        RelaySender(container.run, Relay(url, run_name="cost", closing_s=0), lambda: container.callbacks)
    container.on_train_begin(None)
    return container


def epoch_case(name: str, container: Callbacks, length: int) -> Case:
    """Publish begin and end of an epoch's minibatches."""
    epochs = count()

    def run() -> None:
        epoch = container.run.epoch
        for minibatch in range(length):
            container.on_minibatch_begin(epoch, minibatch)
            container.on_minibatch_end(epoch, minibatch)

    return Case(
        name,
        run,
        length,
        before=lambda: container.on_epoch_begin(next(epochs)),
        after=lambda: container.on_epoch_end(container.run.epoch),
    )


def run_through(url: str, name: str, length: int) -> float:
    """Train one epoch that computes nothing; return the seconds until all is on the server: it is looked."""
    container = Callbacks(FakeModel(length))
    container.callbacks = [TrainCostCallback()]
    RelaySender(container.run, Relay(url, run_name=name, closing_s=60), lambda: container.callbacks)
    began = perf_counter()
    with container.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(length)):
                pass
    spent = perf_counter() - began
    broker = Broker(url)
    blocks = [decode(entry.text) for entry in broker.newest(minibatches(name), 10_000)]
    told = sum(
        len(one.content["rows"]["cost/train"]["values"]) for one in blocks if one.signal == MINIBATCHES
    )
    last = decode(broker.newest(events(name))[0].text).signal
    broker.close()
    if told != length or last != "run_closed":
        raise RuntimeError(f"the server has {told} rows of {length}, and {last} as the last message")
    return spent


@contextmanager
def redis_server(folder: Path) -> Generator[str]:
    """Run a server of this machine alone, without persistence; yield its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("this benchmark needs redis-server: apt-get install redis-server")
    path = folder / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder))
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        broker, deadline = Broker(f"unix://{path}"), time.monotonic() + 20
        while not is_up(broker):
            if time.monotonic() > deadline:
                raise RuntimeError("redis-server does not come up")
            time.sleep(0.02)
        broker.close()
        yield f"unix://{path}"
    finally:
        server.kill()
        server.wait()


def is_up(broker: Broker) -> bool:
    """Return whether the server answers."""
    try:
        broker.now_ms()
    except RelayError:
        return False
    return True


if __name__ == "__main__":
    main(measure)
