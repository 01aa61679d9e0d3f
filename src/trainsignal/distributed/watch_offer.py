"""`Offer`: where and how the watch of the first rank is reached; listening there, and dialling it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import platform
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from trainsignal.distributed.watch_link import decoded, encoded
from trainsignal.errors import CommunicatorError

if sys.platform != "win32":  # pragma: no branch - the tests run on POSIX
    import fcntl

_logger = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"

_FIRST_ATTEMPT_S: Final = 1.0
_PAUSE_S: Final = 0.05
_SIOCGIFADDR: Final = 0x8915  # netdevice(7): the address of an interface
_WELCOME_LIMIT_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Offer:
    """What the first rank tells the others.

    Attributes:
        host: its `host_identity`.
        addresses: to be tried in this order; the last may be a name.
        port: of TCP.
        token: whoever knows it is a rank of the run.
    """

    host: str
    addresses: tuple[str, ...]
    port: int
    token: str

    def encoded(self) -> bytes:
        """Return it as bytes for the other ranks."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, content: bytes) -> Offer:
        """Return the offer in `encoded`'s bytes.

        Raises:
            CommunicatorError: there is none in them.
        """
        try:
            parts = json.loads(content)
            return cls(parts["host"], tuple(parts["addresses"]), parts["port"], parts["token"])
        except (ValueError, TypeError, LookupError) as error:
            raise CommunicatorError(
                f"an offer of {len(content)} bytes: expected those that Watch.offer() returned on rank 0"
            ) from error


def listen(size: int, is_one_host: bool) -> socket.socket:
    """Return a socket that listens on a free port, of the loopback interface alone for ranks of one host.

    Raises:
        OSError: the system gives none.
    """
    if is_one_host:
        return socket.create_server((LOOPBACK, 0), backlog=size)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=size)
        except OSError as error:  # IPv6 is switched off
            _logger.debug("no IPv6: %s", error)
    return socket.create_server(("", 0), backlog=size)


def host_identity() -> str:
    """Return what the processes have in common that reach each other over the loopback interface.

    Beside the name of the machine, as several may be called "localhost": on Linux the number of its last
    start, and that of the network namespace, which differs between containers on one machine.
    """
    return " ".join([platform.node(), *_kernel_identities()])


def _kernel_identities() -> Iterable[str]:
    with contextlib.suppress(OSError):  # no Linux, or one that does not tell
        yield Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        yield str(Path("/proc/self/ns/net").readlink())


def own_addresses() -> tuple[str, ...]:
    """Return the addresses of this machine that others may reach, as far as can be known, then its name."""
    host = socket.gethostname()
    found = dict.fromkeys((*_resolved(host), *_outward(), *_of_interfaces()))
    return (*(address for address in found if _is_for_others(address)), host)


def _resolved(host: str) -> Iterable[str]:
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return ()  # a name that is known to this machine alone, or none that DNS can have


def _outward() -> Iterable[str]:
    """Return the address from which a packet to the world would go out; none is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that RFC 5737 gives to nobody
        except OSError:
            return ()  # a machine without a way to the world
        return (str(probe.getsockname()[0]),)


def _of_interfaces() -> Iterable[str]:
    """Yield the IPv4 address of each network interface; one between machines may have no name."""
    if sys.platform == "linux":  # pragma: no branch - elsewhere Python cannot ask
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, interface in socket.if_nameindex():
                with contextlib.suppress(OSError):  # an interface without an address
                    asked = struct.pack("256s", interface.encode())
                    yield socket.inet_ntoa(fcntl.ioctl(probe, _SIOCGIFADDR, asked)[20:24])


def _is_for_others(address: str) -> bool:
    known = ipaddress.ip_address(address)
    return not (known.is_loopback or known.is_link_local or known.is_unspecified)


def dial(
    offer: Offer,
    rank: int,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> socket.socket | None:
    """Return a connection to the first rank, which knows it as this rank's; None when the time is over.

    Tries the addresses in turn, again and again, with more time for each every time round: an address may
    swallow packets, and the first rank may be busy. Where it runs on this host, the loopback interface comes
    first.

    Args:
        offer: of the first rank.
        rank: this one.
        timeout_s: seconds in all, but for what the system takes to resolve the name of a host.
        clock: returns seconds.
        sleep: waits for so many seconds.
    """
    is_same_host = offer.host == host_identity()
    deadline = clock() + timeout_s
    names = ([LOOPBACK] if is_same_host else []) + list(offer.addresses)
    addresses = dict.fromkeys(address for name in names for address in _resolved(name))
    attempt_s = _FIRST_ATTEMPT_S
    while clock() < deadline:
        for address in addresses:
            try:
                return _joined(address, offer, rank, min(clock() + attempt_s, deadline), clock)
            except OSError as error:
                _logger.debug("rank 0 does not answer at %s:%d: %s", address, offer.port, error)
        attempt_s *= 2
        sleep(_PAUSE_S)
    return None


def _joined(
    address: str, offer: Offer, rank: int, deadline: float, clock: Callable[[], float]
) -> socket.socket:
    """Return a connection that the other end has welcomed.

    Raises:
        OSError: it is not there, not the first rank, or takes too long.
    """
    connection = socket.create_connection((address, offer.port), max(deadline - clock(), 1e-3))
    try:
        connection.sendall(encoded({"rank": rank, "token": offer.token}))
        _await_welcome(connection, lambda: max(deadline - clock(), 1e-3))
        connection.sendall(encoded({"joined": True}))
    except BaseException:
        connection.close()
        raise
    return connection


def _await_welcome(connection: socket.socket, time_left_s: Callable[[], float]) -> None:
    answer = b""
    while not answer.endswith(b"\n"):
        connection.settimeout(time_left_s())
        part = connection.recv(_WELCOME_LIMIT_BYTES - len(answer))
        if not part:
            raise ConnectionError("closed, or no welcome within its first bytes")
        answer += part
    if (decoded(answer) or {}).get("welcome") is not True:
        raise ConnectionError(f"no welcome, but {answer!r}")
