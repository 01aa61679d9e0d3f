"""Showing a page in the user's browser; knows nothing of what is on it."""

from __future__ import annotations

import webbrowser


def open_in_browser(address: str) -> bool:
    """Show the page at an address; return whether there is a browser that does."""
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
