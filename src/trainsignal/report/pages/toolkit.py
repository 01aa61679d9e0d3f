"""Bokeh's modules, and text as Bokeh shows it; `server` alone imports others of Bokeh's."""

from __future__ import annotations

import re
from typing import Any

from trainsignal.extras import require

_USER = "drawing pages"
_OLDEST = "3.9"

models: Any = require("bokeh.models", extra="report", user=_USER, at_least=_OLDEST)
plotting: Any = require("bokeh.plotting", extra="report", user=_USER)
events: Any = require("bokeh.events", extra="report", user=_USER)
palettes: Any = require("bokeh.palettes", extra="report", user=_USER)
document: Any = require("bokeh.document", extra="report", user=_USER)
embed: Any = require("bokeh.embed", extra="report", user=_USER)
resources: Any = require("bokeh.resources", extra="report", user=_USER)
themes: Any = require("bokeh.themes", extra="report", user=_USER)
templates: Any = require("bokeh.core.templates", extra="report", user=_USER)

_MATH = re.compile(r"\$\$|\\[\[(]")


def label(text: str) -> str:
    r"""Return `text` so that a title, an axis or a legend shows it literally.

    Bokeh takes what stands between "$$", "\[" or "\(" for TeX; an invisible space within them prevents that.
    Newlines and other control characters become spaces.
    """
    shown = "".join(character if character.isprintable() else " " for character in text)
    return _MATH.sub(lambda found: f"{found[0][0]}\N{WORD JOINER}{found[0][1:]}", shown)
