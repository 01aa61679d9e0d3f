"""A small network in neon's shape, computed with NumPy: the model to try callbacks on.

Activations, inputs and targets are feature-major, (features, columns) float32, one column a sample.

Examples:
    >>> import numpy as np
    >>> from trainsignal.models.numpy_net import *
    >>> X = np.eye(4, dtype=np.float32)
    >>> train_set = ArrayIterator(X, [0, 1, 2, 3], nclass=4, batch_size=2)
    >>> init = Gaussian(scale=0.1)
    >>> model = Model(
    ...     [
    ...         Affine(nout=8, init=init, bias=Constant(0), activation=Rectlin()),
    ...         Affine(nout=4, init=init, bias=Constant(0), activation=Softmax()),
    ...     ]
    ... )
    >>> model.initialize(train_set, GeneralizedCost(CrossEntropyMulti()))
    >>> print(model)
    Network Layers:
    Sequential
      Linear Layer 'Linear_0': 4 inputs, 8 outputs
      Bias Layer 'Linear_0_bias': size 8
      Activation Layer 'Linear_0_Rectlin': Rectlin
      Linear Layer 'Linear_1': 8 inputs, 4 outputs
      Bias Layer 'Linear_1_bias': size 4
      Activation Layer 'Linear_1_Softmax': Softmax
"""

from trainsignal.models.numpy_net.activations import Logistic, Rectlin, Softmax, Tanh, Transform
from trainsignal.models.numpy_net.batch_norm import BatchNorm
from trainsignal.models.numpy_net.compound import Affine, Conv
from trainsignal.models.numpy_net.container import Sequential
from trainsignal.models.numpy_net.convolution import Convolution
from trainsignal.models.numpy_net.costs import (
    CostFunction,
    CrossEntropyBinary,
    CrossEntropyMulti,
    GeneralizedCost,
    MeanSquared,
)
from trainsignal.models.numpy_net.data import ArrayIterator
from trainsignal.models.numpy_net.initializers import Constant, Gaussian, Initializer, Uniform
from trainsignal.models.numpy_net.layers import Activation, Bias, Layer, Linear
from trainsignal.models.numpy_net.metrics import (
    Accuracy,
    Metric,
    Misclassification,
    PrecisionRecall,
    TopKMisclassification,
)
from trainsignal.models.numpy_net.model import Model
from trainsignal.models.numpy_net.optimizers import GradientDescentMomentum, Optimizer
from trainsignal.models.numpy_net.pooling import Pooling
from trainsignal.models.numpy_net.protocols import DataSet, FitCallbacks

__all__ = [
    "Accuracy",
    "Activation",
    "Affine",
    "ArrayIterator",
    "BatchNorm",
    "Bias",
    "Constant",
    "Conv",
    "Convolution",
    "CostFunction",
    "CrossEntropyBinary",
    "CrossEntropyMulti",
    "DataSet",
    "FitCallbacks",
    "Gaussian",
    "GeneralizedCost",
    "GradientDescentMomentum",
    "Initializer",
    "Layer",
    "Linear",
    "Logistic",
    "MeanSquared",
    "Metric",
    "Misclassification",
    "Model",
    "Optimizer",
    "Pooling",
    "PrecisionRecall",
    "Rectlin",
    "Sequential",
    "Softmax",
    "Tanh",
    "TopKMisclassification",
    "Transform",
    "Uniform",
]
