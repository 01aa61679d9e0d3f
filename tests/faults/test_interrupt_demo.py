"""Ctrl-C in the demo: what was done is saved, and the archive says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py

from trainsignal.checkpoint import load_state


def test_ctrl_c_saves_what_was_done_and_says_so(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-u",
        "-m",
        "trainsignal.cli",
        "demo",
        "--epochs",
        "100000",
        "--serialize",
        "1000",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for _ in range(5):
            demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)

    assert demo.returncode == 130
    assert errors.splitlines()[-1] == "trainsignal demo: interrupted; what was done is saved"
    with h5py.File(str(tmp_path / "demo-run" / "digits.h5")) as archive:
        assert archive["config"].attrs["exit_reason"] == "interrupted"
        assert archive["time_markers"].attrs["epochs_complete"] >= 5
    assert load_state(tmp_path / "demo-run" / "checkpoint.h5")["epoch_index"] >= 5
