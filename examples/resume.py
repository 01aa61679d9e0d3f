"""Train, be stopped, go on: press Ctrl-C (or kill the process), then start the script again.

    python resume.py --epochs 50

The second time it says where it goes on. A checkpoint is written every 20 minibatches; the archive resumed.h5
has no gap: its attribute resumed_at_minibatches tells where the seams are.
"""

import argparse
import logging

from sklearn.datasets import load_digits

from trainsignal import Callbacks
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    Rectlin,
    Softmax,
)

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
epochs = parser.parse_args().epochs
logging.basicConfig(format="%(message)s")
logging.getLogger("trainsignal.life").setLevel(logging.INFO)  # says where a run goes on

pixels, digits = load_digits(return_X_y=True)
train_set = ArrayIterator(pixels[:1440] / 16, digits[:1440], nclass=10)
valid_set = ArrayIterator(pixels[1440:] / 16, digits[1440:], nclass=10)
weights = Gaussian(scale=0.1)
model = Model(
    [
        Affine(32, init=weights, bias=Constant(0), activation=Rectlin()),
        Affine(10, init=weights, bias=Constant(0), activation=Softmax()),
    ]
)
callbacks = Callbacks(
    model,
    output_file="resumed.h5",
    eval_set=valid_set,
    eval_freq=1,
    save_path="checkpoint.h5",
    checkpoint_every=20,
    resume=True,
)
model.fit(
    train_set, GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, 0.9), epochs, callbacks
)
seams = callbacks.callback_data["config"].attrs.get("resumed_at_minibatches", [])
print(callbacks.summary())
print("resumed at minibatches:", list(map(int, seams)) or "never")
