"""Addresses of brokers: which ones there are, and how they are shown without their password. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

from trainsignal.errors import ConfigurationError

_SCHEMES: Final = ("redis", "rediss", "unix")
_OURS: Final = frozenset({"protocol", "decode_responses", "encoding"})
"""Options of redis-py that an address must not set, for we rely on how it answers."""

ESCAPES: Final = "'@' as %40, ':' as %3A, '/' as %2F, '#' as %23, '%' as %25"
"""How to write characters of a password that mean something else in an address."""

_LOGIN = re.compile(r"^(\w*://[^:@/]*):.*@", re.DOTALL)
_LOGIN_ALONE = re.compile(r"^(\w*://)[^:@/]+@")
_NO_PORT = re.compile(r"^(\w*://[^:@/\[\]]*):(?!\d+(?:[/?]|$)).*", re.DOTALL)
_OPTION = re.compile(r"([?&][^=&]*password=)[^&]*", re.IGNORECASE)


def masked_url(url: str) -> str:
    """Return an address with "***" in place of each password; whatever the user wrote, none is left.

    That is also in place of a user alone, which may be a password whose ":" was forgotten.
    """
    masked, logins = _LOGIN.subn(r"\1:***@", _LOGIN_ALONE.sub(r"\1***@", url))
    if not logins:  # what looks like a port may be a password whose "@host" was forgotten
        masked = _NO_PORT.sub(r"\1:***", masked)
    return _OPTION.sub(r"\1***", masked)


def check_url(url: object) -> None:
    """Refuse what is no address of a broker.

    Raises:
        ConfigurationError: no text, another scheme, no number as port or database, an option that cannot be
            set; the message holds no password.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"url={url!r:.100}: expected the address of a broker, redis://host[:port]")
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in _SCHEMES and not parts.fragment and parts.port != 0
    except ValueError:  # its text may hold a part of the password
        is_sound = False
    else:
        is_path = len(parts.path) > 1 if parts.scheme == "unix" else re.fullmatch(r"/?|/\d+", parts.path)
        is_sound = is_sound and bool(is_path)
    if not is_sound:
        raise ConfigurationError(
            f"url={masked_url(url)!r}: expected redis://[user:password@]host[:port][/database], the same "
            f"with rediss:// for TLS, or unix:///path/of/the/socket; in a password, write {ESCAPES}"
        )
    for option in parse_qs(urlsplit(url).query):
        if option in _OURS:
            raise ConfigurationError(f"url={masked_url(url)!r}: leave out the option {option!r}")
        if option.startswith("ssl_") and not url.startswith("rediss://"):
            raise ConfigurationError(
                f"url={masked_url(url)!r}: {option!r} is an option of rediss://, for TLS"
            )
