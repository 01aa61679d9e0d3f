"""What pages may ask for."""

from __future__ import annotations

from typing import Literal

import pytest

from trainsignal.report.pages.appearance import dress
from trainsignal.report.pages.toolkit import document


def policy_of(place: Literal["file", "server"]) -> dict[str, str]:
    """Return the sources of each directive of the policy of a page."""
    drawn = document.Document()
    dress(drawn, "title", place)
    directives = drawn.template_variables["policy"].split("; ")
    return {name: sources for name, _, sources in (one.partition(" ") for one in directives)}


@pytest.mark.parametrize("place", ["file", "server"])
def test_a_page_sends_no_forms_and_has_no_base_elsewhere(place: Literal["file", "server"]) -> None:
    policy = policy_of(place)
    assert [policy[name] for name in ("default-src", "form-action", "base-uri")] == ["'none'"] * 3


def test_a_page_talks_to_its_own_server_alone_and_one_of_a_file_to_nobody() -> None:
    assert policy_of("server")["connect-src"] == "'self'"
    assert policy_of("file")["connect-src"] == "'none'"
