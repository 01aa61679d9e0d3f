"""Train a small network on handwritten digits, and keep its best state and a record of the run.

The data are the 1,797 digits of scikit-learn, 8 x 8 pixels; 1,440 are trained on, 357 held out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import Callbacks
from trainsignal.arguments import NeonArgparser
from trainsignal.models.numpy_net import (
    Accuracy,
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

FOLDER = Path("demo-run")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says, and tell how it went.

    Args:
        arguments: the command line; None takes that of this process.
    """
    # parse the command line arguments
    parser = NeonArgparser(
        __doc__,
        default_overrides={
            "batch_size": 32,
            "epochs": 12,
            "eval_freq": 1,
            "output_file": str(FOLDER / "digits.h5"),
            "save_path": str(FOLDER / "checkpoint.h5"),
            "rng_seed": 0,
        },
    )
    args = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)

    # load the data, in an order that is the same each time
    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(1234).permutation(len(digits))
    pixels, digits = (pixels[order] / 16).astype(np.float32), digits[order]
    train_set = ArrayIterator(
        pixels[:1440], digits[:1440], nclass=10, batch_size=args.batch_size, name="train"
    )
    valid_set = ArrayIterator(
        pixels[1440:], digits[1440:], nclass=10, batch_size=args.batch_size, name="valid"
    )

    # set up the layers, the cost and the optimizer
    weights = Gaussian(scale=0.1)
    layers = [
        Affine(nout=64, init=weights, bias=Constant(0), activation=Rectlin()),
        Affine(nout=10, init=weights, bias=Constant(0), activation=Softmax()),
    ]
    cost = GeneralizedCost(costfunc=CrossEntropyMulti())
    optimizer = GradientDescentMomentum(0.1, momentum_coef=0.9)
    model = Model(layers=layers, seed=args.rng_seed)

    # set up the callbacks
    callbacks = Callbacks(model, eval_set=valid_set, metric=Accuracy(), **args.callback_args)
    callbacks.add_save_best_state_callback(FOLDER / "best.h5")

    # run the fit
    model.fit(train_set, optimizer=optimizer, num_epochs=args.epochs, cost=cost, callbacks=callbacks)

    # how good is the best state?
    print(callbacks.summary())
    saved = [
        checkpoint.path for checkpoint in callbacks.run.checkpoints if checkpoint.path.endswith("best.h5")
    ]
    if saved:
        model.load_params(saved[-1])
    right = float(model.eval(valid_set, metric=Accuracy())[0])
    print(f"held out     {100 * right:.1f} % of {valid_set.ndata} digits are right")
    if args.output_file:
        print(f"look at it   {program()} report {args.output_file} --open")


def program() -> str:
    """Return the `trainsignal` command as it was typed, where this is `trainsignal demo`."""
    return sys.argv[0] if Path(sys.argv[0]).name == "trainsignal" else "trainsignal"


if __name__ == "__main__":
    main(sys.argv[1:])
