"""A journal on a disk that may be full."""

from __future__ import annotations

import os

import pytest
from support.journaling import RUN, Disk

from worker_pipeline.runtime.journal import Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'journal'


@pytest.fixture
def journal(path):
    found = Journal(path, RUN, payloads=True)
    yield found
    found.close()


@pytest.fixture
def disk(monkeypatch):
    found = Disk()
    monkeypatch.setattr(os, 'write', found)
    return found
