from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import Birch, MiniBatchKMeans
from sklearn.decomposition import IncrementalPCA, MiniBatchNMF
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from trainsignal.checkpoint.tree import make_plain
from trainsignal.errors import CheckpointError
from trainsignal.models.sklearn.fitted import FittedState

GENERATOR = np.random.default_rng(4)
X = GENERATOR.random((40, 5))
Y = GENERATOR.integers(0, 3, 40)


def trained(estimator: Any, times: int = 1) -> Any:
    for _ in range(times):
        if hasattr(estimator, "classes_") or isinstance(
            estimator, (SGDClassifier, MLPClassifier, GaussianNB)
        ):
            estimator.partial_fit(X, Y, classes=[0, 1, 2])
        else:
            estimator.partial_fit(X, Y)
    return estimator


def passed_on(estimator: Any, *, keep_states: bool = True) -> FittedState:
    """Return what is read from a checkpoint of an estimator."""
    return FittedState.from_plain(make_plain(FittedState.of(estimator).to_plain(keep_states=keep_states)))


def numbers(estimator: Any) -> dict[str, Any]:
    return {
        name: value for name, value in vars(estimator).items() if isinstance(value, (np.ndarray, float, list))
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGDClassifier(random_state=1),
        lambda: SGDClassifier(average=True, random_state=1),
        lambda: SGDClassifier(random_state=np.random.RandomState(1)),
        lambda: SGDRegressor(),
        lambda: MLPClassifier((4,), random_state=1),
        lambda: MLPRegressor(hidden_layer_sizes=(4,), solver="sgd", nesterovs_momentum=True),
        lambda: MiniBatchKMeans(3),
        lambda: BernoulliRBM(2),
        lambda: MiniBatchNMF(2),
        lambda: IncrementalPCA(2),
        lambda: GaussianNB(),
        lambda: StandardScaler(),
    ],
    ids=[
        "SGDClassifier", "averaged", "with a generator", "SGDRegressor", "MLPClassifier", "MLPRegressor",
        "MiniBatchKMeans", "BernoulliRBM", "MiniBatchNMF", "IncrementalPCA", "GaussianNB", "StandardScaler",
    ],
)  # fmt: skip
def test_training_goes_on_from_what_was_learned_as_if_it_had_not_been_cut(make: Any) -> None:
    np.random.seed(3)
    first = trained(make(), times=2)
    second = make()

    saved = passed_on(first)
    saved.check(second)
    saved.give_to(second, load_states=True)
    for estimator in (first, second):
        np.random.seed(9)
        trained(estimator)

    assert numbers(second).keys() == numbers(first).keys()
    for name, value in numbers(first).items():
        np.testing.assert_equal(numbers(second)[name], value)


def test_what_was_saved_does_not_change_with_the_estimator() -> None:
    estimator = trained(SGDRegressor())
    saved = FittedState.of(estimator)
    before = estimator.coef_.copy()
    other = SGDRegressor()
    saved.give_to(other, load_states=True)

    trained(estimator)
    trained(other)
    saved.give_to(estimator, load_states=True)

    np.testing.assert_array_equal(estimator.coef_, before)


def test_an_estimator_that_was_not_fitted_is_so_again() -> None:
    saved = passed_on(SGDRegressor())
    estimator = trained(SGDRegressor())

    saved.give_to(estimator, load_states=True)

    assert vars(estimator).keys() == vars(SGDRegressor()).keys()


def test_states_of_further_training_can_be_left_out() -> None:
    saved = passed_on(trained(MLPClassifier((4,), random_state=1)), keep_states=False)
    estimator = MLPClassifier((4,), random_state=1)

    saved.give_to(estimator, load_states=True)

    assert not hasattr(estimator, "_optimizer")
    assert estimator.predict(X).shape == (40,)


