"""HTML of ours on a page: the element that shows it, and what is folded away.

Takes HTML, so callers escape what they were given.
"""

from __future__ import annotations

import importlib.resources
from typing import Any

from trainsignal.report.pages.toolkit import models

_NOTE_UNFOLDED = (
    "const noted = this.getRootNode().host?.dataset ?? {}; "
    "this.open ? noted[this.dataset.name] = '' : delete noted[this.dataset.name]"
)
"""Runs a moment after the click: by then, the text may have been written anew, and this be nowhere."""


def element() -> Any:
    """Return an element as wide as the page, whose `text` is HTML, not yet any.

    Text that looks like TeX stays as it is. What a reader unfolded stays so when `text` changes.
    """
    shown = models.Div(disable_math=True, sizing_mode="stretch_width", stylesheets=[resource("markup.css")])
    shown.js_on_change("text", models.CustomJS(code=resource("unfold.js")))
    return shown


def resource(name: str) -> str:
    """Return a style sheet or a script that lies beside this file."""
    return importlib.resources.files("trainsignal.report.pages").joinpath(name).read_text(encoding="utf-8")


def folded(name: str, summary: str, content: str) -> str:
    """Return HTML that is shown once its summary is clicked.

    Args:
        name: lower-case letters; tells it from others in the same element.
        summary: HTML.
        content: HTML.
    """
    opening = f'<details data-name="{name}" ontoggle="{_NOTE_UNFOLDED}">'
    return f"{opening}<summary>{summary}</summary>{content}</details>"
