"""scikit-learn's estimators, for callbacks: `SklearnModel` wraps one.

model      SklearnModel: what callbacks are given
fitted     what an estimator has learned as plain values, and back
metric     SklearnMetric: a metric of `sklearn.metrics` over a whole set
"""

from trainsignal.models.sklearn.metric import SklearnMetric
from trainsignal.models.sklearn.model import SklearnModel, wrapper_hint

__all__ = ["SklearnMetric", "SklearnModel", "wrapper_hint"]
