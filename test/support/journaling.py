"""What tests of the journal, and of what is done when it is written, have in common."""

from __future__ import annotations

import errno
import os

from worker_pipeline.runtime.journal import Recovered

RUN = 2**63 - 1


class Disk:
    """Stands in for os.write: takes ``room`` bytes, and then no more."""

    def __init__(self) -> None:
        self.room = float('inf')
        self._write = os.write

    def __call__(self, file: int, data) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(file, bytes(data)[: int(min(self.room, len(data)))])
        self.room -= written
        return written


def numbers_in(recovered: Recovered | None) -> list[list[int]]:
    assert recovered is not None
    return [[arguments[0] for _, _, arguments in entry] for entry in recovered.entries]
