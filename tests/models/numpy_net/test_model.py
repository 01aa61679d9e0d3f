from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.fit_callbacks import QuietCallbacks, RecordingCallbacks
from trainsignal import abilities
from trainsignal.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    RunStateError,
)
from trainsignal.models.numpy_net import (
    Accuracy,
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    MeanSquared,
    Model,
    Rectlin,
)
from trainsignal.models.numpy_net.arrays import Floats
from trainsignal.models.numpy_net.protocols import DataSet, Minibatch

X = np.random.RandomState(0).normal(size=(5, 3)).astype(np.float32)


def small_set(batch_size: int = 2) -> ArrayIterator:
    """Return 5 samples of 3 features, their own targets: epochs of 3 and 2 minibatches in turn."""
    return ArrayIterator(X, batch_size=batch_size)


def small_model(seed: int = 0) -> Model:
    init = Gaussian(scale=0.5)
    return Model(
        [Affine(4, init, batch_norm=True, activation=Rectlin()), Affine(3, init, bias=Constant(0))], seed=seed
    )


def fit(model: Model, epochs: int, callbacks: Any = None, dataset: Any = None) -> None:
    model.fit(
        small_set() if dataset is None else dataset,
        GeneralizedCost(MeanSquared()),
        GradientDescentMomentum(0.1, 0.9),
        epochs,
        QuietCallbacks() if callbacks is None else callbacks,
    )


class StoppingCallbacks(RecordingCallbacks):
    """Asks for a stop from one call on."""

    def __init__(self, at: tuple[str | int, ...]) -> None:
        super().__init__()
        self.at = at

    def should_stop(self) -> bool:
        return self.at in self.calls


class CutError(Exception):
    """The process ends here."""


class ServingCallbacks(QuietCallbacks):
    """Hands the minibatches on from a data set that is put back; saves at one moment, where it may raise."""

    def __init__(self, model: Model, dataset: ArrayIterator, at: tuple[int, int] | None = None) -> None:
        self.model, self.dataset, self.at = model, dataset, at
        self.seen: list[tuple[int, int]] = []
        self.costs: dict[int, float] = {}
        self.saved: tuple[Any, ...] = ()
        self.resumed: tuple[Any, ...] = ()

    def on_train_begin(self, epochs: int) -> None:
        if self.resumed:
            state, training, position = self.resumed
            self.model.deserialize(state)
            self.model.load_training_state(training)
            self.dataset.load_state_dict(position)

    def serve(self, dataset: DataSet) -> Iterable[Minibatch]:
        return dataset

    def on_epoch_end(self, epoch: int) -> None:
        self.costs[epoch] = float(self.model.total_cost)

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        self.seen.append((epoch, minibatch))
        if (epoch, minibatch) == self.at:
            self.saved = (
                self.model.serialize(), self.model.training_state(), self.dataset.state_dict()
            )  # fmt: skip
            raise CutError


class ManagedCallbacks(RecordingCallbacks):
    def __enter__(self) -> None:
        self.calls.append(("enter",))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calls.append(("exit", "-" if kind is None else kind.__name__))


