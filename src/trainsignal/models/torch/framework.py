"""PyTorch itself, for the files of this package; an error that names the extra where it is missing."""

from __future__ import annotations

from typing import Any

from trainsignal.extras import require

torch: Any = require("torch", extra="torch", user="trainsignal.models.torch", at_least="2.2")
