"""Pieces of a page, each shown by itself, for tests that look at them in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainsignal.report.pages.appearance import dress
from trainsignal.report.pages.toolkit import document, embed, resources

HOSTILE = "<img src=x onerror=console.error('ran')> \"quoted\" $$x^2$$ @{share} $x"
"""Text that HTML, TeX or a format of Bokeh's could mistake for its own."""


def shown(folder: Path, *models: Any) -> str:
    """Return the address of a page that shows Bokeh's models below one another."""
    page = document.Document()
    for model in models:
        page.add_root(model)
    dress(page, "pieces", "file")
    text = embed.file_html(
        page,
        resources.INLINE,
        title=page.title,
        template=page.template,
        template_variables=page.template_variables,
    )
    target = folder / "pieces.html"
    target.write_text(text, encoding="utf-8")
    return target.as_uri()
