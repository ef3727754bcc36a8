# SPDX-License-Identifier: Apache-2.0
"""Short storms with every kind of death and hang, also of the manager: no promise is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.storm_process import run_storm

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
    report = directory / 'storm.json'
    run_storm('storm', *options.split(), '--json', str(report), timeout=150)
    (result,) = json.loads(report.read_text())['storms']
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
