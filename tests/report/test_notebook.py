from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.notebooks import Notebook, ipython
from tests.support.runs import FakeClock, Finishable, fit, quiet, tiny_model
from trainsignal import Callbacks
from trainsignal.errors import ConfigurationError
from trainsignal.report.notebook import read


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    with ipython(tmp_path, has_kernel=True) as notebook:
        yield notebook


def html_of(callbacks: Callbacks) -> str:
    return callbacks._repr_html_()


def train(callbacks: Callbacks, clock: FakeClock, epochs: int = 2, minibatch_s: float = 0.0) -> None:
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for _ in run.minibatches("abc"):
                run.cost = 1.0
                clock.now += minibatch_s


def clocked(**options: Any) -> tuple[Callbacks, FakeClock]:
    clock = FakeClock()
    return quiet(Finishable(), clock=clock, **options), clock


# -- as HTML -------------------------------------------------------------------------------------------


def test_run_that_has_not_begun_shows_its_wiring() -> None:
    html = html_of(quiet())
    assert "The run has not begun." in html
    assert "<pre>signals of Bare, receivers in running order:" in html


def test_run_in_progress_shows_how_far_it_is() -> None:
    callbacks, _ = clocked()
    with callbacks.training(4) as run:
        for epoch in run.epochs():
            for _ in run.minibatches("abc"):
                run.cost = 1.0
            if epoch == 2:
                html = html_of(callbacks)
                break
    assert ">in progress</span>" in html
    assert "2 of 4 epochs, 9 minibatches" in html  # the third has not ended
    assert '<progress value="9" max="12"' in html
    assert "<td>cost/train</td>" in html


def test_reading_amid_an_epoch_shows_its_rows_and_disturbs_nothing() -> None:
    callbacks, _ = clocked()
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for number, _ in enumerate(run.minibatches("abc")):
                run.cost = float(number)
                html = html_of(callbacks)
    assert "2 minibatches" in html
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], [0, 0.5, 1])


def test_finished_run_says_when_it_ended_and_where_its_archive_is(tmp_path: Path) -> None:
    callbacks, clock = clocked(output_file=tmp_path / "digits.h5")
    train(callbacks, clock)
    html = html_of(callbacks)
    assert "<b>digits</b>" in html
    assert ">completed</span>" in html
    assert f"<dt>archive</dt><dd>{tmp_path / 'digits.h5'}</dd>" in html


def test_failed_run_says_whose_error_it_was() -> None:
    callbacks, clock = clocked()

    def fail() -> None:
        raise ValueError("<b>no</b>")

    callbacks.bus.subscribe("epoch_end", fail)
    with pytest.raises(ValueError):
        train(callbacks, clock)
    html = html_of(callbacks)
    assert ">failed</span>" in html
    assert "ValueError: &lt;b&gt;no&lt;/b&gt;" in html


def test_callbacks_are_listed_by_their_time_slowest_first() -> None:
    callbacks, clock = clocked()
    clock.step = 0.5
    train(callbacks, clock)
    expected = callbacks.summary()
    slowest = next(line for line in expected.splitlines() if line.startswith("time ")).split()[-1]
    assert f"<tbody><tr><td>{slowest}</td>" in html_of(callbacks)


def test_run_whose_data_was_closed_says_where_else_it_is(tmp_path: Path) -> None:
    callbacks, clock = clocked(output_file=tmp_path / "run.h5")
    train(callbacks, clock)
    callbacks.callback_data.close()
    assert "The run is completed, and its callback_data was closed" in html_of(callbacks)
    assert f"trainsignal report {tmp_path / 'run.h5'}" in html_of(callbacks)


def test_run_in_memory_whose_data_was_closed_says_so() -> None:
    callbacks, clock = clocked()
    train(callbacks, clock)
    callbacks.callback_data.close()
    assert "so nothing of it can be read here.</p>" in html_of(callbacks)


def test_histograms_are_counted_and_not_read() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_hist_callback()
    fit(model, callbacks, 1)
    found = read(callbacks.run, [])
    assert found.histogram_count == len(callbacks.callback_data["hist"]) > 0
    assert found.histograms == ()