class TestFit:
    def test_calls_are_those_of_neon(self) -> None:
        callbacks = RecordingCallbacks()
        fit(small_model(), 2, callbacks, small_set(batch_size=3))
        assert callbacks.calls == [
            ("train_begin", 2),
            ("epoch_begin", 0),
            ("minibatch_begin", 0, 0),
            ("minibatch_end", 0, 0),
            ("minibatch_begin", 0, 1),
            ("minibatch_end", 0, 1),
            ("epoch_end", 0),
            ("epoch_begin", 1),
            ("minibatch_begin", 1, 0),
            ("minibatch_end", 1, 0),
            ("minibatch_begin", 1, 1),
            ("minibatch_end", 1, 1),
            ("epoch_end", 1),
            ("train_end",),
        ]

    def test_what_callbacks_read_is_set_before_training_begins(self) -> None:
        model = small_model()

        class Look(QuietCallbacks):
            def on_train_begin(self, epochs: int) -> None:
                assert (model.nbatches, model.ndata, model.initialized) == (3, 5, True)
                assert model.total_cost.shape == (1, 1)
                assert model.total_cost.dtype == np.float32
                assert model.cost is not None
                assert isinstance(model.optimizer, GradientDescentMomentum)
                self.looked = True

        look = Look()
        fit(model, 1, look)
        assert look.looked

    def test_number_of_minibatches_is_that_of_the_current_epoch(self) -> None:
        model, seen = small_model(), []

        class Look(QuietCallbacks):
            def on_epoch_begin(self, epoch: int) -> None:
                seen.append(model.nbatches)

        fit(model, 3, Look())
        assert seen == [3, 2, 3]

    def test_total_cost_is_a_sum_within_the_epoch_and_a_mean_at_its_end(self) -> None:
        model = small_model()
        costs: list[float] = []

        class Look(QuietCallbacks):
            def on_epoch_begin(self, epoch: int) -> None:
                costs.clear()

            def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
                assert model.cost is not None
                costs.append(model.cost.cost)
                assert model.total_cost.item() == pytest.approx(sum(costs))

            def on_epoch_end(self, epoch: int) -> None:
                assert len(costs) == (3, 2)[epoch]
                assert model.total_cost.item() == pytest.approx(np.mean(costs))

        fit(model, 2, Look())

    def test_finished_ends_training_after_the_epoch(self) -> None:
        model = small_model()

        class Finish(RecordingCallbacks):
            def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
                super().on_minibatch_end(epoch, minibatch)
                model.finished = True

        callbacks = Finish()
        fit(model, 5, callbacks)
        assert callbacks.calls[-3:] == [("minibatch_end", 0, 2), ("epoch_end", 0), ("train_end",)]
        assert model.epoch_index == 1

    def test_fit_after_one_that_finished_trains_again(self) -> None:
        model = small_model()
        fit(model, 1)
        model.finished = True
        fit(model, 3)
        assert model.epoch_index == 3
        assert not model.finished

    def test_epochs_are_counted_over_all_fits(self) -> None:
        model, callbacks = small_model(), RecordingCallbacks()
        fit(model, 2)
        fit(model, 3, callbacks)
        epochs = [call for call in callbacks.calls if call[0] in ("train_begin", "epoch_begin")]
        assert epochs == [("train_begin", 3), ("epoch_begin", 2)]

    def test_stop_ends_the_epoch_at_that_minibatch(self) -> None:
        model, callbacks = small_model(), StoppingCallbacks(at=("minibatch_end", 1, 0))
        fit(model, 5, callbacks)
        assert callbacks.calls[-4:] == [
            ("minibatch_begin", 1, 0),
            ("minibatch_end", 1, 0),
            ("epoch_end", 1),
            ("train_end",),
        ]

    def test_stop_for_one_moment_in_an_epoch_ends_training(self) -> None:
        class Once(RecordingCallbacks):
            def should_stop(self) -> bool:
                return self.calls[-1] == ("minibatch_end", 0, 0)

        callbacks = Once()
        fit(small_model(), 5, callbacks)
        assert callbacks.calls[-3:] == [("minibatch_end", 0, 0), ("epoch_end", 0), ("train_end",)]

    def test_mean_cost_of_an_epoch_cut_short_is_over_the_minibatches_done(self) -> None:
        model = small_model()
        fit(model, 5, StoppingCallbacks(at=("minibatch_end", 0, 0)))
        assert model.cost is not None
        assert model.total_cost.item() == pytest.approx(model.cost.cost)

    @pytest.mark.parametrize(
        ("at", "last"),
        [(("train_begin", 5), ("train_begin", 5)), (("epoch_end", 0), ("epoch_end", 0))],
        ids=["train_begin", "epoch_end"],
    )
    def test_stop_between_epochs_begins_no_other(
        self, at: tuple[str | int, ...], last: tuple[str | int, ...]
    ) -> None:
        callbacks = StoppingCallbacks(at)
        fit(small_model(), 5, callbacks)
        assert callbacks.calls[-2:] == [last, ("train_end",)]

    def test_callbacks_that_are_a_context_manager_enclose_the_whole_training(self) -> None:
        callbacks = ManagedCallbacks()
        fit(small_model(), 1, callbacks)
        assert callbacks.calls[:2] == [("enter",), ("train_begin", 1)]
        assert callbacks.calls[-2:] == [("train_end",), ("exit", "-")]

    def test_callbacks_are_closed_when_training_raises(self) -> None:
        class Failing(ManagedCallbacks):
            def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
                raise ZeroDivisionError

        callbacks = Failing()
        with pytest.raises(ZeroDivisionError):
            fit(small_model(), 1, callbacks)
        assert callbacks.calls[-2:] == [("epoch_begin", 0), ("exit", "ZeroDivisionError")]

    def test_data_set_that_is_exhausted_after_one_epoch_is_refused(self) -> None:
        class Once:
            shape, ndata, nbatches = 3, 5, 3

            def __init__(self) -> None:
                self.minibatches = iter(small_set())

            def reset(self) -> None:
                pass

            def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
                return self.minibatches

        with pytest.raises(DataError, match="no minibatch in epoch 1"):
            fit(small_model(), 2, dataset=Once())

    def test_cost_that_does_not_belong_to_the_last_layer_is_refused_before_training(self) -> None:
        callbacks = RecordingCallbacks()
        with pytest.raises(ConfigurationError, match="CrossEntropyMulti needs"):
            small_model().fit(
                small_set(),
                GeneralizedCost(CrossEntropyMulti()),
                GradientDescentMomentum(0.1, 0.9),
                1,
                callbacks,
            )
        assert callbacks.calls == []


