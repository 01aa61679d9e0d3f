from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks.harness import Case, Goal, Table, Timing, interleaved, summarized
from benchmarks.subjects import (
    MINIBATCHES,
    Silent,
    bare_loop,
    blinker_send,
    both_case,
    end_case,
    if_around_bare_loop,
    neon_rule,
    with_callbacks,
)

ROOT = Path(__file__).parents[1]

ROWS = {
    "Publish to no receiver": [
        "function with a truth test (baseline)",
        "trainsignal, minibatch_end ",
        "trainsignal, minibatch_begin + end ",
        "neon's rule ",
        "blinker send ",
    ],
    "Publish to ten callbacks that do nothing": [
        "bare loop over bound methods (baseline)",
        "bare loop twice, begin + end ",
        "trainsignal, minibatch_end ",
        "trainsignal, minibatch_begin + end ",
        "neon's rule ",
        "blinker send, strong ",
    ],
    "Publish to ten callbacks that fire at every hundredth minibatch": [
        "an `if` around a bare loop (baseline)",
        "trainsignal, minibatch_end ",
        "trainsignal, minibatch_begin + end ",
        "trainsignal without callbacks, minibatch_begin + end ",
        "neon's rule ",
    ],
    "neon's default callbacks, archive on disk, no terminal": [
        "one row written by h5py (baseline)",
        "minibatch_begin + end alone ",
        "loop of 4 epochs ",
        "loop of 4 epochs, begin and end of training ",
        "minibatch_begin + end amid a network's training ",
        "a minibatch of that network itself ",
    ],
    "A loss and six metrics on one evaluation set": [
        "the loss alone (baseline)",
        "the loss and six metrics ",
        "the loss and six metrics, a pass each, as neon ",
    ],
    "100,000 minibatches with TrainCost, published at each epoch's end": [
        "the same means written to a NumPy array (baseline)",
        "trainsignal, minibatch_begin + end ",
        "trainsignal, epoch ends and publishing included ",
    ],
    "Count 1,863,690 weights by powers of two": [
        "np.abs and np.log2 (baseline)",
        "trainsignal, log2_histogram ",
        "trainsignal, one in a thousand is NaN ",
        "neon's rule by np.histogram ",
    ],
    "plugging in without callbacks": [
        f"{loop}, {listener} "
        for loop in ("PyTorch by hand", "JAX by hand", "lightning", "ignite", "keras", "transformers")
        for listener in ("empty callback", "trainsignal")
    ],
    "default callbacks on a small network of PyTorch": [
        "a step (baseline)",
        "besides the step, loop alone ",
        "besides the step, default callbacks ",
    ],
    "Report of a long run": [
        "trainsignal report ",
        "h5py reads the same data, NumPy finds its lowest and highest (baseline)",
        "the page opens in headless Chromium ",
    ],
    "Relay a run of 20,000 minibatches an epoch, with TrainCost": [
        "not relayed (baseline)",
        "relayed ",
        "relayed, the server is away ",
        "relayed, a run from its begin until the server has all of it ",
    ],
    "A listener hears an epoch's end": ["1 run (baseline)", "200 runs "],
    "Callbacks on four ranks of PyTorch's DDP": [
        "DDP alone (baseline)",
        "DDP, default callbacks ",
        "DDP that evaluates at the epoch's end by hand ",
        "DDP, default callbacks and LossCallback ",
    ],
    "Agree at an epoch's end, simulated": ["8 ranks (baseline)", "64 ranks ", "4,096 ranks "],
    "import trainsignal": [
        "numpy and h5py (baseline)",
        "trainsignal, after them ",
        "blinker alone, after them ",
    ],
}
PEERS = ["Ignite", "torchtnt", "Keras", "Lightning"]
GOALS = 34


