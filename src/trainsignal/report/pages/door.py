"""Whom a page is served to: browsers that asked for it by a name of this machine, and pages of its own.

A page of another site must not read a run over the visitor's browser, neither by connecting to a loopback
address nor by having its own name resolve to one.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def names_of(host: str) -> frozenset[str]:
    """Return the names by which a server at `host` may be asked for; its addresses go without saying.

    Args:
        host: name or address at which the server listens.
    """
    names = {"localhost", host.lower()}
    if not _is_loopback(host):
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(names)


def is_welcome(host: str, origin: str | None, names: frozenset[str]) -> bool:
    """Say whether to answer a request. The port does not matter: tunnels change it.

    Args:
        host: its header "Host". An address is the server's own: no foreign name can stand for it there.
        origin: its header "Origin", which names the page that asks: it must be one from here.
        names: of the server.
    """
    name = _name(f"//{host}")
    if name is None or not (name in names or _is_address(name)):
        return False
    return origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _name(address: str) -> str | None:
    """Return the host in an address, without its port; None where there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:  # brackets that do not close
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    """Say whether only this machine reaches `host`."""
    return host.lower() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
