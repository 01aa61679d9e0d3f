"""Python programs in processes of their own, with what this process imports."""

from __future__ import annotations

import os
import subprocess
import sys


def python(module: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Return a process that runs a module, with pipes to it, and changes of its environment."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", module, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
