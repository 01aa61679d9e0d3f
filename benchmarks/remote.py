"""How soon does a listener to 200 runs hear that an epoch has ended, and how much memory does it take?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import Goal, Table, answer_of_child, main, summarized
from trainsignal import keys
from trainsignal.errors import RelayError
from trainsignal.relay import streams
from trainsignal.relay.broker import Addition, Broker
from trainsignal.relay.messages import Message, encode
from trainsignal.relay.requests import RUNNING, RunEntry
from trainsignal.remote import listen

RUNS: Final = 200
BLOCK_EVERY_S: Final = 0.2
BLOCKS_PER_EPOCH: Final = 5
MINIBATCHES: Final = 20
"""Of a block: each run does 100 a second."""

SENT_AT: Final = "sent_at"
"""A series with the time at which each epoch end was sent."""

WARM_UP: Final = 0.25
"""Part of the time in which all runs begin at once, and which does not count."""

ALONE = "1 run"
TOGETHER = f"{RUNS} runs"
KEPT: Final = 100_000


def measure(quick: bool) -> Table:
    """Have simulated runs publish through a Redis server of this machine to a listener in a child process."""
    seconds = 4 if quick else 40
    with tempfile.TemporaryDirectory() as folder:
        alone = answer_of_child("benchmarks.remote", f"{folder} 1 {min(seconds, 10)}")
        together = answer_of_child("benchmarks.remote", f"{folder} {RUNS} {seconds}")
    rows = {name: summarized(answer["lags_s"]) for name, answer in ((ALONE, alone), (TOGETHER, together))}
    table = Table("A listener hears an epoch's end", "ms after it was sent", 1e3, ALONE, rows)
    worst = sorted(together["lags_s"])[int(0.99 * len(together["lags_s"]))]
    early, late = together["bytes"]
    table.goals += [
        Goal("99 of 100 within a second, of 200 runs", f"{worst * 1000:.0f} ms", worst < 1),
        Goal("nothing is missed", f"{together['missed']} epochs", together["missed"] == 0),
    ]
    rate = RUNS * MINIBATCHES / BLOCK_EVERY_S
    table.notes.append(
        f"{TOGETHER}: {rate:,.0f} minibatches a second, an epoch a second each, for {seconds} s, of which "
        f"the first quarter does not count; memory of the listener {early / 2**20:.0f} MiB after that, "
        f"{late / 2**20:.0f} MiB at the end, of which the costs are {together['rows'] * 4 / 2**20:.0f} MiB"
    )
    return table


def child(folder: Path, runs: int, seconds: float) -> dict[str, Any]:
    """Listen to so many runs that another process publishes; return lags, bytes, and what was missed."""
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("this benchmark needs redis-server: apt-get install redis-server")
    path = folder / f"{runs}.sock"
    options = ("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder))
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    url = f"unix://{path}"
    try:
        wait_for(url)
        command = [sys.executable, "-m", "benchmarks.remote", "--publish", url, str(runs), str(seconds)]
        publisher = subprocess.Popen(command)
        try:
            return listened(url, runs, seconds)
        finally:
            publisher.wait()
    finally:
        server.terminate()
        server.wait()


def listened(url: str, runs: int, seconds: float) -> dict[str, Any]:
    """Listen until all runs are over."""
    lags_s: list[float] = []
    sizes: list[int] = []
    costs: list[int] = []
    first: list[int] = []
    began = time.monotonic()

    def note(callback_data: Any, epoch: int) -> None:
        lags_s.append(time.time() - callback_data[SENT_AT][epoch])
        if not sizes and time.monotonic() - began > WARM_UP * seconds:
            sizes.append(resident_bytes())
            first.append(len(lags_s))

    def note_end(callback_data: Any) -> None:
        if not costs:
            sizes.append(resident_bytes())
        costs.append(len(callback_data[keys.TRAIN_COST]))

    listen(url, handlers=[("epoch_end", note), ("run_closed", note_end)], is_over=lambda: len(costs) == runs)
    missed = sum(costs) // (MINIBATCHES * BLOCKS_PER_EPOCH) - len(lags_s)
    return {
        "lags_s": lags_s[first[0] :],
        "bytes": [sizes[0], sizes[-1]],
        "missed": missed,
        "rows": sum(costs),
    }


class SimulatedRun:
    """Publishes what a run would."""

    def __init__(self, number: int) -> None:
        self._name, self._id = f"run-{number}", f"id-{number}"
        self._number = self._durable = self._epoch = self._blocks = 0

    def list_itself(self, broker: Broker) -> Addition:
        """Appear in the list of runs, and begin."""
        entry = RunEntry(self._id, "host", "train.py", "0", time.time(), False, RUNNING, time.time())
        broker.put(streams.RUNS, self._name, entry.encode())
        per_minibatch = {keys.TIME_MARKERS: keys.PER_MINIBATCH}
        announced = [
            {"key": keys.TRAIN_COST, "shape_tail": [], "dtype": "<f4", "attributes": per_minibatch},
            {"key": SENT_AT, "shape_tail": [], "dtype": "<f8", "attributes": keys.epoch_axis(1)},
        ]
        return self._durably(
            "train_begin", epochs=None, minibatches_per_epoch=None, model="Net", callbacks=[], resumed=False,
            epochs_complete=0, minibatches_complete=0, series=announced,
        )  # fmt: skip

    def next(self) -> list[Addition]:
        """Do a block, and what belongs to it."""
        place, more = self._blocks % BLOCKS_PER_EPOCH, list[Addition]()
        if place == 0:
            more.append(self._durably("epoch_begin", epoch=self._epoch))
        costs = {"first": self._blocks * MINIBATCHES, "values": [0.5] * MINIBATCHES}
        more.append(
            self._addition(
                "minibatches", None, epoch=self._epoch, first=place * MINIBATCHES,
                last=(place + 1) * MINIBATCHES - 1, rows={keys.TRAIN_COST: costs}, thinned=0,
            )
        )  # fmt: skip
        self._blocks += 1
        if place == BLOCKS_PER_EPOCH - 1:
            sent = {SENT_AT: {"first": self._epoch, "values": [time.time()]}}
            minibatches = BLOCKS_PER_EPOCH * MINIBATCHES
            more.append(self._durably("epoch_end", epoch=self._epoch, minibatches=minibatches, rows=sent))
            self._epoch += 1
        return more

    def end(self) -> list[Addition]:
        """End."""
        end = self._durably("train_end")
        return [end, self._durably("run_closed", reason="completed", detail=None, author=None, rows={})]

    def _durably(self, signal: str, **content: Any) -> Addition:
        self._durable += 1
        return self._addition(signal, self._durable, **content)

    def _addition(self, signal: str, durable: int | None, **content: Any) -> Addition:
        self._number += 1
        stream = streams.minibatches(self._name) if durable is None else streams.events(self._name)
        return Addition(stream, encode(Message(self._id, self._number, signal, content, durable)), KEPT)


def publish(url: str, runs: int, seconds: float) -> None:
    """Publish so many runs, spread over time as real ones are."""
    broker, simulated = Broker(url), [SimulatedRun(number) for number in range(runs)]
    broker.append([run.list_itself(broker) for run in simulated])
    began = time.monotonic()
    epochs = max(1, round(seconds / (BLOCK_EVERY_S * BLOCKS_PER_EPOCH)))
    for block in range(epochs * BLOCKS_PER_EPOCH):
        for number, run in enumerate(simulated):
            due_s = began + BLOCK_EVERY_S * (block + number / runs)
            time.sleep(max(0.0, due_s - time.monotonic()))
            broker.append(run.next())
    broker.append([addition for run in simulated for addition in run.end()])
    broker.close()


def wait_for(url: str) -> None:
    """Wait until the server answers."""
    broker, until = Broker(url), time.monotonic() + 20
    while True:
        try:
            broker.now_ms()
        except RelayError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            broker.close()
            return


def resident_bytes() -> int:
    """Return the memory that this process holds. From Linux's own account."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell its memory (VmRSS): run this benchmark on Linux")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        where, count, length = sys.argv[2].rsplit(" ", 2)
        print(json.dumps(child(Path(where), int(count), float(length))))
    elif sys.argv[1:2] == ["--publish"]:
        publish(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        main(measure)
