"""PyTorch models, for callbacks: `TorchModel` wraps an `nn.Module`.

model            TorchModel: what callbacks are given
state, tensors   state dicts as plain values and arrays, and back
loading          state dicts into module, optimizers and schedulers: all or none
training_mode    evaluation or training mode for a while
optimizer, costs     neon's names for learning rates, and for the parts of a loss
layers           neon's names for submodules and parameters
batch_norm       what batch normalizations see of a data set
guided_backprop  from a feature map back to the image
random_state     PyTorch's random generators
device_costs     costs that nobody waits for
"""

from trainsignal.models.torch import device_costs
from trainsignal.models.torch.model import TorchModel, wrapper_hint

__all__ = ["TorchModel", "device_costs", "wrapper_hint"]
