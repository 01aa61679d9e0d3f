from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import neon_reference
from tests.support.neon_reference import NEON_DATA
from tests.support.runs import Bare, quiet
from trainsignal import Callback, WatchTickerCallback
from trainsignal.errors import DataError, MissingAbilityError

Floats = npt.NDArray[np.floating[Any]]


class Sequences:
    """A data set of the given minibatches, each (inputs, targets), that goes on where it was left."""

    def __init__(self, *minibatches: Any, batch_size: int | None = None) -> None:
        self.minibatches = list(minibatches)
        self.position = 0
        if batch_size is not None:
            self.batch_size = batch_size

    def __iter__(self) -> Iterator[Any]:
        while self.position < len(self.minibatches):
            self.position += 1
            yield self.minibatches[self.position - 1]

    def reset(self) -> None:
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


class Echo:
    """A model whose outputs are the inputs, less one half."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def fprop(self, x: Any, inference: bool = False) -> Any:
        assert inference
        return x - 0.5


class Tensor:
    """A device's numbers, as neon's: to be had by `get()` alone."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def get(self) -> Any:
        return self._values


def watched(
    caplog: pytest.LogCaptureFixture, valid_set: Any, model: Any = None, epochs: int = 1, **options: Any
) -> list[str]:
    """Return what is logged over epochs of no minibatch."""
    model = Echo() if model is None else model
    run_callbacks(model, [WatchTickerCallback(model, valid_set, **options)], epochs)
    return caplog.messages


def run_callbacks(model: Any, callbacks: list[Callback], epochs: int = 1) -> None:
    container = quiet(model)
    container.callbacks = callbacks
    container.on_train_begin(epochs)
    for epoch in range(epochs):
        container.on_epoch_begin(epoch)
        container.on_epoch_end(epoch)
    container.on_train_end()


def shown(messages: list[str]) -> dict[str, str]:
    return dict(zip(messages[::2], messages[1::2], strict=True))


SMALL = np.arange(12, dtype="f4").reshape(2, 6)
"""(2 features, 3 steps * 2 sequences): the first sequence is in columns 0, 2 and 4."""

FIRST = "[[ 0.0  2.0  4.0]\n [ 6.0  8.0  10.0]]"


def test_text_is_neons(caplog: pytest.LogCaptureFixture) -> None:
    reference = neon_reference.arrays("ticker")
    watch = [
        {name: reference[f"watch/epoch{epoch}/{name}"] for name in ("inputs", "outputs", "targets", "mask")}
        for epoch in range(2)
    ]
    outputs = iter([one["outputs"] for one in watch])
    model = SimpleNamespace(fprop=lambda x, inference: next(outputs), be=SimpleNamespace(bsz=32))
    sets = [Sequences((one["inputs"], (one["targets"], one["mask"]))) for one in watch]
    watchers: list[Callback] = [WatchTickerCallback(model, one, [epoch]) for epoch, one in enumerate(sets)]
    run_callbacks(model, watchers, epochs=2)
    console = (NEON_DATA / "ticker.console.txt").read_text(encoding="utf-8")
    records = re.split(r"^neon\S* - ", console, flags=re.MULTILINE)[1:]
    displayed = [one.removeprefix("DISPLAY - ").rstrip("\n") for one in records if one.startswith("DISPLAY")]
    assert len(displayed) == 12
    assert caplog.messages == displayed


def test_records_are_of_neons_level_below_the_librarys_logger(caplog: pytest.LogCaptureFixture) -> None:
    watched(caplog, Sequences((SMALL, SMALL), batch_size=2))
    assert {(one.name, one.levelno) for one in caplog.records} == {("trainsignal.callbacks.watch_ticker", 41)}


def test_first_sequence_is_shown_of_each(caplog: pytest.LogCaptureFixture) -> None:
    messages = watched(caplog, Sequences((SMALL, -SMALL), batch_size=2))
    assert list(shown(messages)) == ["Inputs", "Outputs", "Targets"]
    assert shown(messages)["Inputs"] == FIRST
    assert shown(messages)["Outputs"] == "[[-0.5  1.5  3.5]\n [ 5.5  7.5  9.5]]"
    assert shown(messages)["Targets"] == "[[-0.0 -2.0 -4.0]\n [-6.0 -8.0 -10.0]]"


@pytest.mark.parametrize(
    ("mask", "steps"),
    [
        ([[1, 1, 1, 1, 0, 0]], 2),
        ([[1, 1, 0, 1, 0, 1]], 1),  # the second sequence is longer
        ([[0, 1, 0, 1, 1, 1]], 3),  # only the last step counts
        ([[0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]], 2),
        ([[0, 1, 0, 1, 0, 1]], 0),
    ],
)
def test_sequence_is_cut_to_its_own_length(
    mask: list[list[float]], steps: int, caplog: pytest.LogCaptureFixture
) -> None:
    messages = watched(caplog, Sequences((SMALL, (SMALL, np.array(mask))), batch_size=2))
    for text in shown(messages).values():
        assert len(re.findall(r"\d\.\d", text)) == 2 * steps


@pytest.mark.parametrize(
    ("own", "model", "numbers"),
    [
        (2, {}, 6),
        (None, {"be": SimpleNamespace(bsz=2)}, 6),
        (2, {"be": SimpleNamespace(bsz=3)}, 6),
        (None, {}, 2),
    ],
    ids=["of the set", "of the model", "of both", "unknown"],
)
def test_batch_size_is_that_of_the_set_or_of_the_model(
    own: int | None, model: dict[str, Any], numbers: int, caplog: pytest.LogCaptureFixture
) -> None:
    messages = watched(caplog, Sequences((SMALL, SMALL), batch_size=own), Echo(**model))
    assert len(re.findall(r"\d\.\d", shown(messages)["Targets"])) == numbers


