"""How long does `import trainsignal` take beyond importing NumPy and h5py?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Case, Goal, Table, interleaved, main

BASE = "numpy and h5py"
OURS = "trainsignal, after them"

PROGRAM = """
from time import perf_counter
for name in {first!r}:
    __import__(name)
began = perf_counter()
for name in {timed!r}:
    __import__(name)
print(perf_counter() - began)
"""


def measure(quick: bool) -> Table:
    """Import in fresh processes, with bytecode cached as after an installation."""
    with tempfile.TemporaryDirectory() as cache:
        cases = [
            import_case(BASE, [], ["numpy", "h5py"], Path(cache)),
            import_case(OURS, ["numpy", "h5py"], ["trainsignal"], Path(cache)),
            import_case("blinker alone, after them", ["numpy", "h5py"], ["blinker"], Path(cache)),
        ]
        rows = interleaved(cases, repeats=1 if quick else 15)
    table = Table("import trainsignal", "ms per import", 1e3, BASE, rows)
    ms = table.minimum(OURS)
    table.goals.append(Goal("at most 60 ms beyond numpy and h5py", f"{ms:.0f} ms", ms <= 60))
    return table


def import_case(name: str, first: list[str], timed: list[str], cache: Path) -> Case:
    """Import `timed` in a new process that has imported `first`; the first time fills the cache."""
    program = PROGRAM.format(first=first, timed=timed)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cache)

    def run() -> float:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout)

    return Case(name, run, 1)


if __name__ == "__main__":
    main(measure)