def test_an_estimator_keeps_its_own_states_where_they_are_not_wanted() -> None:
    generator = np.random.RandomState(5)
    estimator = trained(MLPClassifier((4,), random_state=generator))
    optimizer, place = estimator._optimizer, generator.get_state(legacy=False)
    saved = passed_on(trained(MLPClassifier((4,), random_state=np.random.RandomState(1)), times=2))

    saved.give_to(estimator, load_states=False)

    assert estimator._optimizer is optimizer
    np.testing.assert_equal(generator.get_state(legacy=False), place)


def test_a_generator_that_the_user_holds_is_put_back_itself() -> None:
    generator = np.random.RandomState(5)
    saved = FittedState.of(SGDClassifier(random_state=generator))
    expected = generator.random(3)

    saved.give_to(SGDClassifier(random_state=generator), load_states=True)

    np.testing.assert_array_equal(generator.random(3), expected)


def test_a_generator_that_the_model_has_no_more_is_passed_over() -> None:
    saved = FittedState.of(SGDClassifier(random_state=np.random.RandomState(5)))
    estimator = SGDClassifier(random_state=1)

    saved.give_to(estimator, load_states=True)

    assert estimator.random_state == 1


def test_names_of_a_data_frame_are_kept() -> None:
    estimator = trained(SGDRegressor())
    estimator.feature_names_in_ = np.array(list("abcde"), dtype=object)
    other = SGDRegressor()

    passed_on(estimator).give_to(other, load_states=True)

    assert other.feature_names_in_.dtype == object
    assert other.feature_names_in_.tolist() == list("abcde")


def test_what_cannot_be_saved_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"Birch\.root_ is a _CFNode, which cannot be saved"):
        FittedState.of(Birch(n_clusters=None).partial_fit(X))


@pytest.mark.parametrize(
    ("saved", "model", "message"),
    [
        (SGDRegressor(), SGDClassifier(), "of a SGDRegressor, the model is a SGDClassifier"),
        (
            MLPClassifier((4,)), MLPClassifier((4, 5)),
            r"hidden_layer_sizes=\(4,\) in the checkpoint, \(4, 5\) in the model",
        ),
        (SGDRegressor(alpha=0.1), SGDRegressor(alpha=0.2), "alpha=0.1 in the checkpoint, 0.2 in the model"),
        (
            trained(SGDRegressor()), SGDRegressor().partial_fit(X[:, :2], Y),
            "n_features_in_ is 5 in the checkpoint, 2 in the model",
        ),
        (
            trained(GaussianNB()), GaussianNB().partial_fit(X, Y, classes=[0, 1, 2, 3]),
            r"classes_ is \[0 1 2\] in the checkpoint, \[0 1 2 3\] in the model",
        ),
    ],
    ids=["class", "layers", "parameter", "features", "classes"],
)  # fmt: skip
def test_another_estimator_is_told_what_differs(saved: Any, model: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        passed_on(saved).check(model)


@pytest.mark.parametrize(
    ("saved", "model"),
    [
        (SGDRegressor(max_iter=10, verbose=1), SGDRegressor(max_iter=20)),
        (
            SGDRegressor(random_state=np.random.RandomState(1)),
            SGDRegressor(random_state=np.random.RandomState(2)),
        ),
        (StandardScaler(), StandardScaler()),
        (trained(SGDRegressor()), SGDRegressor()),
    ],
    ids=["how long", "generators", "no parameters", "not fitted"],
)
def test_what_may_differ_is_accepted(saved: Any, model: Any) -> None:
    passed_on(saved).check(model)


def test_a_function_as_parameter_is_not_compared() -> None:
    passed_on(WithFunction(len)).check(WithFunction(max))


class WithFunction(MultinomialNB):  # type: ignore[misc]  # untyped framework
    def __init__(self, function: Any = None) -> None:
        super().__init__()
        self.function = function


@pytest.mark.parametrize(
    "plain", [{}, {"model": {}}, {"estimator": {"class": "SGDRegressor"}}, {"estimator": 3}]
)
def test_what_is_no_checkpoint_of_an_estimator_is_refused(plain: Any) -> None:
    with pytest.raises(CheckpointError, match="not made by a SklearnModel"):
        FittedState.from_plain(plain)
