"""How pages look: template, style sheets, colours by the browser's preference for light or dark."""

from __future__ import annotations

from typing import Any, Literal

from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.toolkit import events, models, templates, themes

MADE_BY = '<meta name="generator" content="trainsignal">'
"""What stands in each page, near its beginning."""

_SOURCES = {"file": "", "server": "'self' "}
_CONNECTIONS = {"file": "'none'", "server": "'self'"}
"""A page from a server keeps a websocket to it open, which "'self'" lets it."""


def dress(document: Any, title: str, place: Literal["file", "server"]) -> None:
    """Give a Bokeh document its title, its template and its looks.

    Args:
        document: with its roots, or before it has any.
        title: of the page.
        place: "file": the page asks for nothing; "server": for what Bokeh's server gives.
    """
    document.title = title
    document.template = templates.get_env().from_string(resource("page.html"))
    document.template_variables.update(policy=_policy(place), made_by=MADE_BY, style=resource("page.css"))
    document.theme = themes.Theme(json={"attrs": _attributes()})
    document.js_on_event(events.DocumentReady, models.CustomJS(code=resource("paint.js")))


def _policy(place: Literal["file", "server"]) -> str:
    """Return the page's Content-Security-Policy: nothing is fetched from elsewhere.

    BokehJS has its styles in line, and makes functions of the text of callbacks.
    """
    sources = _SOURCES[place]
    return (
        f"default-src 'none'; script-src {sources}'unsafe-inline' 'unsafe-eval'; "
        f"style-src {sources}'unsafe-inline'; img-src {sources}data: blob:; font-src {sources}data:; "
        f"connect-src {_CONNECTIONS[place]}; form-action 'none'; base-uri 'none'"
    )


def _attributes() -> dict[str, dict[str, object]]:
    """Return what differs from Bokeh's defaults, by class."""
    font = "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif"
    return {
        "LayoutDOM": {"stylesheets": [resource("widget.css")]},
        "Plot": {"background_fill_color": None, "border_fill_color": None, "outline_line_width": 1},
        "Title": {"text_font": font, "text_font_size": "15px", "text_font_style": "bold"},
        "Axis": {
            "axis_label_text_font": font,
            "axis_label_text_font_style": "normal",
            "axis_label_text_font_size": "12px",
            "major_label_text_font": font,
            "major_label_text_font_size": "11px",
        },
        "Grid": {"grid_line_alpha": 0.6},
        "Legend": {"label_text_font": font, "label_text_font_size": "12px"},
    }
