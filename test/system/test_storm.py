# SPDX-License-Identifier: Apache-2.0
"""Short storms with every kind of death and hang, also of the manager: no promise is broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.manager_process import REPOSITORY, python_path

# Some seconds with two deaths of the manager.
OPTIONS = (
    '--items 150 --rate 30 --seed 1 --kill-period 0.3 --manager-kill-period 1 '
    '--manager-kills 2 --startup-timeout 6 --no-peers'
)
# One kill of the manager, and slow enough for some faults, as frames take more time.
FRAMES = (
    '--frames --items 100 --rate 20 --seed 1 --kill-period 0.5 --manager-kill-period 1 '
    '--manager-kills 1 --startup-timeout 6'
)


def storm(options: str, directory: Path) -> dict[str, Any]:
    """Run a storm as a user does, and return its figures."""
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
            process.send_signal(signal.SIGINT)  # it ends the processes it has started
            process.communicate(timeout=30)
    assert process.returncode == 0, printed
    (result,) = json.loads((directory / 'storm.json').read_text())['storms']
    return result['figures']


@pytest.mark.timeout(200)
def test_a_storm_loses_nothing_doubles_nothing_and_keeps_the_order(tmp_path):
    """Whichever process has a fault."""
    figures = storm(OPTIONS, tmp_path)
    assert figures['delivered'] + figures['quarantined'] == 150
    # Otherwise it was no storm.
    assert figures['manager killed'] >= 1, figures
    assert sum(figures['faults'].values()) >= 5, figures


@pytest.mark.timeout(200)
def test_a_storm_tears_no_camera_frame_and_leaves_no_memory(tmp_path):
    """Frames of 6.9 MB in shared memory, which stays within its limit and is empty at the end."""
    figures = storm(FRAMES, tmp_path)
    assert figures['delivered'] + figures['quarantined'] == 100
    assert (figures['torn'], figures['files in shared memory at the end']) == (0, 0)
    assert 0 < figures['frame memory at most [MB]'] <= figures['frame memory allowed [MB]']
    # Otherwise it was no storm, or not one of frames in shared memory.
    assert figures['manager killed'] == 1, figures
    assert sum(figures['faults'].values()) >= 4, figures
    assert figures['frames by sockets'] < 50, figures
