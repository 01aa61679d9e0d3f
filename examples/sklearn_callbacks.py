"""Listen to `fit` of scikit-learn through its own callbacks (1.9 and later), and stop it when it overfits.

Each iteration of a logistic regression is an epoch, at whose end the held-out loss is computed with the
coefficients of that moment. They fit the training set better and better; the held-out loss has its minimum
early. The fit stops five iterations after it, and the best coefficients are put back. scikit-learn warns that
it did not converge: that is what was wanted.
"""

import warnings

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from trainsignal import Callbacks, MetricCallback, StopWhenNotImprovingCallback
from trainsignal.loops.sklearn import SklearnLoop
from trainsignal.models.sklearn import SklearnModel

features, is_benign = load_breast_cancer(return_X_y=True)
x, x_valid, y, y_valid = train_test_split(features, is_benign, test_size=0.3, random_state=1)
scaler = StandardScaler().fit(x)
valid_set = [(scaler.transform(x_valid), y_valid)]

model = SklearnModel(LogisticRegression(C=1000.0, max_iter=500), loss=log_loss)
callbacks = Callbacks(
    model, eval_set=valid_set, eval_freq=1, output_file="sklearn_callbacks.h5", progress_bar=False
)
callbacks.add_callback(MetricCallback(valid_set, model.metric(accuracy_score, direction="max")))
callbacks.add_callback(StopWhenNotImprovingCallback(patience=5, restore_best=True))

model.estimator.set_callbacks(SklearnLoop(callbacks))
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "lbfgs failed to converge")
    model.estimator.fit(scaler.transform(x), y)

losses = callbacks.callback_data["cost/loss"][: callbacks.run.epochs_complete]
print("held-out loss:", " ".join(f"{loss:.3f}" for loss in losses))
print(callbacks.summary())
