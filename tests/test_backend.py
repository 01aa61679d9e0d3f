"""What callbacks use of `self.be`, and where it comes from."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.runs import Bare, fit, quiet, six_calls, tiny_model
from trainsignal import Callback
from trainsignal.backend import Backend, BackendAttribute
from trainsignal.errors import ConfigurationError, UnknownBatchSizeError
from trainsignal.tensor import HostTensor

A = np.array([[0.5, 2.0, 4.0], [1.0, -3.0, 8.0]], np.float32)
B = np.array([[2.0, 2.0, 0.5], [1.0, 3.0, 8.0]], np.float32)


@pytest.fixture
def be() -> Backend:
    return Backend(bsz=4, rng=np.random.RandomState(0))


class TestTensors:
    @pytest.mark.parametrize(
        "shape, expected", [(3, (3, 1)), ((3,), (3, 1)), ((2, 3), (2, 3)), ((2, 3, 4), (2, 3, 4))]
    )
    @pytest.mark.parametrize("make, value", [("zeros", 0), ("empty", 0), ("ones", 1)])
    def test_shape_has_at_least_two_axes(
        self, be: Backend, make: str, value: int, shape: Any, expected: tuple[int, ...]
    ) -> None:
        made = getattr(be, make)(shape, name="mine", persist_values=False)
        assert (type(made), made.shape, made.dtype) == (HostTensor, expected, np.float32)
        assert (made == value).all()

    @pytest.mark.parametrize("values", [5, [1, 2], [[1, 2], [3, 4]], A, np.float64(2)], ids=repr)
    def test_values_are_copied(self, be: Backend, values: Any) -> None:
        made = be.array(values)
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made.reshape(-1), np.ravel(values))
        assert not np.shares_memory(made, values)

    @pytest.mark.parametrize("make, value", [("zeros_like", 0), ("empty_like", 0), ("ones_like", 1)])
    def test_shape_of_another_is_taken_but_not_its_type(self, be: Backend, make: str, value: int) -> None:
        made = getattr(be, make)(np.zeros((2, 3)))
        assert (made.shape, made.dtype) == ((2, 3), np.float32)
        assert (made == value).all()

    def test_type_may_be_chosen_for_one_or_for_all(self, be: Backend) -> None:
        assert be.zeros((1, 1), dtype=np.int32).dtype == np.int32
        assert Backend(default_dtype=np.float64).array([1]).dtype == np.float64

    @pytest.mark.parametrize("dim0, shape", [(3, (3, 4)), ((3, 5), (3, 20)), ((2, 3, 3), (18, 4))])
    def test_buffer_has_the_columns_of_a_minibatch(
        self, be: Backend, dim0: Any, shape: tuple[int, int]
    ) -> None:
        assert be.iobuf(dim0).shape == shape

    def test_batch_size_that_nobody_told_is_asked_for(self) -> None:
        be = Backend()
        with pytest.raises(UnknownBatchSizeError, match=r"batch size is not known yet.*self\.be\.bsz = 32"):
            be.bsz  # noqa: B018  # asking raises
        assert getattr(be, "bsz", None) is None
        be.bsz = 32
        assert be.bsz == 32


class TestOperations:
    @pytest.mark.parametrize("name, expected", [
        ("add", A + B), ("subtract", A - B), ("multiply", A * B), ("divide", A / B), ("true_divide", A / B),
        ("power", [[0.25, 4, 2], [1, -27, 8.0**8]]), ("maximum", [[2, 2, 4], [1, 3, 8]]),
        ("minimum", [[0.5, 2, 0.5], [1, -3, 8]]), ("equal", [[0, 1, 0], [1, 0, 1]]),
        ("not_equal", [[1, 0, 1], [0, 1, 0]]), ("less", [[1, 0, 0], [0, 1, 0]]),
        ("less_equal", [[1, 1, 0], [1, 1, 1]]), ("greater", [[0, 0, 1], [0, 0, 0]]),
        ("greater_equal", [[0, 1, 1], [1, 0, 1]]),
    ])  # fmt: skip
    def test_pairs(self, be: Backend, name: str, expected: Any) -> None:
        made = getattr(be, name)(be.array(A), be.array(B))
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, expected)

    @pytest.mark.parametrize("name, expected", [
        ("absolute", [[0.5, 2, 4], [1, 3, 8]]), ("fabs", [[0.5, 2, 4], [1, 3, 8]]), ("negative", -A),
        ("reciprocal", [[2, 0.5, 0.25], [1, -1 / 3, 0.125]]), ("sgn", [[1, 1, 1], [1, -1, 1]]),
        ("square", [[0.25, 4, 16], [1, 9, 64]]), ("exp2", [[2**0.5, 4, 16], [2, 0.125, 256]]),
        ("exp", np.exp(A)), ("tanh", np.tanh(A)), ("sig", 1 / (1 + np.exp(-A))),
        ("transpose", [[0.5, 1], [2, -3], [4, 8]]),
    ])  # fmt: skip
    def test_elements(self, be: Backend, name: str, expected: Any) -> None:
        np.testing.assert_allclose(getattr(be, name)(be.array(A)), expected, rtol=1e-6)

    def test_roots_and_logarithms(self, be: Backend) -> None:
        np.testing.assert_allclose(be.sqrt(B)[1], np.array([1.0, 3**0.5, 8**0.5]), rtol=1e-6)
        np.testing.assert_allclose(be.log(B)[0], np.log(np.array([2, 2, 0.5])), rtol=1e-6)
        np.testing.assert_array_equal(be.log2(B)[0], [1, 1, -1])
        np.testing.assert_allclose(be.safelog([[0.0, 1.0, -1.0]]), [[-50, 0, -50]], rtol=1e-6)

    def test_finite_numbers_are_marked(self, be: Backend) -> None:
        np.testing.assert_array_equal(be.finite([[1.0, np.nan, np.inf]]), [[1, 0, 0]])

    @pytest.mark.parametrize("name, overall, by_column", [
        ("sum", 12.5, [1.5, -1, 12]), ("mean", 12.5 / 6, [0.75, -0.5, 6]), ("max", 8, [1, 2, 8]),
        ("min", -3, [0.5, -3, 4]), ("var", 94.25 / 6 - (12.5 / 6) ** 2, [0.0625, 6.25, 4]),
        ("std", (94.25 / 6 - (12.5 / 6) ** 2) ** 0.5, [0.25, 2.5, 2]),
    ])  # fmt: skip
    def test_reductions(self, be: Backend, name: str, overall: float, by_column: list[float]) -> None:
        reduce = getattr(be, name)
        assert float(reduce(be.array(A))) == pytest.approx(overall)
        np.testing.assert_allclose(reduce(be.array(A), axis=0), [by_column], rtol=1e-6)

    def test_places_of_the_largest_and_smallest(self, be: Backend) -> None:
        np.testing.assert_array_equal(be.argmax(be.array(A)), [[2], [2]])
        np.testing.assert_array_equal(be.argmin(be.array(A), axis=0), [[0, 1, 0]])

    def test_clipping_keeps_what_lies_between(self, be: Backend) -> None:
        np.testing.assert_array_equal(be.clip(be.array(A), -1, 2), [[0.5, 2, 2], [1, -1, 2]])

    def test_rows_and_columns_are_taken_by_index(self, be: Backend) -> None:
        np.testing.assert_array_equal(be.take(be.array(A), be.array([[2], [0]]), axis=1), A[:, [2, 0]])
        np.testing.assert_array_equal(be.take(be.array(A), [1], axis=0, out=be.zeros((1, 3))), A[1:])

    @pytest.mark.parametrize("axis, shape", [(0, (4, 3)), (1, (3, 4))])
    def test_classes_become_ones_in_zeros(self, be: Backend, axis: int, shape: tuple[int, int]) -> None:
        out = be.ones(shape)
        assert be.onehot(be.array([[2, 0, 3]], dtype=np.int32), axis=axis, out=out) is out
        expected = np.eye(4)[[2, 0, 3]]
        np.testing.assert_array_equal(out, expected.T if axis == 0 else expected)

    def test_classes_of_unknown_number_are_refused(self, be: Backend) -> None:
        with pytest.raises(ConfigurationError, match=r"be.onehot\(labels, axis=0, out=t\)"):
            be.onehot([0, 1], axis=0)
        with pytest.raises(ConfigurationError, match="axis=2"):
            be.onehot([0, 1], axis=2, out=be.zeros((2, 2)))

    def test_product_of_matrices(self, be: Backend) -> None:
        np.testing.assert_allclose(be.dot(be.array(A), be.array(B.T)), np.array([[7, 38.5], [0, 56]]))

    @pytest.mark.parametrize("alpha, beta, relu, expected", [
        (1.0, 0.0, False, [[-2, 4]]), (0.5, 0.0, False, [[-1, 2]]), (1.0, 2.0, False, [[18, 24]]),
        (-1.0, 1.0, True, [[12, 10]]),
    ])  # fmt: skip
    def test_compound_product(
        self, be: Backend, alpha: float, beta: float, relu: bool, expected: list[list[float]]
    ) -> None:
        target = be.array([[10, 10]])
        made = be.compound_dot(
            be.array([[2]]), be.array([[-1, 2]]), target, alpha=alpha, beta=beta, relu=relu
        )
        assert made is target
        np.testing.assert_array_equal(target, expected)

    def test_unset_target_does_not_show_where_it_has_no_share(self, be: Backend) -> None:
        target = be.array([[np.nan]])
        be.compound_dot([[2.0]], [[3.0]], target)
        assert target.item() == 6

    def test_random_numbers_come_from_its_generator(self, be: Backend) -> None:
        drawn = be.zeros((2, 3))
        be.fill_normal(drawn, mean=5, stdv=2)
        expected = np.random.RandomState(0).normal(5, 2, (2, 3))
        np.testing.assert_allclose(drawn, expected, rtol=1e-6)
        assert be.gen_rng(7) is be.rng
        assert be.rng.uniform() == np.random.RandomState(7).uniform()

    def test_marks_of_a_loop_do_nothing(self, be: Backend) -> None:
        be.begin("minibatch", 0)
        be.end("minibatch", 0)

    def test_nothing_was_counted_at_first(self, be: Backend) -> None:
        data, rows = be.dump_hist_data()
        assert (data.shape, rows) == ((0, 64), {})


class Asking(Callback):
    """Keeps a tensor of its own, as neon's loss callback does, and the backend of each hook."""

    def __init__(self) -> None:
        self.loss = self.be.zeros((1, 1), dtype=np.float32)
        super().__init__()
        self.seen: list[Backend] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.seen.append(self.be)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.loss[:] = 0.5
        self.seen.append(self.be)


