"""What does a minibatch cost to which nobody listens?"""

from __future__ import annotations

from benchmarks import peers
from benchmarks.harness import Goal, Table, interleaved, main
from benchmarks.subjects import (
    blinker_send,
    both_case,
    empty_loop,
    end_case,
    loop_case,
    neon_rule,
    truth_test,
    with_callbacks,
)

TRUTH = "function with a truth test"
END = "trainsignal, minibatch_end"


def measure(quick: bool) -> Table:
    """Publish to no receiver."""
    loops, notes = peers.available(peers.ALL, receivers=0)
    cases = [
        loop_case("empty", empty_loop),
        loop_case(TRUTH, truth_test()),
        end_case(END, with_callbacks([])),
        both_case("trainsignal, minibatch_begin + end", with_callbacks([])),
        loop_case("neon's rule", neon_rule(0)),
        loop_case("blinker send", blinker_send(0)),
        *(loop_case(name, loop) for name, loop in loops.items()),
    ]
    timings = interleaved(cases, repeats=3 if quick else 300)
    empty = timings.pop("empty")
    rows = {name: timing.minus(empty) for name, timing in timings.items()}
    table = Table("Publish to no receiver", "ns per minibatch", 1e9, TRUTH, rows, notes=notes)
    ns, times = table.minimum(END), table.ratio(END)
    aim = "minibatch_end at most 60 ns, or twice the truth test"
    table.goals.append(Goal(aim, f"{ns:.0f} ns, {times:.2f} times", ns <= 60 or times <= 2))
    return table


if __name__ == "__main__":
    main(measure)
