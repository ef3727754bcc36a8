# SPDX-License-Identifier: Apache-2.0
"""The thread that writes to a stream which perhaps nobody reads."""

from __future__ import annotations

import os
import select
import threading
import time

from worker_pipeline.output.backlog import Backlog

CHUNK = 32_768  # bytes written at once


class StreamWriter:
    """Writes lines to a file descriptor, which may block for ever or fail, on a thread of its own.

    Args:
        descriptor: A terminal, a pipe, a socket or a file.
    """

    def __init__(self, descriptor: int) -> None:
        self.written = 0  # bytes
        self._descriptor = descriptor
        self._backlog = Backlog()
        self._changed = threading.Condition()
        self._is_writing = False
        self._has_failed = False
        self._ends_in_mid_line = False
        threading.Thread(target=self._write_all, name='writer', daemon=True).start()

    @property
    def dropped(self) -> int:
        """Return how many lines were not written, in all."""
        return self._backlog.dropped

    @property
    def is_idle(self) -> bool:
        """Return whether all that can be written is written."""
        with self._changed:
            return not self._is_writing and not self._has_work

    def add(self, text: bytes, *, is_own: bool = False) -> None:
        """Queue lines. ``is_own``: whether they are the manager's own."""
        with self._changed:
            self._backlog.add(text, time.monotonic(), is_own=is_own)
            self._changed.notify()

    @property
    def _has_work(self) -> bool:
        # After an error a note alone is not tried again and again: the next line brings it.
        return self._backlog.has_lines if self._has_failed else not self._backlog.is_empty

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                while not self._has_work:
                    self._changed.wait()
                data = self._backlog.take(CHUNK, time.monotonic())
                self._is_writing = True
            self._has_failed = not self._write(b'\n' + data if self._ends_in_mid_line else data)
            if self._has_failed:  # the reader is gone, or the disk is full
                with self._changed:
                    self._backlog.drop_taken(time.monotonic())

    def _write(self, data: bytes) -> bool:
        """Write everything; return whether that was possible."""
        done = 0
        try:
            while done < len(data):
                try:
                    count = os.write(self._descriptor, data[done:])
                except BlockingIOError:  # another program has made the terminal non-blocking
                    self._await_room()
                    continue
                self.written += count
                done += count
        except OSError:
            if done:
                self._ends_in_mid_line = data[done - 1 : done] != b'\n'
            return False
        self._ends_in_mid_line = False
        return True

    def _await_room(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.poll()
