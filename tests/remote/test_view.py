"""The live view of remote runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.remote.told import RUN_ID
from trainsignal.errors import ConfigurationError
from trainsignal.remote import view
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.view import Archives, file_name, run_name, view_remote


@pytest.mark.parametrize(
    "run, name",
    [
        ("digits-1a2b3c", "digits-1a2b3c.h5"), ("my run (2)", "my run (2).h5"), ("..", "%2E..h5"),
        (".hidden", "%2Ehidden.h5"), ("a/b", "a%2Fb.h5"), ("größe", "gr%C3%B6%C3%9Fe.h5"),
    ],
)  # fmt: skip
def test_name_of_an_archive_is_that_of_its_run_made_safe(run: str, name: str) -> None:
    assert file_name(run) == name
    assert run_name(name) == run


def test_long_names_stay_apart_and_fit_every_file_system() -> None:
    names = {file_name("ß" * 99 + end) for end in "ab"}

    assert len(names) == 2 and all(len(name) < 200 for name in names)


class Listening:
    """Takes the place of `listen`."""

    def __init__(self, error: BaseException | None = None, *, signal_number: int | None = None) -> None:
        self.error = error
        self.signal_number = signal_number
        self.archives: list[Path] = []
        self.has_ended = threading.Event()

    def __call__(
        self, url: str, *, archive: Callable[[RemoteModel], Path], is_over: Callable[[], bool]
    ) -> None:
        self.archives.append(archive(RemoteModel("digits", RUN_ID)))
        self.archives[0].touch()
        if self.error is not None:
            raise self.error
        if self.signal_number is not None:
            signal.pthread_kill(threading.main_thread().ident or 0, self.signal_number)
        while not is_over():
            self.has_ended.wait(0.01)
        self.has_ended.set()


def test_run_that_comes_to_the_name_of_another_gets_an_archive_of_its_own(tmp_path: Path) -> None:
    archives = Archives(tmp_path)
    first, heir = RemoteModel("digits", "first"), RemoteModel("digits", "heir")

    assert archives.file_of(first) == archives.file_of(first) == tmp_path / "digits.h5"
    assert archives.file_of(heir) == archives.file_of(heir) == tmp_path / "digits heir.h5"


def test_error_of_the_listener_ends_the_view_and_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    listening, said = Listening(ConfigurationError("no such broker")), list[str]()
    monkeypatch.setattr(view, "listen", listening)

    with pytest.raises(ConfigurationError, match="no such broker"):
        view_remote("redis://user:secret@host", port=0, tell=said.append)

    assert "secret" not in said[0] and said[0].endswith(
        "shows the runs at redis://user:***@host; Ctrl-C ends it"
    )
    assert listening.archives[0].name == "digits.h5"
    assert not listening.archives[0].parent.exists()


@pytest.mark.parametrize("opens", [True, False])
def test_ctrl_c_ends_the_view_quietly(opens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    listening, said, opened = Listening(signal_number=signal.SIGINT), list[str](), list[str]()

    def open_in_browser(address: str) -> bool:
        opened.append(address)
        return opens

    monkeypatch.setattr(view, "listen", listening)
    monkeypatch.setattr(view, "open_in_browser", open_in_browser)

    view_remote("redis://host", port=0, open_browser=True, tell=said.append)

    assert listening.has_ended.is_set()
    assert len(opened) == 1
    assert any("no browser could be opened" in one for one in said) == (not opens)


def test_port_that_is_in_use_is_told_before_anything_is_listened_to() -> None:
    with pytest.raises(ConfigurationError, match="no port"):
        view_remote("redis://host", port=70_000, tell=lambda text: None)


@pytest.mark.parametrize("own", [signal.SIG_DFL, lambda number, frame: None], ids=["default", "own"])
def test_sigterm_ends_the_view_and_leaves_its_handler_as_it_was(
    own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = Listening(signal_number=signal.SIGTERM)
    monkeypatch.setattr(view, "listen", listening)
    before = signal.signal(signal.SIGTERM, own)
    try:
        view_remote("redis://host", port=0, tell=lambda text: None)
        assert signal.getsignal(signal.SIGTERM) == own
    finally:
        signal.signal(signal.SIGTERM, before)

    assert listening.has_ended.is_set()
    assert not listening.archives[0].parent.exists()


def test_sigterm_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "listen", Listening(ConfigurationError("no such broker")))
    amid: list[Any] = []
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(ConfigurationError):
            view_remote(
                "redis://host", port=0, tell=lambda text: amid.append(signal.getsignal(signal.SIGTERM))
            )
        assert [*amid, signal.getsignal(signal.SIGTERM)] == [signal.SIG_IGN] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_view_in_another_thread_leaves_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "listen", Listening(ConfigurationError("no such broker")))
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as thread:
        viewed = thread.submit(view_remote, "redis://host", port=0, tell=lambda text: None)
        with pytest.raises(ConfigurationError, match="no such broker"):
            viewed.result(60)

    assert signal.getsignal(signal.SIGTERM) == before


def test_list_of_runs_is_headed_by_the_address_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: list[Any] = []

    def note(folder: Path, axis: str, *, title: str, name_of: Callable[[str], str]) -> Any:
        pages.append((title, name_of("digits%2F2 (2).h5")))
        return {}

    monkeypatch.setattr(view, "listen", Listening(ConfigurationError("no such broker")))
    monkeypatch.setattr(view, "pages_of", note)
    with pytest.raises(ConfigurationError):
        view_remote("redis://user:secret@host", port=0, tell=lambda text: None)

    assert pages == [("Runs at redis://user:***@host", "digits/2 (2)")]
