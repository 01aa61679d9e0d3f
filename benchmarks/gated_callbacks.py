"""What does a minibatch cost where ten callbacks fire at each hundredth?"""

from __future__ import annotations

from functools import partial

from benchmarks import peers
from benchmarks.harness import Goal, Table, interleaved, main
from benchmarks.subjects import (
    SilentEnd,
    both_case,
    empty_loop,
    end_case,
    if_around_bare_loop,
    loop_case,
    neon_rule,
    with_callbacks,
)

TEN = 10
EVERY = 100
IF = "an `if` around a bare loop"
BOTH = "trainsignal, minibatch_begin + end"


def measure(quick: bool) -> Table:
    """Publish to ten callbacks of which each fires at every hundredth minibatch; the mean over all."""
    loops, notes = peers.available({f"Ignite, every={EVERY}": partial(peers.ignite, every=EVERY)}, TEN)

    def gated() -> list[SilentEnd]:
        return [SilentEnd(minibatch_freq=EVERY) for _ in range(TEN)]

    cases = [
        loop_case("empty", empty_loop),
        loop_case(IF, if_around_bare_loop(TEN, EVERY)),
        end_case("trainsignal, minibatch_end", with_callbacks([*gated()])),
        both_case(BOTH, with_callbacks([*gated()])),
        both_case("trainsignal without callbacks, minibatch_begin + end", with_callbacks([])),
        loop_case("neon's rule", neon_rule(TEN, EVERY)),
        *(loop_case(name, loop) for name, loop in loops.items()),
    ]
    timings = interleaved(cases, repeats=3 if quick else 200)
    empty = timings.pop("empty")
    rows = {name: timing.minus(empty) for name, timing in timings.items()}
    question = "Publish to ten callbacks that fire at every hundredth minibatch"
    table = Table(question, "ns per minibatch, mean", 1e9, IF, rows, notes=notes)
    ns = table.minimum(BOTH)
    table.goals.append(Goal("minibatch_begin + end at most 150 ns on average", f"{ns:.0f} ns", ns <= 150))
    return table


if __name__ == "__main__":
    main(measure)