class TestInference:
    def test_model_shows_its_layers_as_neon_does(self) -> None:
        model = neon_reference.mlp()
        model.initialize(ArrayIterator(np.zeros((1, 64))))
        assert str(model) == (
            "Network Layers:\n"
            "Sequential\n"
            "  Linear Layer 'Linear_0': 64 inputs, 32 outputs\n"
            "  Bias Layer 'Linear_0_bias': size 32\n"
            "  Activation Layer 'Linear_0_Rectlin': Rectlin\n"
            "  Linear Layer 'Linear_1': 32 inputs, 10 outputs\n"
            "  Bias Layer 'Linear_1_bias': size 10\n"
            "  Activation Layer 'Linear_1_Softmax': Softmax"
        )

    def test_evaluating_changes_neither_model_nor_cost_nor_training_set(self) -> None:
        model, dataset = small_model(), small_set()
        fit(model, 1, dataset=dataset)
        assert model.cost is not None
        before, cost, columns = model.serialize(), model.cost.cost, model.cost.outputs
        model.eval(dataset, Accuracy())
        model.get_outputs(dataset)
        np.testing.assert_equal(model.serialize(), before)
        assert model.cost.cost == cost
        assert model.cost.outputs is columns
        assert dataset.start == 1

    def test_outputs_stand_one_sample_a_row(self) -> None:
        model = Model([Affine(2, Constant(1))])
        model.initialize(small_set())
        np.testing.assert_allclose(
            model.get_outputs(small_set()), np.repeat(X.sum(1, keepdims=True), 2, 1), atol=1e-6
        )

    def test_bprop_gives_the_derivative_by_the_inputs(self) -> None:
        model = Model([Affine(2, Constant(3))])
        model.initialize(small_set())
        model.fprop(np.ones((3, 1), np.float32))
        np.testing.assert_array_equal(model.bprop(np.ones((2, 1), np.float32)), [[6], [6], [6]])

    def test_model_has_the_abilities_that_callbacks_ask_for(self) -> None:
        model = small_model()
        for ability in (
            abilities.HasCost,
            abilities.HasTotalCost,
            abilities.HasSize,
            abilities.CanFinish,
            abilities.CanInfer,
            abilities.CanEvaluate,
            abilities.CanSerialize,
            abilities.CanLoad,
        ):
            assert isinstance(model, ability), ability

    def test_parameters_follow_from_the_seed(self) -> None:
        weights = []
        for seed in (1, 1, 2):
            model = small_model(seed)
            model.initialize(small_set())
            weights.append(model.layers.layers[0].params["W"])
        np.testing.assert_array_equal(weights[0], weights[1])
        assert not np.array_equal(weights[0], weights[2])

    def test_second_initialize_keeps_the_parameters(self) -> None:
        model = small_model()
        model.initialize(small_set())
        weights = model.layers.layers[0].params["W"].copy()
        model.initialize(small_set())
        np.testing.assert_array_equal(model.layers.layers[0].params["W"], weights)

    def test_data_set_of_another_shape_is_refused(self) -> None:
        model = small_model()
        model.initialize(small_set())
        with pytest.raises(DataError, match="shape 4, the model was made for 3"):
            model.initialize(ArrayIterator(np.ones((2, 4))))

    @pytest.mark.parametrize("shape", [(4, 2), (3,)], ids=["features", "axes"])
    def test_inputs_of_another_shape_are_refused(self, shape: tuple[int, ...]) -> None:
        model = small_model()
        model.initialize(small_set())
        with pytest.raises(DataError, match=r"expected \(3, columns\)"):
            model.fprop(np.ones(shape, np.float32))

    def test_use_before_initialize_is_refused(self) -> None:
        with pytest.raises(RunStateError, match="initialize"):
            small_model().fprop(np.ones((3, 1), np.float32))
        with pytest.raises(RunStateError, match="initialize"):
            small_model().serialize()


