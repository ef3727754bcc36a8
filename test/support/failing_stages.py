# SPDX-License-Identifier: Apache-2.0
"""Stages that fail in every possible way, and record which processes ran them."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from std_msgs.msg import Header

from worker_pipeline import Stage
from worker_pipeline.system.proc import start_of

FATAL = '5'  # the item at which a stage fails


class FailsOnce(Stage):
    """Fails once in a hook, at item 5 if the hook is ``process``, and leaves its pid.

    Its outputs contain the pid. ``folder`` contains the ``Book`` of its processes.
    """

    input_type = Header
    output_type = Header
    parameters = {'folder': '', 'hook': 'process', 'way': ''}

    def configure(self) -> None:
        self.hoard: list[bytes] = []
        Book(self.params['folder']).enter(self.logger.name.rpartition('.')[2], os.getpid())
        self.meet_fate('configure')

    def activate(self) -> None:
        self.meet_fate('activate')

    def process(self, item: Header) -> Header:
        if item.frame_id == FATAL:
            self.meet_fate('process')
        return Header(frame_id=f'{item.frame_id} {os.getpid()}')

    def meet_fate(self, hook: str) -> None:
        way = self.params['way']
        if way and hook == self.params['hook'] and (way == 'lock' or self.is_the_first()):
            FAILURES[way](self)

    def is_the_first(self) -> bool:
        """Return whether no process has failed before; if so, record this one, atomically."""
        try:
            Book(self.params['folder']).name_victim(os.getpid())
        except FileExistsError:
            return False
        return True


class FailsOnceAndRestarts(FailsOnce):
    """An exception ends its process."""

    restart_on_error = True


class FailsOnRequest(Stage):
    """Fails at every item that asks for it: frame_id is a number, and perhaps ways to fail."""

    input_type = Header
    output_type = Header

    def process(self, item: Header) -> Header:
        number, *ways = item.frame_id.split()
        for way in ways:
            FAILURES[way](self)
        return Header(frame_id=f'{number} {os.getpid()}')


class FailsOnRequestAndRestarts(FailsOnRequest):
    """An exception ends its process."""

    restart_on_error = True


class Birth(NamedTuple):
    """A started worker: its slot, and which earlier workers of the slot were still alive."""

    slot: str
    pid: int
    not_dead: tuple[int, ...]


class Book:
    """Records which processes were started in which slot, and which failed, as symbolic links."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def enter(self, slot: str, pid: int) -> None:
        """Record a process as the worker of a slot."""
        former = [birth.pid for birth in self.births(slot)]
        not_dead = ' '.join(str(each) for each in former if start_of(each) is not None)
        now = time.monotonic_ns()
        os.symlink(f'dead but {not_dead}', self._folder / f'{now:020d}.{slot}.{pid}')

    def births(self, slot: str) -> list[Birth]:
        """Return the workers of a slot, the first one first."""
        return [
            Birth(slot, int(path.suffix[1:]), tuple(map(int, os.readlink(path).split()[2:])))
            for path in sorted(self._folder.glob(f'*.{slot}.*'))
        ]

    def name_victim(self, pid: int) -> None:
        """Record the first process that fails. Raises FileExistsError if there is one already."""
        os.symlink(str(pid), self._folder / 'victim')

    @property
    def victim(self) -> int:
        """Return the pid of the process that failed; 0: none."""
        try:
            return int(os.readlink(self._folder / 'victim'))
        except OSError:
            return 0


def crash(_: Any) -> None:
    """Crash in native code."""
    ctypes.string_at(0)


def leave(_: Any) -> None:
    """Exit, as a library does that assumes the process is its own."""
    os._exit(3)


def fail(_: Any) -> None:
    """Raise an exception."""
    raise ValueError('cannot do it')


def grow(stage: FailsOnce) -> None:
    """Use more memory than allowed, and go on with the item."""
    stage.hoard += [b'x' * 10_000_000 for _ in range(20)]
    hang(stage)


def hang(_: Any) -> None:
    """Wait for ever; other threads continue."""
    threading.Event().wait()


def stop(_: Any) -> None:
    """Stop the process until another process continues or kills it."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_the_gil(_: Any) -> None:
    """Block all Python threads."""
    ctypes.PyDLL(None).sleep(600)


def lock(stage: FailsOnce) -> None:
    """Soon after the item block the main thread, in a signal handler that never returns."""

    def never_come_back(*_: Any) -> None:
        if stage.is_the_first():
            threading.Event().wait()

    signal.signal(signal.SIGALRM, never_come_back)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


FAILURES: dict[str, Callable[[Any], None]] = {
    'crash': crash,
    'leave': leave,
    'fail': fail,
    'grow': grow,
    'hang': hang,
    'stop': stop,
    'hold_the_gil': hold_the_gil,
    'lock': lock,
}
