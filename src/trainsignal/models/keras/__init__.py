"""Models of Keras 3: `KerasModel` gives callbacks what they need of one."""

from trainsignal.models.keras.model import KerasModel, wrapper_hint

__all__ = ["KerasModel", "wrapper_hint"]
