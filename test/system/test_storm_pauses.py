# SPDX-License-Identifier: Apache-2.0
"""Short storms of pauses: nobody is killed or blamed, and no output is missed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from support.manager_process import REPOSITORY, python_path


def paused(*arguments: str) -> list[dict[str, Any]]:
    """Pause a pipeline as the storm does; return what came of each pause."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'storm.pause_run', *arguments, '--seed', '1'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ
        | {'PYTHONPATH': python_path(), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'},
        start_new_session=True,
    )
    try:
        printed, errors = process.communicate(timeout=170)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # it ends the processes it has started
            process.communicate(timeout=30)
    assert process.returncode == 0, errors[-5000:]
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.timeout(240)
def test_nobody_dies_of_a_pause():
    """Of everybody or of the workers alone, longer than heartbeat_timeout."""
    kinds = 'whole', 'workers', 'manager first', 'workers first'
    found = paused(','.join(kinds), '2')
    assert [each['kind'] for each in found] == [*kinds]
    assert not any(each['replaced'] or each['quarantined'] for each in found), found
    assert not any(each['redelivered'] or each['missed'] for each in found), found


@pytest.mark.timeout(240)
@pytest.mark.parametrize('option', ['--plain', '--journal'])
def test_no_output_is_missed_when_the_manager_stands_still(option):
    """For longer than its subscribers wait, 5 s: plain ones, and those of this package."""
    (found,) = paused('manager', '7', option)
    assert (found['missed'], found['replaced']) == (0, 0), found
    assert found['told']
