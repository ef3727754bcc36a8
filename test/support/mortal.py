"""Stages that fail in every way there is, and write down who was there."""

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
from worker_pipeline.runtime.proc import start_of

FATAL = '5'  # the item at which it happens


class Mortal(Stage):
    """Fails in a hook, at item 5 if the hook is ``process``; whoever does so leaves his pid.

    Its answers say which process gave them. ``folder`` has the book of births, and of who failed.
    """

    input_type = Header
    output_type = Header
    parameters = {'folder': '', 'hook': 'process', 'way': ''}

    def configure(self):
        self.hoard = []
        Book(self.params['folder']).enter(self.logger.name.rpartition('.')[2], os.getpid())
        self.meet_fate('configure')

    def activate(self):
        self.meet_fate('activate')

    def process(self, item):
        if item.frame_id == FATAL:
            self.meet_fate('process')
        return Header(frame_id=f'{item.frame_id} {os.getpid()}')

    def meet_fate(self, hook):
        way = self.params['way']
        if way and hook == self.params['hook'] and (way == 'lock' or self.is_the_first()):
            WAYS[way](self)

    def is_the_first(self):
        """Whether nobody has left his pid before; it is there at once, and whole."""
        try:
            Book(self.params['folder']).name_victim(os.getpid())
        except FileExistsError:
            return False
        return True


class MortalOnError(Mortal):
    """An exception ends its process."""

    restart_on_error = True


class Fragile(Stage):
    """Fails at every item that says how, each time: frame_id is a number, and perhaps a way."""

    input_type = Header
    output_type = Header

    def process(self, item):
        number, *ways = item.frame_id.split()
        for way in ways:
            WAYS[way](self)
        return Header(frame_id=f'{number} {os.getpid()}')


class FragileOnError(Fragile):
    """An exception ends its process."""

    restart_on_error = True


class Birth(NamedTuple):
    """A worker's first moment: the slot, and which earlier holders of it lived then."""

    slot: str
    pid: int
    not_dead: tuple[int, ...]


class Book:
    """Who was born to which slot, and who failed; each line is a link, there at once and whole."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def enter(self, slot: str, pid: int) -> None:
        """A process enters itself as the holder of a slot."""
        former = [birth.pid for birth in self.births(slot)]
        not_dead = ' '.join(str(each) for each in former if start_of(each) is not None)
        now = time.monotonic_ns()
        os.symlink(f'dead but {not_dead}', self._folder / f'{now:020d}.{slot}.{pid}')

    def births(self, slot: str) -> list[Birth]:
        """The holders of a slot, the first first."""
        return [
            Birth(slot, int(path.suffix[1:]), tuple(map(int, os.readlink(path).split()[2:])))
            for path in sorted(self._folder.glob(f'*.{slot}.*'))
        ]

    def name_victim(self, pid: int) -> None:
        """The first one to fail; FileExistsError where there was one."""
        os.symlink(str(pid), self._folder / 'victim')

    @property
    def victim(self) -> int:
        """The pid of the process that failed; 0 before."""
        try:
            return int(os.readlink(self._folder / 'victim'))
        except OSError:
            return 0


def crash(_: Any) -> None:
    """In native code."""
    ctypes.string_at(0)


def leave(_: Any) -> None:
    """As a library that thinks the process its own."""
    os._exit(3)


def fail(_: Any) -> None:
    """As ordinary code does."""
    raise ValueError('cannot do it')


def grow(stage: Mortal) -> None:
    """Beyond what is allowed; the item itself is done."""
    stage.hoard += [b'x' * 10_000_000 for _ in range(20)]


def hang(_: Any) -> None:
    """Beside it the process goes on."""
    threading.Event().wait()


def stop(_: Any) -> None:
    """By a signal, which somebody else has to follow by another."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_the_gil(_: Any) -> None:
    """Nothing in the process goes on."""
    ctypes.PyDLL(None).sleep(600)


def lock(stage: Mortal) -> None:
    """Soon, when the item is done: a signal handler that never comes back."""

    def never_come_back(*_: Any) -> None:
        if stage.is_the_first():
            threading.Event().wait()

    signal.signal(signal.SIGALRM, never_come_back)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


WAYS: dict[str, Callable[[Any], None]] = {
    'crash': crash,
    'leave': leave,
    'fail': fail,
    'grow': grow,
    'hang': hang,
    'stop': stop,
    'hold_the_gil': hold_the_gil,
    'lock': lock,
}
