"""Runs whose costs stay on a device: whoever reads, whenever, sees what is shown of costs on the host."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.fake_device import FakeDevice, plug_in
from tests.support.resuming import Killed, Total, kill_at
from tests.support.runs import FakeClock, Sentence, Terminal, quiet
from tests.support.tensorboard_events import shown
from trainsignal import (
    Callback,
    Callbacks,
    CSVCallback,
    LambdaCallback,
    ProgressBarCallback,
    StopOnNaNCallback,
    TensorBoardCallback,
    TrainCostCallback,
    TrainLoggerCallback,
)

_h5py: Any = h5py  # h5py-stubs do not know all of it

COSTS = ((4.0, 2.0, 1.0), (0.5, 3.5, 0.25))
"""One row an epoch."""

Place = Callable[[float], object]
"""Returns a cost where it is computed: on a device, or on the host."""


def on_host(cost: float) -> object:
    return cost


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    made = FakeDevice()
    plug_in(monkeypatch, made)
    return made


def smoothing(*others: Callback, width: int = 2, model: object = None, **options: Any) -> Callbacks:
    """Return a container that writes "cost/train", with these callbacks behind."""
    callbacks = quiet(model, **options)
    callbacks.callbacks = [TrainCostCallback(width), *others]
    return callbacks


def train(
    callbacks: Callbacks,
    place: Place,
    costs: Sequence[Sequence[float | None]] = COSTS,
    *,
    epochs: int | None = 2,
    unsized: bool = False,
) -> Callbacks:
    """Train with these costs; None: the loop skips a minibatch. Without `epochs` a vote ends it."""
    with callbacks.training(epochs) as run:
        for epoch in run.epochs():
            loader: Iterable[float | None] = iter(costs[epoch]) if unsized else costs[epoch]
            for cost in run.minibatches(loader):
                if cost is not None:
                    run.cost = place(cost)
            if epoch + 1 == len(costs) and epochs is None:
                run.request_stop("enough")
    return callbacks


def windows(costs: Iterable[Iterable[float]], width: int) -> list[float]:
    """Return the mean of the last so many costs, at each."""
    flat = [cost for epoch in costs for cost in epoch]
    return [float(np.mean(flat[max(0, row + 1 - width) : row + 1])) for row in range(len(flat))]


# -- nobody waits --------------------------------------------------------------------------------------


def test_epoch_of_minibatches_waits_for_nothing(device: FakeDevice) -> None:
    callbacks = smoothing()
    waits: list[int] = []
    callbacks.bus.subscribe("minibatch_end", lambda: waits.append(device.waits))

    train(callbacks, device.value)

    assert waits == [0, 0, 0, 1, 1, 1]
    assert device.sent == [3, 3]
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], windows(COSTS, 2))


def test_default_callbacks_wait_at_the_ends_of_epochs_alone(device: FakeDevice) -> None:
    callbacks = quiet()
    waits: list[int] = []
    callbacks.bus.subscribe("minibatch_end", lambda: waits.append(device.waits))
    train(callbacks, device.value)
    assert waits == [0, 0, 0, 1, 1, 1]
    assert callbacks.run.exit_reason == "completed"


def test_long_epoch_sends_its_costs_a_thousand_at_a_time(device: FakeDevice) -> None:
    device.computed = math.inf
    costs = [[float(number % 7) for number in range(2500)]]
    callbacks = train(smoothing(width=1), device.value, costs, epochs=1)
    assert device.sent == [1024, 1024, 452]
    assert device.waits == 0
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], costs[0])


# -- reading amid the run ------------------------------------------------------------------------------


def by_visiting(data: Any) -> Any:
    found = {}
    data.visititems(lambda name, member: found.update({name: member}))
    return found["cost/train"][:]


def by_low_level_calls(data: Any) -> Any:
    values = np.empty(data["cost/train"].shape, "f4")
    _h5py.h5d.open(data.id, b"cost/train").read(_h5py.h5s.ALL, _h5py.h5s.ALL, values)
    return values


def by_handle_of_h5py(data: Any) -> Any:
    return _h5py.File(data.id)["cost/train"][:]


def by_direct_read(data: Any) -> Any:
    values = np.empty(data["cost/train"].shape, "f4")
    data["cost/train"].read_direct(values)
    return values


def by_virtual_dataset(data: Any) -> Any:
    layout = _h5py.VirtualLayout(data["cost/train"].shape, "f4")
    layout[:] = _h5py.VirtualSource(data["cost/train"])
    return data.create_virtual_dataset("as_one", layout)[:]


def by_copy(data: Any) -> Any:
    data.copy("cost/train", "a_copy")
    return data["a_copy"][:]


def by_link(data: Any) -> Any:
    data["another_name"] = data["cost/train"]
    return data["another_name"][:]


READS: dict[str, Callable[[Any], Any]] = {
    "index": lambda data: [data["cost/train"][row] for row in (0, 1)],
    "numpy index": lambda data: [data["cost/train"][np.int64(row)] for row in (0, 1)],
    "negative index": lambda data: [data["cost/train"][row] for row in (-2, -1)],
    "slice": lambda data: data["cost/train"][:],
    "ellipsis": lambda data: data["cost/train"][...],
    "list": lambda data: data["cost/train"][[0, 1]],
    "iteration": lambda data: list(data["cost/train"]),
    "asarray": lambda data: np.asarray(data["cost/train"]),
    "astype": lambda data: data["cost/train"].astype("f8")[:],
    "group": lambda data: data["cost"]["train"][:],
    "values": lambda data: next(iter(data["cost"].values()))[:],
    "visititems": by_visiting,
    "low level": by_low_level_calls,
    "h5py": by_handle_of_h5py,
    "read_direct": by_direct_read,
    "virtual": by_virtual_dataset,
    "copy": by_copy,
    "link": by_link,
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("moment", [(0, 1), (1, 0)], ids=str)
def test_whoever_reads_amid_the_run_sees_all_rows(
    name: str, moment: tuple[int, int], device: FakeDevice
) -> None:
    callbacks = smoothing()
    seen: list[Any] = []

    def read(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == moment:
            seen[:] = READS[name](callbacks.callback_data)

    callbacks.bus.subscribe("minibatch_end", read)
    train(callbacks, device.value)

    so_far = windows(COSTS, 2)[: 3 * moment[0] + moment[1] + 1]
    assert seen == (so_far[-2:] if name == "negative index" else so_far[: len(seen)])
    assert len(seen) >= 2
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], windows(COSTS, 2))


def test_mean_of_the_rows_so_far_is_that_of_the_costs(device: FakeDevice) -> None:
    callbacks = smoothing(width=1)
    seen: list[float] = []
    data = callbacks.callback_data
    callbacks.bus.subscribe("minibatch_end", lambda: seen.append(np.nanmean(data["cost/train"][:])))
    train(callbacks, device.value)
    np.testing.assert_allclose(seen, [4.0, 3.0, 7 / 3, 7.5 / 4, 11 / 5, 11.25 / 6], rtol=1e-6)


def test_length_of_a_series_that_grows_counts_the_late_rows(device: FakeDevice) -> None:
    callbacks = smoothing()
    lengths: list[int] = []
    callbacks.bus.subscribe(
        "minibatch_end", lambda: lengths.append(len(callbacks.callback_data["cost/train"]))
    )
    train(callbacks, device.value, epochs=None, unsized=True)
    assert lengths == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("read", ["cost", "epoch_cost"])
def test_run_itself_tells_the_cost_at_each_minibatch(read: str, device: FakeDevice) -> None:
    told: dict[str, list[Any]] = {}
    for name, place in (("host", on_host), ("device", device.value)):
        callbacks = smoothing()
        heard: list[Any] = told.setdefault(name, [])
        callbacks.bus.subscribe(
            "minibatch_end",
            lambda callbacks=callbacks, heard=heard: heard.append(getattr(callbacks.run, read)),
        )
        train(callbacks, place)
    assert told["device"] == told["host"]
    assert len(told["host"]) == 6


def test_skipped_minibatches_stay_missing(device: FakeDevice) -> None:
    costs = [[1.0, None, 3.0], [None, None, 4.0]]
    rows = [
        train(smoothing(), place, costs).callback_data["cost/train"][:] for place in (on_host, device.value)
    ]
    np.testing.assert_array_equal(rows[0], [1.0, np.nan, 2.0, np.nan, np.nan, 3.5])
    np.testing.assert_array_equal(rows[1], rows[0])


def test_costs_on_the_host_and_on_the_device_may_come_in_turns(device: FakeDevice) -> None:
    places = iter([device.value, on_host, device.value, device.value, on_host, device.value])
    callbacks = train(smoothing(), lambda cost: next(places)(cost))
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], windows(COSTS, 2))


@pytest.mark.parametrize("frequency", [2, [0, 2]], ids=str)
def test_frequency_of_the_callback_chooses_the_same_costs(frequency: Any, device: FakeDevice) -> None:
    rows = []
    for place in (on_host, device.value):
        callbacks = smoothing()
        callbacks.callbacks[0].minibatch_freq = frequency
        rows.append(train(callbacks, place).callback_data["cost/train"][:])
    assert np.isfinite(rows[0]).any() and np.isnan(rows[0]).any()
    np.testing.assert_array_equal(rows[1], rows[0])


# -- who is told ---------------------------------------------------------------------------------------


def test_who_subscribed_to_the_series_is_told_at_each_minibatch(device: FakeDevice) -> None:
    callbacks = smoothing()
    heard: list[Any] = []
    callbacks.callback_data.subscribe("cost/train", lambda value, stamp: heard.append((value, *stamp)))
    train(callbacks, device.value)
    stamps = [(epoch, minibatch) for epoch in range(2) for minibatch in range(3)]
    assert heard == [(value, *stamp) for value, stamp in zip(windows(COSTS, 2), stamps, strict=True)]
    assert device.sent == [1] * 6


def test_who_subscribes_amid_the_run_is_not_told_of_what_was_before(device: FakeDevice) -> None:
    callbacks = smoothing()
    heard: list[Any] = []

    def subscribe(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == (0, 1):
            callbacks.callback_data.subscribe(
                "cost/train", lambda value, stamp: heard.append((value, *stamp))
            )

    callbacks.bus.subscribe("minibatch_end", subscribe)
    train(callbacks, device.value)
    assert heard == [(1.5, 0, 2), (0.75, 1, 0), (2.0, 1, 1), (1.875, 1, 2)]
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], windows(COSTS, 2))


def test_handler_of_the_series_may_read_it_and_the_run(device: FakeDevice) -> None:
    told: dict[str, list[Any]] = {}
    for name, place in (("host", on_host), ("device", device.value)):
        callbacks = smoothing()
        heard: list[Any] = told.setdefault(name, [])

        def handle(
            value: float, stamp: object, callbacks: Callbacks = callbacks, heard: list[Any] = heard
        ) -> None:
            run = callbacks.run
            heard.append((value, callbacks.callback_data["cost/train"][:].tolist(), run.cost, run.epoch_cost))

        callbacks.callback_data.subscribe("cost/train", handle)
        train(callbacks, place)
    assert repr(told["device"]) == repr(told["host"])  # NaN equals itself there


# -- callbacks that show costs -------------------------------------------------------------------------


def drawn_bar(place: Place, folder: Path) -> object:
    stream = Terminal()
    bar = ProgressBarCallback(update_thresh_s=0, stream=stream, clock=FakeClock(step=1.0))
    train(smoothing(bar), place)
    return stream.getvalue()


def plain_bar(place: Place, folder: Path) -> object:
    stream = io.StringIO()
    train(smoothing(ProgressBarCallback(stream=stream, clock=FakeClock(step=1.0))), place)
    return stream.getvalue()


def csv_lines(place: Place, folder: Path) -> object:
    train(smoothing(CSVCallback(folder / "run.csv", clock=FakeClock(step=1.0))), place)
    return (folder / "run.csv").read_text()


def tensorboard_points(place: Place, folder: Path) -> object:
    train(smoothing(TensorBoardCallback(folder / "events", minibatch_freq=2)), place)
    return shown(folder / "events")


def when_it_stopped(place: Place, folder: Path) -> object:
    costs = [[1.0, 2.0, 3.0], [4.0, math.nan, 5.0]]
    callbacks = train(smoothing(StopOnNaNCallback()), place, costs)
    return callbacks.run.votes, callbacks.run.minibatches_done


def written_by_a_plain_callback(place: Place, folder: Path) -> object:
    class Mine(Callback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_dataset("mine", (6,))

        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            row = 3 * epoch + minibatch
            callback_data["mine"][row] = callback_data["cost/train"][row] * 2

    return train(smoothing(Mine()), place).callback_data["mine"][:].tolist()


@pytest.mark.parametrize("show", [
    drawn_bar, plain_bar, csv_lines, tensorboard_points, when_it_stopped, written_by_a_plain_callback,
], ids=lambda show: show.__name__)  # fmt: skip
def test_callback_shows_the_same(
    show: Callable[[Place, Path], object], device: FakeDevice, tmp_path: Path
) -> None:
    folders = [tmp_path / "host", tmp_path / "device"]
    for folder in folders:
        folder.mkdir()
    assert show(device.value, folders[1]) == show(on_host, folders[0])


@pytest.mark.parametrize("minibatch_freq", [None, 1], ids=str)
def test_log_is_the_same(
    minibatch_freq: int | None, device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    logged = []
    for place in (on_host, device.value):
        with caplog.at_level(logging.INFO, "trainsignal"):
            train(smoothing(TrainLoggerCallback(minibatch_freq=minibatch_freq), model="a model"), place)
        logged.append(caplog.messages)
        caplog.clear()
    assert logged[1] == logged[0]
    assert any("Train Cost 2.333333" in line for line in logged[0])


# -- the archive ---------------------------------------------------------------------------------------


def archived(path: Path) -> list[float]:
    """Return the training costs that the archive on the disk has."""
    with _h5py.File(path) as archive:
        costs: list[float] = archive["cost/train"][:].tolist()
    return costs


def test_archive_is_whole_at_the_end(device: FakeDevice, tmp_path: Path) -> None:
    train(smoothing(output_file=tmp_path / "run.h5"), device.value)
    assert archived(tmp_path / "run.h5") == windows(COSTS, 2)


def test_flush_publishes_all_rows(device: FakeDevice, tmp_path: Path) -> None:
    callbacks = smoothing(output_file=tmp_path / "run.h5", clock=FakeClock())
    found: list[Any] = []

    def flush(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == (1, 0):
            callbacks.callback_data.flush()
            found[:] = archived(tmp_path / "run.h5")

    callbacks.bus.subscribe("minibatch_end", flush)
    train(callbacks, device.value)
    assert found[:4] == windows(COSTS, 2)[:4]


def test_copy_holds_all_rows(device: FakeDevice, tmp_path: Path) -> None:
    callbacks = smoothing()
    callbacks.bus.subscribe(
        "minibatch_end", lambda: callbacks.callback_data.save_as(tmp_path / "copy.h5"), at=[1]
    )
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.stop("enough"), at=[1])
    train(callbacks, device.value)
    assert archived(tmp_path / "copy.h5")[:2] == windows(COSTS, 2)[:2]


def test_publishing_within_an_epoch_takes_what_has_come_and_waits_for_nothing(
    device: FakeDevice, tmp_path: Path
) -> None:
    clock = FakeClock()
    callbacks = smoothing(width=1, output_file=tmp_path / "run.h5", clock=clock)
    found: list[Any] = []

    def compute(minibatch: int) -> None:
        clock.now += 2.0  # publishing is due
        device.computed = minibatch  # one minibatch behind

    callbacks.bus.subscribe("minibatch_begin", compute)
    callbacks.bus.subscribe("minibatch_begin", lambda: found.append(archived(tmp_path / "run.h5")))
    train(callbacks, device.value, [[1.0, 2.0, 3.0, 4.0]], epochs=1)

    assert device.waits == 1  # at the end
    np.testing.assert_array_equal(found[1], [])
    np.testing.assert_array_equal(found[3], [1.0, 2.0])
    assert archived(tmp_path / "run.h5") == [1.0, 2.0, 3.0, 4.0]


def test_closing_the_shared_data_amid_the_run_keeps_what_was_computed(
    device: FakeDevice, tmp_path: Path
) -> None:
    callbacks = smoothing(output_file=tmp_path / "run.h5")
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.callback_data.close(), at=[1])
    with pytest.raises(KeyError):
        train(callbacks, device.value)
    assert archived(tmp_path / "run.h5")[:2] == windows(COSTS, 2)[:2]


# -- checkpoints ---------------------------------------------------------------------------------------


class OnADevice:
    """A loop over given costs that can be killed and resumed; the costs are where `place` puts them."""

    def __init__(self, folder: Path, place: Place) -> None:
        folder.mkdir()
        self.folder = folder
        self.place = place

    def run(
        self, *, kill: int | None = None, stop_at: tuple[int, int] | None = None, **options: Any
    ) -> Callbacks:
        given = {"output_file": self.folder / "run.h5", "save_path": self.folder / "model.h5", **options}
        callbacks = quiet(Total(), **given)
        callbacks.callbacks[0] = TrainCostCallback(2)
        means: list[float | None] = []
        callbacks.bus.subscribe("epoch_end", lambda: means.append(callbacks.run.epoch_cost))
        put_back = None if kill is None else kill_at(callbacks, kill, self.folder)

        def stop(epoch: int, minibatch: int) -> None:
            if (epoch, minibatch) == stop_at:
                callbacks.stop("enough")

        callbacks.bus.subscribe("minibatch_end", stop)
        try:
            train(callbacks, self.place)
        except Killed:
            assert put_back is not None
            put_back()
        self.means = means
        return callbacks


@pytest.mark.parametrize("every", [None, 1, 2], ids=str)
@pytest.mark.parametrize("kill", [4, 9, 13, 19, 24, 29, 33])
def test_resumed_run_has_the_costs_of_one_that_was_not_cut_short(
    kill: int, every: int | None, device: FakeDevice, tmp_path: Path
) -> None:
    loop = OnADevice(tmp_path / "run", device.value)
    loop.run(kill=kill, checkpoint_every=every)
    callbacks = loop.run(resume=True)
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], windows(COSTS, 2))
    assert loop.means[-1] == np.mean(COSTS[-1])


@pytest.mark.parametrize("stop_at", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=str)
def test_run_that_was_stopped_within_an_epoch_goes_on_with_the_window_of_that_moment(
    stop_at: tuple[int, int], device: FakeDevice, tmp_path: Path
) -> None:
    loop = OnADevice(tmp_path / "run", device.value)
    stopped = loop.run(stop_at=stop_at)
    assert stopped.run.exit_reason == "stopped"
    callbacks = loop.run(resume=True)
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], windows(COSTS, 2))
    assert loop.means[-1] == np.mean(COSTS[-1])


# -- a device that fails -------------------------------------------------------------------------------


def test_failure_that_nobody_reads_fails_the_run_at_its_end(device: FakeDevice) -> None:
    device.fails_at = 5
    callbacks = smoothing()
    heard = Sentence(callbacks)
    with pytest.raises(RuntimeError, match="the device is broken"):
        train(callbacks, device.value)
    assert callbacks.run.exit_reason == "failed"
    assert heard.text == "TEBbBbBbeEBbBbBbeC"
    assert callbacks.callback_data["cost/train"][:3].tolist() == windows(COSTS, 2)[:3]
    assert np.isnan(callbacks.callback_data["cost/train"][3:]).all()


def test_failure_amid_the_run_is_raised_by_the_next_epoch(device: FakeDevice) -> None:
    device.fails_at = 1
    callbacks = smoothing()
    with pytest.raises(RuntimeError, match="the device is broken"):
        train(callbacks, device.value)
    assert callbacks.run.exit_reason == "failed"
    assert callbacks.run.epochs_complete == 1


def read_cost(callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
    callback_data.file["cost/train"][:]


def test_failure_names_the_callback_that_read(device: FakeDevice) -> None:
    device.fails_at = 0
    callbacks = smoothing(LambdaCallback(on_minibatch_end=read_cost))
    with pytest.raises(RuntimeError, match="the device is broken") as caught:
        train(callbacks, device.value)
    assert "LambdaCallback" in "".join(caught.value.__notes__)
    assert callbacks.run.problems == []


def test_failure_that_the_user_chose_to_log_leaves_rows_missing(device: FakeDevice) -> None:
    device.fails_at = 0
    callbacks = smoothing()
    callbacks.add_callback(LambdaCallback(on_minibatch_end=read_cost), on_error="log")
    train(callbacks, device.value)
    assert callbacks.run.exit_reason == "completed"
    assert np.isnan(callbacks.callback_data["cost/train"][:]).all()


class MineError(Exception):
    """What went wrong in the loop."""


def test_error_of_the_loop_is_raised_and_that_of_the_device_reported(
    device: FakeDevice, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device.fails_at = 1
    callbacks = smoothing(output_file=tmp_path / "run.h5")

    def fail() -> None:
        raise MineError

    callbacks.bus.subscribe("minibatch_end", fail, at=[2])
    with pytest.raises(MineError):
        train(callbacks, device.value)
    assert callbacks.run.exit_reason == "failed"
    assert isinstance(callbacks.run.error, MineError)
    assert callbacks.run.problems == [
        "the costs of the last minibatches did not come from their device: the device is broken"
    ]
    assert np.isnan(archived(tmp_path / "run.h5")).all()


def test_error_of_the_loop_loses_no_cost_of_a_device_that_works(device: FakeDevice, tmp_path: Path) -> None:
    callbacks = smoothing(output_file=tmp_path / "run.h5")
    with pytest.raises(MineError), callbacks.training(2) as run:
        for _ in run.epochs():
            for cost in run.minibatches([4.0, 2.0, 1.0]):
                if cost == 1.0:
                    raise MineError
                run.cost = device.value(cost)
    assert archived(tmp_path / "run.h5")[:2] == [4.0, 3.0]
    assert callbacks.run.problems == []


def test_second_interrupt_while_the_device_is_waited_for_still_closes_the_run(
    device: FakeDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = smoothing(output_file=tmp_path / "run.h5")
    heard = Sentence(callbacks)

    def interrupt(values: list[Any]) -> Any:
        raise KeyboardInterrupt

    def fail() -> None:
        monkeypatch.setattr(device, "gather", interrupt)  # as if it hung
        raise MineError

    callbacks.bus.subscribe("minibatch_end", fail, at=[1])
    with pytest.raises(KeyboardInterrupt):
        train(callbacks, device.value)
    assert callbacks.run.exit_reason == "failed"
    assert "C" not in heard.text
    with _h5py.File(tmp_path / "run.h5") as archive:  # published and let go of
        assert "cost/train" in archive
    assert not (tmp_path / "run.h5.lock").exists()


# -- another process -----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_forked_child_leaves_the_device_alone(device: FakeDevice, tmp_path: Path) -> None:
    callbacks = smoothing(width=1, output_file=tmp_path / "run.h5")
    statuses: list[int] = []

    def fork() -> None:
        child = os.fork()
        if child == 0:
            data = callbacks.callback_data
            data.flush()
            data.publish()
            was_missing = bool(np.isnan(data["cost/train"][:2]).all())
            data.close()
            callbacks.close(MineError())
            os._exit(0 if was_missing and device.sent == [] else 1)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    callbacks.bus.subscribe("minibatch_end", fork, at=[1])
    train(callbacks, device.value, [[1.0, 2.0, 3.0]], epochs=1)
    assert statuses == [0]
    assert archived(tmp_path / "run.h5") == [1.0, 2.0, 3.0]