@cache
def smoke_run() -> dict[str, list[str]]:
    """Return the lines of each table, by its question; and those of the goals under "Goals"."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "benchmarks", "--quick"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    blocks = done.stdout.split("\n\n")[1:]
    return {block.splitlines()[0].split(";")[0]: block.splitlines()[1:] for block in blocks}


@pytest.mark.parametrize("question", ROWS)
def test_smoke_run_prints_every_row_of_a_table_and_its_goal(question: str) -> None:
    lines = smoke_run()[question]

    missing = [row for row in ROWS[question] if not any(line.startswith(row) for line in lines)]
    assert missing == []
    assert any(line.startswith("goal: ") for line in lines)


@pytest.mark.parametrize("peer", PEERS)
def test_smoke_run_times_a_peer_or_says_that_it_is_left_out(peer: str) -> None:
    lines = smoke_run()["Publish to ten callbacks that do nothing"]

    assert sum(line.startswith((f"{peer} ", f"note: {peer} is left out")) for line in lines) == 1


def test_smoke_run_ends_with_every_goal() -> None:
    lines = smoke_run()["Goals"]

    assert len(lines) == GOALS
    assert all(line.startswith(("met ", "NOT met ")) for line in lines)


def recorder(heard: list[tuple[str, int, int]]) -> Silent:
    class Recorder(Silent):
        def on_minibatch_begin(
            self, callback_data: object, model: object, epoch: int, minibatch: int
        ) -> None:
            heard.append(("begin", epoch, minibatch))

        def on_minibatch_end(self, callback_data: object, model: object, epoch: int, minibatch: int) -> None:
            heard.append(("end", epoch, minibatch))

    return Recorder()


def test_a_run_of_the_end_case_publishes_each_minibatch_once() -> None:
    heard: list[tuple[str, int, int]] = []
    case = end_case("end", with_callbacks([recorder(heard)]))

    case.time_s()

    assert heard == [("end", 0, minibatch) for minibatch in range(MINIBATCHES)]


def test_a_run_of_the_other_case_publishes_begin_and_end_of_each_minibatch() -> None:
    heard: list[tuple[str, int, int]] = []
    case = both_case("both", with_callbacks([recorder(heard)]))

    case.time_s()

    pairs = [(name, 0, minibatch) for minibatch in range(MINIBATCHES) for name in ("begin", "end")]
    assert heard == pairs


@pytest.mark.parametrize(
    ("make", "calls"),
    [
        pytest.param(lambda: bare_loop(10), 10 * 200, id="bare loop"),
        pytest.param(lambda: neon_rule(10), 10 * 200, id="neon's rule"),
        pytest.param(lambda: neon_rule(10, 100), 10 * 2, id="neon's rule at each hundredth"),
        pytest.param(lambda: if_around_bare_loop(10, 100), 10 * 2, id="if around the bare loop"),
        pytest.param(lambda: blinker_send(10), 10 * 200, id="blinker"),
    ],
)
def test_a_baseline_makes_as_many_calls_as_what_it_stands_beside(
    make: Callable[[], Callable[[range], object]], calls: int
) -> None:
    names: list[str] = []

    def profile(frame: object, event: str, argument: object) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)  # type: ignore[attr-defined]  # a frame

    loop = make()
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        loop(range(200))
    finally:
        sys.setprofile(before)

    assert sum(name in ("on_minibatch_end", "receive") for name in names) == calls


def test_cases_are_run_in_turn_after_a_round_that_does_not_count() -> None:
    runs: list[str] = []

    def case(name: str, seconds: list[float]) -> Case:
        left = iter(seconds)

        def run() -> float:
            runs.append(name)
            return next(left)

        return Case(name, run, operations=10)

    timings = interleaved([case("a", [900, 30, 10, 20]), case("b", [900, 4, 5, 6])], repeats=3)

    rounds = [set(runs[index : index + 2]) for index in range(0, len(runs), 2)]
    assert rounds == [{"a", "b"}] * 4
    assert timings == {"a": Timing(1.0, 2.0), "b": Timing(0.4, 0.5)}


def test_a_case_prepares_and_cleans_up_outside_of_what_is_timed() -> None:
    steps: list[str] = []
    case = Case(
        "case",
        lambda: steps.append("run"),
        1,
        before=lambda: steps.append("before"),
        after=lambda: steps.append("after"),
    )

    case.time_s()

    assert steps == ["before", "run", "after"]


def test_a_table_shows_minimum_median_and_both_ratios() -> None:
    rows = {"bare": summarized([2e-9, 4e-9, 9e-9]), "ours": Timing(3e-9, 10e-9)}
    table = Table(
        "Question", "ns", 1e9, "bare", rows, [Goal("at most 2 times", "1.50 times", True)], ["a note"]
    )

    lines = table.lines()

    assert lines[1] == "Question"
    assert lines[3].split() == ["bare", "(baseline)", "2.0", "4.0", "1.00", "1.00"]
    assert lines[4].split() == ["ours", "3.0", "10.0", "1.50", "2.50"]
    assert lines[5:] == ["goal: at most 2 times: 1.50 times: met", "note: a note"]


def test_what_an_empty_loop_costs_is_taken_off_minimum_and_median() -> None:
    assert Timing(5.0, 7.0).minus(Timing(1.0, 2.0)) == Timing(4.0, 5.0)
