"""A short storm: every kind of death and hang, and of the manager too; no promise is broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from support.managing import REPOSITORY, python_path

# For some seconds, while three managers come and go.
OPTIONS = (
    '--items 200 --rate 30 --seed 1 --kill-period 0.3 --manager-kill-period 1 '
    '--manager-kills 3 --startup-timeout 4 --no-peers'
)


@pytest.mark.timeout(200)
def test_a_storm_loses_nothing_doubles_nothing_and_keeps_the_order(tmp_path):
    """As it is run by hand: what it prints names the folder that tells more of a bad one."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'storm', *OPTIONS.split(), '--json', str(tmp_path / 'storm.json')],
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
    (storm,) = json.loads((tmp_path / 'storm.json').read_text())['storms']
    figures = storm['figures']
    assert figures['delivered'] + figures['quarantined'] == 200
    # Else it was none.
    assert figures['manager killed'] >= 2, figures
    assert sum(figures['blows'].values()) >= 10, figures
