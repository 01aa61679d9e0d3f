"""scikit-learn itself, for the files of this package; an error that names the extra where it is missing."""

from __future__ import annotations

from typing import Any

from trainsignal.extras import require

base: Any = require("sklearn.base", extra="sklearn", user="trainsignal.models.sklearn", at_least="1.9")
utils: Any = require("sklearn.utils", extra="sklearn", user="trainsignal.models.sklearn")
