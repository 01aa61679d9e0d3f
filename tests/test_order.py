from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainsignal import Callback, keys
from trainsignal.errors import WiringError
from trainsignal.keys import Below, Numbered
from trainsignal.order import run_order, runs_after_handlers

SERIES = ("a", "b", "c", "d")


class Declaring(Callback):
    """Declares series, and shows its number."""

    def __init__(self, number: int, reads: set[str], optional_reads: set[str], writes: set[str]) -> None:
        super().__init__()
        self.number = number
        self.reads = reads
        self.optional_reads = optional_reads
        self.writes = writes

    def __repr__(self) -> str:
        return f"{self.number}: {self.reads}, {self.optional_reads} -> {self.writes}"


some_series = st.sets(st.sampled_from(SERIES), max_size=2)


@st.composite
def declarations(draw: st.DrawFn) -> list[Callback]:
    count = draw(st.integers(0, 6))
    return [
        Declaring(number, draw(some_series), draw(some_series), draw(some_series)) for number in range(count)
    ]


def waits_for(reader: Callback, writer: Callback) -> bool:
    read = {*reader.reads, *reader.optional_reads}
    return reader is not writer and any(key in read for key in writer.writes)


def respects_data_flow(order: Sequence[Callback]) -> bool:
    return not any(waits_for(earlier, later) for earlier, later in itertools.combinations(order, 2))


def naive_order(callbacks: list[Callback]) -> list[Callback] | None:
    """Return, of all orders that respect data flow, the first by positions; None where there is none."""
    for positions in itertools.permutations(range(len(callbacks))):  # in the order of the alphabet
        order = [callbacks[position] for position in positions]
        if respects_data_flow(order):
            return order
    return None


@given(declarations())
@example(
    [Declaring(0, {"a"}, set(), set()), Declaring(1, set(), set(), {"a"}), Declaring(2, set(), set(), set())]
)
def test_the_order_is_the_earliest_of_all_that_respect_data_flow(callbacks: list[Callback]) -> None:
    expected = naive_order(callbacks)

    if expected is None:
        with pytest.raises(WiringError, match="callbacks wait for each other"):
            run_order(callbacks)
    else:
        assert run_order(callbacks) == expected


@given(st.integers(0, 20), st.lists(some_series, max_size=20))
def test_callbacks_that_read_nothing_run_as_added(count: int, writes: list[set[str]]) -> None:
    callbacks: list[Callback] = [Callback() for _ in range(count)]
    callbacks += [Declaring(number, set(), set(), keys) for number, keys in enumerate(writes)]

    assert run_order(callbacks) == callbacks


@given(st.permutations(range(5)))
def test_reader_runs_after_writer_whatever_the_order_added(positions: list[int]) -> None:
    chain = [
        Declaring(0, set(), set(), {"a"}),
        Declaring(1, {"a"}, set(), {"b"}),
        Declaring(2, {"b"}, set(), set()),
    ]
    callbacks: list[Callback] = [*chain, Callback(), Callback()]

    order = run_order([callbacks[position] for position in positions])

    assert [one for one in order if one in chain] == chain


def test_ordering_twice_changes_nothing_more() -> None:
    callbacks: list[Callback] = [
        Declaring(0, {"b"}, set(), set()),
        Declaring(1, {"a"}, set(), {"b"}),
        Declaring(2, set(), set(), {"a"}),
    ]

    once = run_order(callbacks)

    assert run_order(once) == once == callbacks[::-1]


def test_an_optional_read_is_waited_for_too() -> None:
    reader, writer = Declaring(0, set(), {"a"}, set()), Declaring(1, set(), set(), {"a"})

    assert run_order([reader, writer]) == [writer, reader]


def test_a_reader_waits_for_every_writer_of_a_numbered_series() -> None:
    reader = Declaring(0, {"cost/loss"}, set(), set())
    writers = [Declaring(number, set(), set(), {Numbered("cost/loss")}) for number in (1, 2)]

    assert run_order([writers[0], reader, writers[1]]) == [*writers, reader]


def test_a_callback_that_reads_what_it_writes_waits_for_nobody() -> None:
    callbacks: list[Callback] = [Declaring(0, {"a"}, set(), {"a"}), Callback()]

    assert run_order(callbacks) == callbacks


def test_one_callback_added_twice_keeps_both_places() -> None:
    twice, other = Declaring(0, {"a"}, set(), {"a"}), Callback()

    assert run_order([twice, other, twice]) == [twice, other, twice]


def test_the_list_that_was_given_is_left_as_it_was() -> None:
    callbacks = [Declaring(0, {"a"}, set(), set()), Declaring(1, set(), set(), {"a"})]
    before = list(callbacks)

    run_order(callbacks)

    assert callbacks == before


class Chicken(Callback):
    reads = ("egg",)
    writes = ("chicken",)


class Egg(Callback):
    reads = ("chicken",)
    writes = ("egg",)


class Cook(Callback):
    reads = ("egg",)


def test_a_circle_is_named_without_those_that_only_wait_for_it() -> None:
    with pytest.raises(WiringError) as caught:
        run_order([Cook(), Chicken(), Egg()])

    message = str(caught.value)
    assert "Egg reads what is written by Chicken reads what is written by Egg" in message or (
        "Chicken reads what is written by Egg reads what is written by Chicken" in message
    )
    assert "Cook" not in message
    assert "Split one of them in two" in message


@given(st.permutations(["plain", "last", "save", "plain too"]))
def test_one_that_reads_everything_runs_after_all_others_and_one_that_saves_the_run_after_those(
    added: list[str],
) -> None:
    reads = {"last": {keys.EVERYTHING}, "save": {keys.RUN_STATE}}
    callbacks = [Declaring(number, set(), reads.get(name, set()), set()) for number, name in enumerate(added)]

    ordered = [added[one.number] for one in run_order(callbacks) if isinstance(one, Declaring)]

    assert ordered[2:] == ["last", "save"]
    assert sorted(ordered[:2], key=added.index) == ordered[:2]  # otherwise as added


def test_two_that_save_the_run_stay_as_added() -> None:
    callbacks = [Declaring(number, set(), {keys.RUN_STATE, keys.EVERYTHING}, set()) for number in range(2)]
    assert run_order(callbacks) == callbacks


def test_one_that_reads_what_a_saving_one_writes_is_refused() -> None:
    saving, reading = Declaring(0, set(), {keys.RUN_STATE}, {"a"}), Declaring(1, {"a"}, set(), set())
    with pytest.raises(WiringError, match="wait for each other"):
        run_order([saving, reading])


@pytest.mark.parametrize("optional_reads, is_late", [
    ({keys.RUN_STATE}, True), ({keys.EVERYTHING}, False), (set(), False), ({"a", keys.RUN_STATE}, True),
])  # fmt: skip
def test_only_one_that_saves_the_run_waits_for_the_handlers(optional_reads: set[str], is_late: bool) -> None:
    assert runs_after_handlers(Declaring(0, set(), optional_reads, set())) is is_late


def test_a_reader_waits_for_who_writes_its_group() -> None:
    reader = Declaring(0, {"metrics/a"}, set(), set())
    other = Declaring(1, {"cost/loss"}, set(), set())
    writer = Declaring(2, set(), set(), {Below("metrics/*")})

    assert run_order([reader, other, writer]) == [other, writer, reader]
