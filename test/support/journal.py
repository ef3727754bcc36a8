# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the journal and of the outbox."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker_pipeline.recovery.journal import Journal, Recovered
from worker_pipeline.recovery.records import OutputsAcked

RUN = 2**63 - 1


class Disk:
    """A replacement of os.pwrite that accepts ``room`` bytes, then raises ENOSPC."""

    def __init__(self) -> None:
        self.room = float('inf')
        self._write = os.pwrite

    def __call__(self, file: int, data: memoryview, position: int) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(file, bytes(data)[: int(min(self.room, len(data)))], position)
        self.room -= written
        return written


def fact(number: int) -> OutputsAcked:
    """Return a record with a number in it."""
    return OutputsAcked(number)


def numbers_in(recovered: Recovered | None) -> list[list[int]]:
    assert recovered is not None
    return [[arguments[0] for _, _, arguments in entry] for entry in recovered.entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'journal'


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    found = Journal(path, RUN, payloads=True)
    yield found
    found.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk()
    monkeypatch.setattr(os, 'pwrite', found)
    return found
