"""Train a small generative adversarial network on handwritten digits, and see its pictures.

A generator makes images of 8 x 8 pixels out of noise; a critic tells them from real ones (a Wasserstein GAN).
"gan_data_029.png" shows real digits, "gan_noise_000.png" what the generator makes at first, and
"gan_noise_029.png" what it has learnt; "gan_training.png" the distance that the critic finds, which falls.
The pictures of digits are 38 x 38 pixels: zoom in.
"""

from types import SimpleNamespace

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import Callbacks, GANCostCallback, GANPlotCallback
from trainsignal.models import numpy_net as net

NOISE, BATCH, CLIP = 16, 64, 0.1


def affine(nout: int, activation: net.Transform | None = None) -> net.Affine:
    """Return a fully connected layer."""
    return net.Affine(nout, init=net.Gaussian(scale=0.1), bias=net.Constant(0), activation=activation)


def network(inputs: int, *layers: net.Affine) -> net.Model:
    """Return an initialized network."""
    model = net.Model(layers)
    model.initialize(net.ArrayIterator(np.zeros((BATCH, inputs)), batch_size=BATCH))
    return model


generator = network(NOISE, affine(64, net.Rectlin()), affine(64, net.Logistic()))
critic = network(64, affine(64, net.Rectlin()), affine(1))
generator_sgd, critic_sgd = net.GradientDescentMomentum(0.5, 0.5), net.GradientDescentMomentum(0.1, 0.5)
random = np.random.default_rng(0)
fixed_noise = random.standard_normal((NOISE, BATCH))
signs = np.repeat([[-1.0, 1.0]], BATCH, axis=1)  # the critic is to score real digits high, fake ones low

train_set = net.ArrayIterator(load_digits().data / 16, batch_size=BATCH)
gan = SimpleNamespace(current_batch=0, last_gen_batch=0, gen_iter=0, cost_dis=np.zeros(1))
callbacks = Callbacks(gan, progress_bar=False)
callbacks.callbacks = [GANCostCallback(), GANPlotCallback("gan", hw=8, epoch_freq=[0, 29])]
with callbacks.training(epochs=30) as run:
    for _epoch in run.epochs():
        for digits, _ in run.minibatches(train_set):
            gan.current_batch += 1
            fakes = generator.fprop(random.standard_normal((NOISE, BATCH)))
            gan.cost_dis[0] = (signs * critic.fprop(np.hstack([digits, fakes]))).sum() / BATCH
            critic.bprop(signs)
            critic_sgd.optimize(critic.layers_to_optimize, 0, batch_size=BATCH)
            for layer in critic.layers_to_optimize:
                np.clip(layer.params["W"], -CLIP, CLIP, out=layer.params["W"])
            if gan.current_batch % 5 == 0:
                generator.bprop(critic.bprop(-signs)[:, BATCH:])
                generator_sgd.optimize(generator.layers_to_optimize, 0, batch_size=BATCH)
                gan.gen_iter, gan.last_gen_batch = gan.gen_iter + 1, gan.current_batch
            gan.data_batch, gan.noise_batch = digits, generator.fprop(fixed_noise, inference=True)
print("updates of the generator:", gan.gen_iter)
