"""Train one model by several processes that talk by MPI, each with a share of the digits.

Start it with `mpirun -n 4 python -m mpi4py mpi_digits.py`, or as a plain script, which is one process alone.
Each rank trains on its own minibatches; the gradients are averaged by hand, as in any MPI program. Loss and
accuracy in the record of the run, "mpi.h5", are those of all held-out digits.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from mpi4py import MPI
from sklearn.datasets import load_digits

from trainsignal import Callbacks
from trainsignal.distributed.mpi import MPICommunicator
from trainsignal.models import numpy_net as nn

world = MPI.COMM_WORLD
pixels, labels = load_digits(return_X_y=True)
order = np.random.default_rng(1234).permutation(len(labels))
pixels, labels = (pixels[order] / 16).astype(np.float32), labels[order]
mine, my_held_out = slice(world.rank, 1440, world.size), slice(1440 + world.rank, None, world.size)
train_set = nn.ArrayIterator(pixels[mine], labels[mine], nclass=10, batch_size=32, name="train")
held_out = nn.ArrayIterator(pixels[my_held_out], labels[my_held_out], nclass=10, batch_size=32, name="valid")


class AveragedGradients(nn.GradientDescentMomentum):
    """Gradient descent along the gradients of the minibatches of all ranks."""

    def optimize(self, layer_list: Iterable[Any], epoch: int, *, batch_size: int) -> None:
        """Update the parameters of the layers."""
        layers = list(layer_list)
        for layer in layers:
            for _, gradient, _ in layer.get_params():
                world.Allreduce(MPI.IN_PLACE, gradient)
        super().optimize(layers, epoch, batch_size=batch_size * world.size)


weights = nn.Gaussian(scale=0.1)
layers = [
    nn.Affine(nout=64, init=weights, bias=nn.Constant(0), activation=nn.Rectlin()),
    nn.Affine(nout=10, init=weights, bias=nn.Constant(0), activation=nn.Softmax()),
]
model = nn.Model(layers=layers, seed=0)
callbacks = Callbacks(
    model, eval_set=held_out, eval_freq=1, metric=nn.Accuracy(), output_file="mpi.h5",
    communicator=MPICommunicator(world),
)  # fmt: skip
model.fit(
    train_set, optimizer=AveragedGradients(0.1, momentum_coef=0.9), num_epochs=5,
    cost=nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti()), callbacks=callbacks,
)  # fmt: skip
if world.rank == 0:
    print(callbacks.summary())
