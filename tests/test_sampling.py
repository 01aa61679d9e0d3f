"""Which minibatches are timed."""

from __future__ import annotations

from trainsignal.sampling import ALWAYS, EACH_S, EVERY, Sampler


class Clock:
    def __init__(self, each_s: float) -> None:
        self.now_s, self.each_s = 0.0, each_s

    def __call__(self) -> float:
        return self.now_s


def timed(sampler: Sampler, clock: Clock, minibatches: int) -> list[tuple[int, int]]:
    """Return each minibatch that was timed, and for how many it stands."""
    looks = []
    for minibatch in range(minibatches):
        clock.now_s += clock.each_s
        weight = sampler.weight(minibatch)
        if weight:
            looks.append((minibatch, weight))
            sampler.look(minibatch)
    return looks


def test_the_first_are_timed_each_and_then_one_in_so_many() -> None:
    clock = Clock(0.0001)

    looks = timed(Sampler(clock), clock, ALWAYS + 2 * EVERY)

    assert looks[:ALWAYS] == [(minibatch, 1) for minibatch in range(ALWAYS)]
    assert looks[ALWAYS:] == [(ALWAYS - 1 + EVERY, EVERY), (ALWAYS - 1 + 2 * EVERY, EVERY)]


def test_slow_minibatches_are_timed_each() -> None:
    clock = Clock(EACH_S)

    assert len(timed(Sampler(clock), clock, 2 * ALWAYS)) == 2 * ALWAYS


def test_minibatches_stand_for_those_of_the_epoch_before_too() -> None:
    clock = Clock(0.0001)
    sampler = Sampler(clock)
    first = timed(sampler, clock, ALWAYS + 10)
    sampler.begin_epoch(ALWAYS + 10)

    second = timed(sampler, clock, EVERY)

    assert sum(weight for _, weight in first + second) == ALWAYS + EVERY
    assert second == [(EVERY - 11, EVERY)]
