"""Watch a run in four ways: a CSV file, TensorBoard, the system's memory and CPU, a function of yours.

The folder monitoring-run then holds "run.csv", with a line for each epoch, and what
`tensorboard --logdir monitoring-run/board` shows. The learning rate, which is halved from epoch to epoch, is
one of the series, as memory and CPU are. Needs the extras "system" and "tensorboard".
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import (
    Callbacks,
    CSVCallback,
    LambdaCallback,
    LearningRateScheduleCallback,
    SharedData,
    SystemCallback,
    TensorBoardCallback,
)
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    Softmax,
)

FOLDER = Path("monitoring-run")
FOLDER.mkdir(exist_ok=True)

pixels, digits = load_digits(return_X_y=True)
pixels = (pixels / 16).astype(np.float32)
train_set = ArrayIterator(pixels[:1440], digits[:1440], nclass=10, batch_size=32)
valid_set = ArrayIterator(pixels[1440:], digits[1440:], nclass=10, batch_size=32)
model = Model([Affine(10, init=Gaussian(scale=0.1), bias=Constant(0), activation=Softmax())])

callbacks = Callbacks(model, eval_set=valid_set, eval_freq=1, progress_bar=False)
callbacks.add_callback(LearningRateScheduleCallback(lambda epoch: 0.1 * 0.5**epoch))
callbacks.add_callback(SystemCallback())
callbacks.add_callback(CSVCallback(FOLDER / "run.csv"))
callbacks.add_callback(TensorBoardCallback(FOLDER / "board"))


def tell(callback_data: SharedData, model: Model, epoch: int) -> None:
    """Print the loss of an epoch."""
    print(f"epoch {epoch}: loss {callback_data['cost/loss'][epoch]:.3f}")


callbacks.add_callback(LambdaCallback(on_epoch_end=tell))
cost, optimizer = GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, momentum_coef=0.9)
model.fit(train_set, cost, optimizer, num_epochs=5, callbacks=callbacks)
print((FOLDER / "run.csv").read_text())