# -- live ----------------------------------------------------------------------------------------------


def test_run_is_followed_in_the_place_where_it_was_shown(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    callbacks.show()
    train(callbacks, clock, epochs=3, minibatch_s=1.0)
    (shown,) = notebook.places.values()
    assert "The run has not begun" in shown[0]
    assert "0 of 3 epochs" in shown[1]
    assert "1 of 3 epochs" in "".join(shown)
    assert ">completed</span>" in shown[-1]


def test_run_is_drawn_about_each_second_within_an_epoch(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    with callbacks.training(1) as run:
        for _ in run.epochs():
            callbacks.show()
            for _ in run.minibatches(range(100)):
                run.cost = 1.0
                clock.now += 0.1
            (shown,) = notebook.places.values()
    assert 9 <= len(shown) <= 12  # ten seconds


def test_drawing_that_takes_a_second_is_done_each_50_seconds(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    publish = notebook.shell.display_pub.publish

    def publish_slowly(*arguments: Any, **options: Any) -> None:
        clock.now += 1.0
        publish(*arguments, **options)

    notebook.shell.display_pub.publish = publish_slowly
    with callbacks.training(1) as run:
        for _ in run.epochs():
            callbacks.show()
            for _ in run.minibatches(range(300)):
                run.cost = 1.0
                clock.now += 1.0
            (shown,) = notebook.places.values()
    assert 5 <= len(shown) <= 8


def test_epochs_of_less_than_a_second_are_not_all_drawn(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    callbacks.show()
    train(callbacks, clock, epochs=50)
    (shown,) = notebook.places.values()
    assert len(shown) < 5
    assert "50 of 50 epochs" in shown[-1]


def receivers(callbacks: Callbacks) -> set[tuple[str, object]]:
    """Return whoever is connected to a signal, with its name."""
    return {(signal.name, one) for signal in callbacks.bus for one in signal.receivers.values()}


def test_nothing_listens_any_more_when_the_run_is_closed(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    before = receivers(callbacks)
    callbacks.show()
    following = receivers(callbacks) - before
    assert len(following) == 4
    train(callbacks, clock)
    assert not following & receivers(callbacks)


def test_finished_run_is_shown_once(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    train(callbacks, clock)
    callbacks.show()
    (shown,) = notebook.places.values()
    assert len(shown) == 1
    assert ">completed</span>" in shown[0]


def test_run_may_be_followed_in_two_places(notebook: Notebook) -> None:
    callbacks, clock = clocked()
    callbacks.show()
    callbacks.show()
    train(callbacks, clock)
    first, second = notebook.places.values()
    assert ">completed</span>" in first[-1]
    assert ">completed</span>" in second[-1]


def test_run_ends_in_order_though_it_cannot_be_drawn(
    notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks, clock = clocked()
    callbacks.show()

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError("the front end is gone")

    notebook.shell.display_pub.publish = fail
    train(callbacks, clock)
    assert callbacks.run.exit_reason == "completed"
    assert "the front end is gone" in caplog.text


def test_last_state_stays_where_the_loop_fails(notebook: Notebook) -> None:
    callbacks, _ = clocked()
    with pytest.raises(ZeroDivisionError), callbacks.training(2):
        callbacks.show()
        raise ZeroDivisionError
    (shown,) = notebook.places.values()
    assert ">failed</span>" in shown[-1]


def test_terminal_is_told_what_to_do_instead(tmp_path: Path) -> None:
    with (
        ipython(tmp_path, has_kernel=False),
        pytest.raises(ConfigurationError, match="`trainsignal view"),
    ):
        quiet().show()


def test_plain_python_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with pytest.raises(ConfigurationError, match=r"callbacks\.summary"):
        quiet().show()
    assert "IPython" not in sys.modules


def test_ipython_formats_callbacks_by_themselves(notebook: Notebook) -> None:
    data, _ = notebook.shell.display_formatter.format(quiet())
    assert "The run has not begun" in data["text/html"]
