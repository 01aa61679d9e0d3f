"""What does a minibatch cost that ten callbacks listen to, which do nothing?"""

from __future__ import annotations

from benchmarks import peers
from benchmarks.harness import Goal, Table, interleaved, main
from benchmarks.subjects import (
    Silent,
    bare_loop,
    blinker_send,
    both_case,
    empty_loop,
    end_case,
    loop_case,
    neon_rule,
    with_callbacks,
)

TEN = 10
BARE = "bare loop over bound methods"
END = "trainsignal, minibatch_end"


def measure(quick: bool) -> Table:
    """Publish to ten callbacks."""
    loops, notes = peers.available(peers.ALL, receivers=TEN)
    cases = [
        loop_case("empty", empty_loop),
        loop_case(BARE, bare_loop(TEN)),
        end_case(END, with_callbacks([Silent() for _ in range(TEN)])),
        loop_case("bare loop twice, begin + end", bare_loop(2 * TEN)),
        both_case("trainsignal, minibatch_begin + end", with_callbacks([Silent() for _ in range(TEN)])),
        loop_case("neon's rule", neon_rule(TEN)),
        loop_case("blinker send, strong", blinker_send(TEN)),
        *(loop_case(name, loop) for name, loop in loops.items()),
    ]
    timings = interleaved(cases, repeats=3 if quick else 200)
    empty = timings.pop("empty")
    rows = {name: timing.minus(empty) for name, timing in timings.items()}
    table = Table(
        "Publish to ten callbacks that do nothing", "ns per minibatch", 1e9, BARE, rows, notes=notes
    )
    times = table.ratio(END)
    table.goals.append(
        Goal("minibatch_end at most 1.8 times the bare loop", f"{times:.2f} times", times <= 1.8)
    )
    return table


if __name__ == "__main__":
    main(measure)
