"""How long do 8 to 4,096 simulated ranks take to agree at an epoch's end? See docs/scale.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Goal, Table, main, summarized

RANKS = (8, 64, 512, 4096)
COLLECTIVES = 2
"""At an epoch's end: the values, then the votes."""


@dataclass(frozen=True, slots=True)
class Network:
    """What a message costs.

    Attributes:
        latency_s: from one rank's memory to another's, at least.
        jitter_s: mean of what comes on top of that, exponentially distributed.
        bytes_per_s: of one link.
    """

    latency_s: float = 20e-6
    jitter_s: float = 5e-6
    bytes_per_s: float = 1.25e9

    def message_s(self, size_bytes: int, count: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return (count,) what so many messages take, each drawn anew."""
        return self.latency_s + size_bytes / self.bytes_per_s + random.exponential(self.jitter_s, count)


def sum_over_ranks(
    arrived: npt.NDArray[np.float64], size_bytes: int, network: Network, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return (ranks,) when each rank has the sum, by recursive doubling.

    In the k-th of log2(ranks) steps each rank exchanges what it has with the one whose number differs in the
    k-th bit, and goes on when both its own message is ready and the other one's has come.

    Args:
        arrived: (ranks,) seconds, when each begins; the number of ranks is a power of two.
        size_bytes: of the vector.
        network: what a message costs.
        random: for its jitter.
    """
    ranks, now = np.arange(len(arrived)), arrived
    for bit in range(len(arrived).bit_length() - 1):
        other = ranks ^ (1 << bit)
        now = np.maximum(now, now[other] + network.message_s(size_bytes, len(arrived), random))
    return now


def epoch_end_s(ranks: int, network: Network, random: np.random.Generator, values: int = 64) -> float:
    """Return the seconds that an epoch's end takes beyond the last rank's arrival; callbacks take none.

    Args:
        ranks: a power of two.
        network: what a message costs.
        random: for its jitter, and for the ranks' arrivals within a millisecond.
        values: float64 numbers of the first collective.
    """
    arrived = random.uniform(0, 1e-3, ranks)
    done = sum_over_ranks(arrived, 8 * values, network, random)
    done = sum_over_ranks(done, 8, network, random)
    return float(done.max() - arrived.max())


def predicted_s(ranks: int, network: Network, values: int = 64) -> float:
    """Return what the formula says: 2 log2(N) (latency + mean jitter) + log2(N) bytes / bandwidth."""
    steps = int(np.log2(ranks))
    transfers_s = (8 * values + 8) / network.bytes_per_s
    return steps * (COLLECTIVES * (network.latency_s + network.jitter_s) + transfers_s)


def measure(quick: bool) -> Table:
    """Simulate epoch ends, and set them beside the formula and beside asking the ranks one after another."""
    random, network = np.random.default_rng(0), Network()
    repeats = 3 if quick else 200
    rows = {}
    for ranks in RANKS:
        rows[f"{ranks:,} ranks"] = summarized([epoch_end_s(ranks, network, random) for _ in range(repeats)])
    baseline = f"{RANKS[0]:,} ranks"
    table = Table("Agree at an epoch's end, simulated", "us", 1e6, baseline, rows)
    for ranks in RANKS:
        row = rows[f"{ranks:,} ranks"].median_s
        table.notes.append(
            f"{ranks:,} ranks: {row * 1e6:.0f} us, formula {predicted_s(ranks, network) * 1e6:.0f} us; "
            f"one after another {COLLECTIVES * (ranks - 1) * network.latency_s * 1e6:,.0f} us"
        )
    growth = rows[f"{RANKS[-1]:,} ranks"].median_s / rows[baseline].median_s
    logarithmic = np.log2(RANKS[-1]) / np.log2(RANKS[0])
    aim = f"grows with log(ranks): {logarithmic:.0f} times from {RANKS[0]} to {RANKS[-1]:,}, or a half more"
    table.goals.append(Goal(aim, f"{growth:.1f} times", growth <= 1.5 * logarithmic))
    return table


if __name__ == "__main__":
    main(measure)
