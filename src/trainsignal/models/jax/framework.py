"""JAX itself, for the files of this package; an error that names the extra where it is missing."""

from __future__ import annotations

from typing import Any

from trainsignal.extras import require

jax: Any = require("jax", extra="jax", user="trainsignal.models.jax", at_least="0.10")
