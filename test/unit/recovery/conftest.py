# SPDX-License-Identifier: Apache-2.0
"""A journal on a disk that may be full, a folder as shared memory, a killed manager's state."""

from __future__ import annotations

import pytest
from support.journal import disk, journal, path
from support.killed_manager import killed

from worker_pipeline.recovery import state_dir as state_dir_module

__all__ = ['disk', 'journal', 'killed', 'path']


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder that stands in for /dev/shm; there is no other one in memory."""
    for variable in ('RUNTIME_DIRECTORY', 'XDG_RUNTIME_DIR'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(state_dir_module, 'SHARED_MEMORY', tmp_path / 'shm')
    (tmp_path / 'shm').mkdir()
    return tmp_path / 'shm'
