# SPDX-License-Identifier: Apache-2.0
"""The file that names the relay, in a folder that others may write to."""

from __future__ import annotations

import os

import pytest

from worker_pipeline.output.output_relay import PID_FILE, OutputRelay
from worker_pipeline.system.proc import start_of


class ThisProcess:
    """Stands in for the relay."""

    pid = os.getpid()


@pytest.mark.timeout(20)
@pytest.mark.parametrize('name', [PID_FILE, f'{PID_FILE}.new'])
def test_a_named_pipe_in_place_of_the_file_is_replaced(tmp_path, monkeypatch, name: str):
    """Opening it would wait for its other end: no manager could start."""
    os.mkfifo(tmp_path / name)
    relay = OutputRelay()
    monkeypatch.setattr(relay, '_process', ThisProcess)
    relay.adopt(tmp_path)
    assert relay.is_registered(tmp_path)
    pid, started = (tmp_path / PID_FILE).read_text().split()
    assert (int(pid), int(started)) == (os.getpid(), start_of(os.getpid()))
    assert [each.name for each in tmp_path.iterdir()] == [PID_FILE]
