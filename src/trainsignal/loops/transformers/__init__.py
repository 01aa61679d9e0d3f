"""Hugging Face transformers: the loop of its Trainer.

loop         TransformersLoop: a callback of the Trainer that drives ours
loss_hook    the losses in a model's outputs, which the Trainer shows to no callback
trainer      what the Trainer's arguments and objects say
"""

from trainsignal.loops.transformers.loop import TransformersLoop

__all__ = ["TransformersLoop"]
