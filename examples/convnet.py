"""Train a small convolutional network on digits, tune its batch normalization, and see what it looks for.

Writes convnet.h5. In it: `hist`, how the weights spread with time; `deconv`, for each feature map the digit
that made it fire most and the pixels that did so. The first maps are shown at the end, as characters.
"""

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import BatchNormTuneCallback, Callbacks, DeconvCallback, HistCallback
from trainsignal.models.numpy_net import (
    Accuracy,
    Affine,
    ArrayIterator,
    Constant,
    Conv,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    Pooling,
    Rectlin,
    Softmax,
)

pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(1234).permutation(len(digits))
pixels, digits = pixels[order] / 16, digits[order]
IMAGE = (1, 8, 8)
train_set = ArrayIterator(pixels[:1440], digits[:1440], nclass=10, lshape=IMAGE, name="train")
valid_set = ArrayIterator(pixels[1440:], digits[1440:], nclass=10, lshape=IMAGE, name="valid")
tune_set = ArrayIterator(pixels[:360], digits[:360], nclass=10, lshape=IMAGE, name="tune")

init = Gaussian(scale=0.1)
model = Model(
    [
        Conv((3, 3, 8), init=init, padding=1, batch_norm=True, activation=Rectlin()),
        Pooling(2),
        Conv((3, 3, 12), init=init, padding=1, batch_norm=True, activation=Rectlin()),
        Affine(10, init=init, bias=Constant(0), activation=Softmax()),
    ]
)
callbacks = Callbacks(model, output_file="convnet.h5", eval_set=valid_set, eval_freq=1, metric=Accuracy())
callbacks.add_callback(BatchNormTuneCallback(tune_set), 0)  # first, so that the others see the tuned model
callbacks.add_callback(HistCallback(plot_per_mini=False, filter_key=["W", "gamma"]))
callbacks.add_callback(DeconvCallback(train_set, valid_set, max_fm=4, dataset_pct=100))
model.fit(train_set, GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.05, 0.9), 4, callbacks)

print(callbacks.summary())
for picture in callbacks.callback_data["deconv/max_act/0004/vis"][:3, :, :, 0]:
    print(*("".join(" .:-=+*#%@"[level // 26] * 2 for level in row) for row in picture), "", sep="\n")
