"""Plugging a `Callbacks` into the training loops of frameworks; one file a framework."""
