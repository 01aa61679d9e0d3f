"""A notebook without a browser: IPython's real shell, whose displays are kept instead of sent."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


class Notebook:
    """What a notebook shows, by the identity of each place of display: all that stood there, in order."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    @property
    def places(self) -> dict[str, list[str]]:
        """The HTML that stood at each place, the latest last."""
        found: dict[str, list[str]] = {}
        for output in self.shell.display_pub.outputs:
            found.setdefault(output["transient"]["display_id"], []).append(output["data"]["text/html"])
        return found


@contextlib.contextmanager
def ipython(folder: Path, *, has_kernel: bool) -> Generator[Notebook]:
    """Be in IPython's shell: with a kernel as in a notebook, without one as in a terminal.

    Args:
        folder: for the files of its user.
        has_kernel: whether a notebook is served.
    """
    pytest.importorskip("IPython")
    from IPython.core import displaypub
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    hook, prompts = sys.displayhook, {name for name in ("ps1", "ps2", "ps3") if hasattr(sys, name)}
    modules, names = sys.modules["__main__"], set(vars(builtins))
    shell: Any = InteractiveShell.instance(
        ipython_dir=str(folder), config=Config({"HistoryManager": {"enabled": False}})
    )
    capturing: Any = displaypub.CapturingDisplayPublisher
    shell.display_pub = capturing(parent=shell)
    if has_kernel:
        shell.kernel = object()
    try:
        yield Notebook(shell)
    finally:
        shell.restore_sys_module_state()
        shell.atexit_operations()
        atexit.unregister(shell.atexit_operations)
        InteractiveShell.clear_instance()
        sys.displayhook, sys.modules["__main__"] = hook, modules
        for name in {"ps1", "ps2", "ps3"} - prompts:
            vars(sys).pop(name, None)
        for name in set(vars(builtins)) - names:
            delattr(builtins, name)
