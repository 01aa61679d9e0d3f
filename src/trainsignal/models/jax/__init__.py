"""Models in JAX, for callbacks: `JaxModel` holds the state of a loop, whether Optax's or Flax's.

model            JaxModel: what callbacks are given
pytree, leaves   a pytree as nested plain values, and back
layers           neon's names for parameters
device_costs     costs that nobody waits for
hint             how to wrap a model
"""

from trainsignal.models.jax import device_costs
from trainsignal.models.jax.hint import wrapper_hint
from trainsignal.models.jax.model import JaxModel

__all__ = ["JaxModel", "device_costs", "wrapper_hint"]
