"""Short storms: every kind of death and hang, and of the manager too; no promise is broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.managing import REPOSITORY, python_path

# For some seconds, while three managers come and go.
OPTIONS = (
    '--items 200 --rate 30 --seed 1 --kill-period 0.3 --manager-kill-period 1 '
    '--manager-kills 3 --startup-timeout 4 --no-peers'
)
# One manager, as frames take their time; no faster than that there are some blows.
FRAMES = (
    '--frames --items 200 --rate 20 --seed 1 --kill-period 0.5 --manager-kill-period 1 '
    '--manager-kills 1 --startup-timeout 4'
)


def storm(options: str, directory: Path) -> dict[str, Any]:
    """As it is run by hand: what it prints names the folder that tells more of a bad one."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'storm', *options.split(), '--json', str(directory / 'storm.json')],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {'PYTHONPATH': python_path()},
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=150)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # it ends what it has started
            process.communicate(timeout=30)
    assert process.returncode == 0, printed
    (told,) = json.loads((directory / 'storm.json').read_text())['storms']
    return told['figures']


@pytest.mark.timeout(200)
def test_a_storm_loses_nothing_doubles_nothing_and_keeps_the_order(tmp_path):
    """Whoever is struck."""
    figures = storm(OPTIONS, tmp_path)
    assert figures['delivered'] + figures['quarantined'] == 200
    # Else it was none.
    assert figures['manager killed'] >= 2, figures
    assert sum(figures['blows'].values()) >= 10, figures


@pytest.mark.timeout(200)
def test_a_storm_tears_no_camera_frame_and_leaves_no_memory(tmp_path):
    """Of 6.9 MB each, by shared memory, which is within its bound and empty at the end."""
    figures = storm(FRAMES, tmp_path)
    assert figures['delivered'] + figures['quarantined'] == 200
    assert (figures['torn'], figures['files in shared memory at the end']) == (0, 0)
    assert 0 < figures['frame memory at most [MB]'] <= figures['frame memory allowed [MB]']
    # Else it was none, or not of frames in shared memory.
    assert figures['manager killed'] == 1, figures
    assert sum(figures['blows'].values()) >= 4, figures
    assert figures['frames by sockets'] < 100, figures
