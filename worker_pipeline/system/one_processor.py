# SPDX-License-Identifier: Apache-2.0
"""Keeps the threads of this process on one processor for a while."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator


class OneProcessor:
    """Gathers all threads on one processor, and lets them go again.

    Two threads that take the same lock for each message of a flood do better on one processor. On
    two, each of them finds the lock taken most of the time, sleeps and is woken: tens of thousands
    of times a second, which costs more than the messages do.

    A process has one of these, ``of_process``. Each ``gather`` is undone by a ``release``, the last
    one counts.
    """

    def __init__(self) -> None:
        self._gathered = 0
        self._chosen: set[int] = set()
        self._own: set[int] = set()  # the processors that the gathering thread might use
        self._before: dict[int, set[int]] = {}  # by thread: the processors that it might use

    def gather(self) -> None:
        """Move all threads to one of the processors that the calling thread may use."""
        self._gathered += 1
        if self._gathered > 1:
            return
        self._own = os.sched_getaffinity(0)
        self._chosen = {max(self._own)}
        for thread in _threads():
            with contextlib.suppress(OSError):  # it has ended, or may not be moved
                self._before[thread] = os.sched_getaffinity(thread)
                os.sched_setaffinity(thread, self._chosen)

    def release(self) -> None:
        """Undo ``gather``; threads that have started since are treated as the calling one.

        Threads that somebody else has moved meanwhile stay where they are.
        """
        self._gathered -= 1
        if self._gathered:
            return
        before, self._before = self._before, {}
        seen: set[int] = set()
        # Those that are found only later were started by threads that were not released yet.
        while new := _threads() - seen:
            seen |= new
            for thread in new:
                with contextlib.suppress(OSError):
                    if os.sched_getaffinity(thread) == self._chosen:
                        os.sched_setaffinity(thread, before.get(thread, self._own))

    @contextlib.contextmanager
    def as_before(self) -> Iterator[None]:
        """Let the calling thread use its processors: a process that it starts inherits them."""
        if not self._gathered:
            yield
            return
        now = os.sched_getaffinity(0)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self._before.get(threading.get_native_id(), self._own))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, now)


of_process = OneProcessor()


def _threads() -> set[int]:
    return {int(each) for each in os.listdir('/proc/self/task')}