class TestBackendOfACallback:
    def test_that_of_the_model_serves_during_the_run(self) -> None:
        callback, model = Asking(), tiny_model()
        callbacks = quiet(model)
        callbacks.add_callback(callback)
        fit(model, callbacks, 2)
        assert callback.seen == [model.be] * 3
        assert model.be.bsz == 2
        assert callback.loss.get()[0, 0] == 0.5
        assert callback.be is not model.be

    def test_own_one_serves_where_the_model_has_none(self) -> None:
        callback = Asking()
        callback.be.bsz = 5
        callbacks = quiet(Bare())
        callbacks.add_callback(callback)
        six_calls(callbacks)
        assert callback.seen == [callback.be] * 3
        assert callback.be.bsz == 5

    def test_class_shows_the_attribute_itself(self) -> None:
        assert isinstance(Callback.be, BackendAttribute)

    def test_two_callbacks_do_not_share_one(self) -> None:
        one, other = Asking(), Asking()
        one.be.bsz = 5
        with pytest.raises(UnknownBatchSizeError):
            other.be.bsz  # noqa: B018  # asking raises

    def test_one_that_the_class_or_the_instance_sets_is_found_first(self) -> None:
        class Own(Callback):
            be = "of the class"  # type: ignore[assignment]

        callback = Callback()
        vars(callback)["be"] = "of the instance"
        for one, expected in ((Own(), "of the class"), (callback, "of the instance")):
            callbacks = quiet(tiny_model())
            seen: list[object] = []
            one.on_epoch_end = lambda *_, one=one, seen=seen: seen.append(one.be)  # type: ignore[method-assign]
            callbacks.add_callback(one)
            fit(callbacks.model(), callbacks, 1)
            assert seen == [expected]

    @pytest.mark.parametrize("duplicate", [
        lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, copy.copy,
    ], ids=["pickle", "deepcopy", "copy"])  # fmt: skip
    def test_callback_with_tensors_can_be_copied(self, duplicate: Callable[[Any], Any]) -> None:
        twin = duplicate(Asking())
        assert twin.be.zeros((2, 2)).shape == (2, 2)
        assert float(twin.loss) == 0
        model = tiny_model()
        callbacks = quiet(model)
        callbacks.add_callback(twin)
        fit(model, callbacks, 1)
        assert float(twin.loss) == 0.5
