"""Addresses of brokers: which ones there are, and how they are shown without their password."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from trainsignal.errors import ConfigurationError

_SCHEMES: Final = ("redis", "rediss", "unix")
_OURS: Final = frozenset({"protocol", "decode_responses", "encoding"})
"""Options of redis-py that an address must not set, for we rely on how it answers."""

_ESCAPES: Final = "'@' as %40, ':' as %3A, '/' as %2F, '#' as %23, '%' as %25"
"""How to write characters of a password that mean something else in an address."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_LOGIN = re.compile(r"^(\w*://[^:@/]*):(?P<password>.*)@", re.DOTALL)
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


def filled_in(url: str) -> str:
    """Return an address with environment variables, as in redis://:${PASSWORD}@host, filled in.

    So that a password need not stand in a command line, which others on the machine may read, nor in a
    script. A variable may also be the whole address.

    Raises:
        ConfigurationError: one is not set.
    """
    missing = [name for name in _VARIABLE.findall(url) if name not in os.environ]
    if missing:
        raise ConfigurationError(f"the environment variable {missing[0]} in the address is not set")
    whole = _VARIABLE.fullmatch(url)
    if whole is not None:
        return os.environ[whole[1]]
    return _VARIABLE.sub(lambda found: quote(os.environ[found[1]], safe=""), url)


def begins_with_variable(text: str) -> bool:
    """Return whether a text begins with what `filled_in` would fill in."""
    return _VARIABLE.match(text) is not None


def password_hint(url: str) -> str:
    """Return what may be wrong with the password of an address, as it was given, or ""."""
    found = _LOGIN.match(_VARIABLE.sub("", url))
    password = "" if found is None else found["password"]
    if "$" in password:
        return " (an environment variable in an address is written as ${NAME})"
    return f" (in a password, write {_ESCAPES})" if re.search("[@:/#%]", password) else ""


def checked_url(given: object) -> str:
    """Return an address of a broker with its variables filled in.

    Raises:
        ConfigurationError: no text, another scheme, no number as port or database, an option that cannot be
            set, a variable that is not; the message holds no password.
    """
    if not isinstance(given, str):
        raise ConfigurationError(f"url={given!r:.100}: expected the address of a broker, redis://host[:port]")
    url = filled_in(given)
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
            f"with rediss:// for TLS, or unix:///path/of/the/socket; in a password, write {_ESCAPES}"
        )
    for option in parse_qs(urlsplit(url).query):
        if option in _OURS:
            raise ConfigurationError(f"url={masked_url(url)!r}: leave out the option {option!r}")
        if option.startswith("ssl_") and not url.startswith("rediss://"):
            raise ConfigurationError(
                f"url={masked_url(url)!r}: {option!r} is an option of rediss://, for TLS"
            )
    return url