class TestState:
    def test_training_continued_from_a_state_is_training_that_was_never_interrupted(self) -> None:
        straight, dataset = small_model(), small_set()
        fit(straight, 4, dataset=dataset)
        first, dataset = small_model(), small_set()
        fit(first, 2, dataset=dataset)
        second, rest = small_model(seed=9), small_set()
        second.deserialize(first.serialize())
        rest.load_state_dict(dataset.state_dict())
        fit(second, 4, dataset=rest)
        expected = straight.serialize()
        expected["backend"]["rng_seed"] = 9
        np.testing.assert_equal(second.serialize(), expected)

    @pytest.mark.parametrize("at", [(0, 0), (0, 2), (1, 0), (1, 1)], ids=str)
    def test_training_continued_within_an_epoch_is_training_that_was_never_interrupted(
        self, at: tuple[int, int]
    ) -> None:
        def prepared(at: tuple[int, int] | None = None) -> ServingCallbacks:
            return ServingCallbacks(small_model(), small_set(), at)

        straight, cut, resumed = prepared(), prepared(at), prepared()
        fit(straight.model, 3, straight, straight.dataset)
        with pytest.raises(CutError):
            fit(cut.model, 3, cut, cut.dataset)
        resumed.resumed = cut.saved
        fit(resumed.model, 3, resumed, resumed.dataset)

        np.testing.assert_equal(resumed.model.serialize(), straight.model.serialize())
        assert resumed.seen == straight.seen[len(cut.seen) :]
        assert resumed.costs.items() <= straight.costs.items()
        assert at[0] in resumed.costs

    def test_training_state_tells_how_far_the_epoch_is(self) -> None:
        model = small_model()
        assert model.training_state() == {
            "minibatches": 0, "cost_sum": 0.0, "total_cost": 0.0, "optimizer": {},
        }  # fmt: skip
        callbacks = ServingCallbacks(model, small_set(), (0, 1))
        with pytest.raises(CutError):
            fit(model, 1, callbacks, callbacks.dataset)
        state = callbacks.saved[1]
        assert state["minibatches"] == 2
        assert state["total_cost"] == np.float32(state["cost_sum"]) > 0
        assert state["optimizer"]["learning_rate"] == 0.1

    def test_numbers_of_the_optimizer_are_those_of_the_interrupted_run(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        model, other = small_model(), small_model()
        fit(model, 1)
        fit(other, 1)
        assert isinstance(model.optimizer, GradientDescentMomentum)
        assert isinstance(other.optimizer, GradientDescentMomentum)
        model.optimizer.learning_rate = 0.01

        with caplog.at_level("INFO"):
            other.load_training_state(model.training_state())

        assert other.optimizer.learning_rate == 0.01
        assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
            ("INFO", "resumed: optimizer.learning_rate is 0.01 again, not 0.1")  # as after each schedule
        ]
        other.load_training_state(model.training_state())
        assert len(caplog.messages) == 1

    def test_state_is_a_copy_that_training_does_not_change(self) -> None:
        model = small_model()
        fit(model, 1)
        state, before = model.serialize(), model.layers.layers[0].params["W"].copy()
        fit(model, 2)
        np.testing.assert_array_equal(state["model"]["config"]["layers"][0]["params"]["W"], before)

    def test_epochs_count_once_their_minibatches_are_done(self) -> None:
        model = small_model()
        counted: list[tuple[str, int]] = []

        class Look(QuietCallbacks):
            def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
                if minibatch == 0:
                    counted.append(("minibatch", model.serialize()["epoch_index"]))

            def on_epoch_end(self, epoch: int) -> None:
                counted.append(("epoch_end", model.serialize()["epoch_index"]))

            def on_train_end(self) -> None:
                counted.append(("train_end", model.serialize()["epoch_index"]))

        fit(model, 2, Look())
        counted.append(("after", model.serialize()["epoch_index"]))
        assert counted == [
            ("minibatch", 0),
            ("epoch_end", 1),
            ("minibatch", 1),
            ("epoch_end", 2),
            ("train_end", 2),
            ("after", 2),
        ]

    @pytest.mark.parametrize(
        ("last", "complete"), [((1, 0), 1), ((1, 1), 2)], ids=["cut_short", "last_minibatch"]
    )
    def test_epoch_that_a_stop_cut_short_is_not_counted(self, last: tuple[int, int], complete: int) -> None:
        model = small_model()
        saved: list[int] = []

        class Look(StoppingCallbacks):
            def on_epoch_end(self, epoch: int) -> None:
                super().on_epoch_end(epoch)
                saved.append(model.serialize()["epoch_index"])

            def on_train_end(self) -> None:
                saved.append(model.serialize()["epoch_index"])

        fit(model, 5, Look(at=("minibatch_end", *last)))  # epoch 1 has two minibatches

        assert saved == [1, complete, complete]
        assert model.epoch_index == complete

    def test_fit_after_a_stop_repeats_the_epoch_that_was_cut_short(self) -> None:
        model, callbacks = small_model(), RecordingCallbacks()
        fit(model, 5, StoppingCallbacks(at=("minibatch_end", 1, 0)))
        fit(model, 5, callbacks)
        assert callbacks.calls[:2] == [("train_begin", 5), ("epoch_begin", 1)]

    def test_epoch_count_is_right_again_after_an_error_at_an_epochs_end(self) -> None:
        model = small_model()

        class Failing(QuietCallbacks):
            def on_epoch_end(self, epoch: int) -> None:
                raise ZeroDivisionError

        class Look(QuietCallbacks):
            def on_train_begin(self, epochs: int) -> None:
                self.counted = model.serialize()["epoch_index"]

        look = Look()
        with pytest.raises(ZeroDivisionError):
            fit(model, 1, Failing())
        assert model.serialize()["epoch_index"] == 1
        fit(model, 1, look)
        assert look.counted == 0
        assert model.serialize()["epoch_index"] == 1

    def test_states_of_the_optimizer_are_left_out_on_request(self) -> None:
        model = small_model()
        fit(model, 1)
        layers = model.serialize(keep_states=False)["model"]["config"]["layers"]
        assert all("states" not in layer for layer in layers)

    def test_description_has_no_arrays_and_no_position(self) -> None:
        model = small_model()
        assert model.get_description().keys() == {"neon_version", "backend", "model"}
        fit(model, 1)
        description = model.get_description()
        assert description.keys() == {"neon_version", "backend", "cost", "optimizer", "model"}
        assert all(layer.keys() == {"type", "config"} for layer in description["model"]["config"]["layers"])

    def test_state_of_another_model_is_refused_and_leaves_this_one_alone(self) -> None:
        other, model = Model([Affine(3, Gaussian())]), small_model()
        other.initialize(small_set())
        with pytest.raises(CheckpointError, match="1 layers, the model has 5"):
            model.load_params(other.serialize())
        assert not model.initialized
        model.initialize(ArrayIterator(np.ones((2, 7))))
        assert model.layers.layers[0].params["W"].shape == (4, 7)

    def test_description_without_shape_cannot_make_a_model(self) -> None:
        with pytest.raises(CheckpointError, match=r"Call model\.initialize\(train_set\)"):
            small_model().deserialize(small_model().get_description())

    def test_state_without_position_leaves_the_epochs_alone(self) -> None:
        model = small_model()
        fit(model, 2)
        state = model.serialize()
        del state["epoch_index"]
        model.deserialize(state)
        assert model.epoch_index == 2

    def test_states_of_the_optimizer_are_not_loaded_unless_asked_for(self) -> None:
        model, fresh = small_model(), small_model()
        fit(model, 1)
        fresh.load_params(model.serialize(), load_states=False)
        assert fresh.layers.layers[0].states == [[]]
