# SPDX-License-Identifier: Apache-2.0
"""A journal, on a disk that may be full, and a folder in place of the shared memory."""

from __future__ import annotations

import pytest
from support.journal import disk, journal, path

from worker_pipeline.recovery import state_dir as state_dir_module

__all__ = ['disk', 'journal', 'path']


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder that stands in for /dev/shm."""
    monkeypatch.setattr(state_dir_module, 'SHARED_MEMORY', tmp_path / 'shm')
    (tmp_path / 'shm').mkdir()
    return tmp_path / 'shm'