def test_tensors_are_fetched(caplog: pytest.LogCaptureFixture) -> None:
    model = SimpleNamespace(fprop=lambda x, inference: Tensor(SMALL))
    minibatch = (Tensor(SMALL), (Tensor(SMALL), Tensor(np.ones((1, 6)))))
    messages = watched(caplog, Sequences(minibatch, batch_size=2), model)
    assert set(shown(messages).values()) == {FIRST}


def test_lines_are_as_wide_as_neons(caplog: pytest.LogCaptureFixture) -> None:
    wide = np.ones((1, 40), "f4")
    messages = watched(caplog, Sequences((wide, wide), batch_size=1))
    # 150 characters: two brackets, and 29 numbers of four with a space between them; a 30th needs five more.
    assert [line.count("1.0") for line in messages[1].splitlines()] == [29, 11]


def test_each_epoch_of_its_frequency_shows_the_first_minibatch(caplog: pytest.LogCaptureFixture) -> None:
    valid_set = Sequences((SMALL, SMALL), (-SMALL, -SMALL), batch_size=2)
    messages = watched(caplog, valid_set, epochs=4, epoch_freq=2)
    assert len(messages) == 12
    assert shown(messages[:6]) == shown(messages[6:])
    assert messages[1] == FIRST


def test_data_set_is_put_back_to_where_it_was(caplog: pytest.LogCaptureFixture) -> None:
    valid_set = Sequences((SMALL, SMALL), (-SMALL, -SMALL), (SMALL, SMALL), batch_size=2)
    valid_set.position = 2
    assert watched(caplog, valid_set)[1] == FIRST
    assert valid_set.position == 2


def test_recurrent_state_is_put_back(caplog: pytest.LogCaptureFixture) -> None:
    recurrent = SimpleNamespace(reset_cells=False, h=np.zeros(3))

    def fprop(x: Any, inference: bool) -> Any:
        recurrent.h += 1
        return x

    model = SimpleNamespace(fprop=fprop, layers=SimpleNamespace(layers=[recurrent]))
    watched(caplog, Sequences((SMALL, SMALL)), model)
    np.testing.assert_array_equal(recurrent.h, np.zeros(3))


@pytest.mark.parametrize("argument", [lambda model: model, weakref.ref, lambda model: None],
                         ids=["model", "reference", "none"])  # fmt: skip
def test_model_that_is_watched_is_that_of_the_run(argument: Any, caplog: pytest.LogCaptureFixture) -> None:
    model = Echo()
    run_callbacks(model, [WatchTickerCallback(argument(model), Sequences((SMALL, SMALL), batch_size=2))])
    assert caplog.messages[1] == FIRST


class Failing(Echo):
    """A model that fails on what it is shown."""

    def fprop(self, x: Any, inference: bool = False) -> Any:
        raise ZeroDivisionError


def test_print_options_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    before = np.get_printoptions()
    watched(caplog, Sequences((SMALL, SMALL), batch_size=2))
    assert np.get_printoptions() == before
    with pytest.raises(ZeroDivisionError):
        watched(caplog, Sequences((SMALL, SMALL), batch_size=2), Failing())
    assert np.get_printoptions() == before


@pytest.mark.parametrize(
    "valid_set", [None, 3, np.ones((3, 4)), np.array(3.0)], ids=["None", "3", "array", "number"]
)
def test_what_yields_no_minibatches_is_refused(valid_set: Any) -> None:
    with pytest.raises(DataError, match=r"expected a data set that yields \(inputs, targets\) minibatches"):
        WatchTickerCallback(None, valid_set)


@pytest.mark.parametrize(
    ("minibatch", "message"),
    [
        ((SMALL, SMALL, SMALL), r"Sequences yielded tuple of 3: expected a minibatch, \(inputs, targets\)"),
        (SMALL, r"Sequences yielded ndarray of shape \(2, 6\): expected a minibatch"),
        (3, "Sequences yielded int: expected a minibatch"),
        (
            (SMALL, [SMALL, SMALL, SMALL]),
            r"the targets to watch are list of 3: expected an array, or \(targets",
        ),
    ],
    ids=["three", "array", "number", "three targets"],
)
def test_minibatch_of_another_form_is_an_error(
    minibatch: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match=message):
        watched(caplog, Sequences(minibatch))


def test_targets_without_features_are_one_row(caplog: pytest.LogCaptureFixture) -> None:
    messages = watched(caplog, Sequences((SMALL, np.arange(6.0)), batch_size=2))
    assert shown(messages)["Targets"] == "[[ 0.0  2.0  4.0]]"


def test_mask_without_features_is_one_row(caplog: pytest.LogCaptureFixture) -> None:
    messages = watched(caplog, Sequences((SMALL, (SMALL, np.array([1, 1, 1, 1, 0, 1]))), batch_size=2))
    assert shown(messages)["Targets"] == "[[ 0.0  2.0]\n [ 6.0  8.0]]"


def test_array_in_place_of_a_data_set_is_told_of_without_its_numbers() -> None:
    with pytest.raises(DataError, match=r"valid_set=ndarray of shape \(1000, 4\): expected"):
        WatchTickerCallback(None, np.ones((1000, 4)))


def test_empty_data_set_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="Sequences yielded no minibatch to watch"):
        watched(caplog, Sequences())


def test_model_that_cannot_infer_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MissingAbilityError, match="needs a model with fprop"):
        watched(caplog, Sequences((SMALL, SMALL)), Bare())
