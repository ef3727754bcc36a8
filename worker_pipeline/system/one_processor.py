# SPDX-License-Identifier: Apache-2.0
"""Keeps the threads of this process on one processor for a while."""

from __future__ import annotations

import contextlib
import os
import threading


class OneProcessor:
    """Gathers all threads on one processor, and lets them go again.

    Two threads that take the same lock for each message of a flood do better on one processor. On
    two, each of them finds the lock taken most of the time, sleeps and is woken: tens of thousands
    of times a second, which costs more than the messages do.

    A process has one of these. Each ``gather`` is undone by a ``release``, the last one counts.
    """

    def __init__(self) -> None:
        self._gathered = 0
        self._before: dict[int, set[int]] = {}  # by thread: the processors that it might use

    def gather(self) -> None:
        """Move all threads to one of the processors that the calling thread may use."""
        self._gathered += 1
        if self._gathered > 1:
            return
        chosen = {max(os.sched_getaffinity(0))}
        for thread in _threads():
            with contextlib.suppress(OSError):  # it has ended, or may not be moved
                self._before[thread] = os.sched_getaffinity(thread)
                os.sched_setaffinity(thread, chosen)

    def release(self) -> None:
        """Undo ``gather``; threads that have started since are treated as the calling one."""
        self._gathered -= 1
        if self._gathered:
            return
        before, self._before = self._before, {}
        own = before.get(threading.get_native_id())
        for thread in _threads():
            processors = before.get(thread, own)
            if processors is not None:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(thread, processors)


def _threads() -> list[int]:
    return [int(each) for each in os.listdir('/proc/self/task')]
