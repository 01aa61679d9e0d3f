"""A real Redis server on this machine, for a test: started, killed and started again as the test wants."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 20.0


class RedisServer:
    """A redis-server in a folder of its own, reachable from this machine alone.

    Args:
        folder: for its files.
        persistent: write everything to disk before it is acknowledged, and read it again at the next start;
            else a server that comes back has forgotten all.
        password: that clients have to give; None: none.
        options: further ones of its command line, such as ("--maxmemory", "2mb").

    Attributes:
        port: on the loopback interface; the same after each start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistent: bool = False,
        password: str | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.port = _free_port()
        self._folder = folder
        self._password = password
        self._options = (
            "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
            "--appendonly", "yes" if persistent else "no", "--appendfsync", "always", "--daemonize", "no",
            *(() if password is None else ("--requirepass", password)), *options,
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it, with the password."""
        return self.url_with(self._password)

    def url_with(self, password: str | None) -> str:
        """Return the address with another password; None: with none."""
        return f"redis://{'' if password is None else f':{password}@'}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            AssertionError: there is no redis-server here, or it does not come up in time.
        """
        assert self._process is None, "the server runs already"
        program = shutil.which("redis-server")
        assert program is not None, "these tests need redis-server: apt-get install redis-server"
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "redis.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen([program, *self._options], stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, f"redis-server has ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"redis-server does not answer: {log.read_text()}"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, as a failing machine does; without persistence all is forgotten."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def stop(self) -> None:
        """End it in order; may be called twice."""
        if self._process is not None:
            self._process.terminate()
            self._reap()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _reap(self) -> None:
        assert self._process is not None
        process, self._process = self._process, None
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()

    def _answers(self) -> bool:
        """Return whether the server has loaded its data; an error (a password is wanted) is an answer too."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(100)
        except OSError:
            return False
        return bool(answer) and not answer.startswith(b"-LOADING")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
