"""Where the items are kept that were given up: a folder with one file for each.

Files are written in the background, one at a time: whoever gives an item away never waits for a
disk.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from worker_pipeline.runtime import quarantine_files
from worker_pipeline.runtime.message_types import definition_of
from worker_pipeline.runtime.quarantine_files import (
    BadFileError,
    Label,
    McapMissingError,
    QuarantinedItem,
    glance,
    items_in,
    read,
)
from worker_pipeline.runtime.whole_files import remove_halves

__all__ = [
    'BadFileError',
    'Label',
    'McapMissingError',
    'QuarantineStore',
    'QuarantinedItem',
    'default_folder',
    'glance',
    'items_in',
    'read',
]

# How much may wait to be written: a slow disk must not fill the memory instead.
WAITING_ITEMS = 100
WAITING_BYTES = 64 * 1024 * 1024


def default_folder(namespace: str = '') -> Path:
    """``worker_pipeline/quarantine`` in ``$ROS_HOME`` or ``~/.ros``, and below it the namespace's.

    RuntimeError where there is no home folder.
    """
    home = Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser()
    return home / 'worker_pipeline' / 'quarantine' / namespace.strip('/')


class QuarantineStore:
    """A folder of at most ``limit`` quarantined items; the oldest give way.

    The folder is made when the first item comes. ``on_error`` is told, in words, what could not be
    done; nothing is raised. It is called on the writing thread, and on the caller's by ``keep`` and
    ``close``.
    """

    def __init__(self, folder: Path, limit: int = 1000, *, on_error: Callable[[str], None]) -> None:
        if limit < 1:
            raise ValueError(f'limit: found {limit}; allowed: 1 or more')
        self.folder = folder
        self._limit = limit
        self._on_error = on_error
        self._suffix = (
            quarantine_files.MCAP if quarantine_files.has_mcap() else quarantine_files.JSON
        )
        self._changed = threading.Condition()
        # What is being written stays the first until it is done.
        self._waiting: deque[tuple[Path, QuarantinedItem]] = deque()
        self._waiting_bytes = 0
        self._closed = False
        # The writing thread's own.
        self._prepared = False
        self._definitions: dict[str, str] = {}
        self._numbers = itertools.count()
        self._written: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name='quarantine_writer', daemon=True)
        self._thread.start()

    def keep(self, item: QuarantinedItem) -> Path | None:
        """Have an item written; returns at once, with the path its file will have.

        None where it will not be written: too much waits for the disk, or the store is closed.
        """
        path = self.folder / quarantine_files.new_name(item, self._suffix)
        with self._changed:
            problem = self._no_room_for(item)
            if not problem:
                self._waiting.append((path, item))
                self._waiting_bytes += len(item.message)
                self._changed.notify_all()
        if problem:
            self._complain(f'{path.name} is not kept: {problem}')
            return None
        return path

    def close(self, timeout: float) -> bool:
        """Take no more; wait up to ``timeout`` s until all is written, and return whether it is.

        What is not written by then still may be, while the process lives.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)
        left = len(self._waiting)
        if left:
            self._complain(f'{left} items are not written after {timeout:g} s in {self.folder}')
        return not left

    def _no_room_for(self, item: QuarantinedItem) -> str:
        if self._closed:
            return 'the quarantine is closed'
        many = len(self._waiting) >= WAITING_ITEMS
        # One alone may be as large as it likes.
        large = self._waiting and self._waiting_bytes + len(item.message) > WAITING_BYTES
        if many or large:
            return (
                f'{len(self._waiting)} items ({self._waiting_bytes} bytes) wait for the disk of '
                f'{self.folder}'
            )
        return ''

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                path, item = self._waiting[0]
            try:
                self._write(path, item)
            except Exception as error:
                self._complain(f'{path} could not be written: {error}')
            else:
                self._give_way(path)
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(item.message)

    def _write(self, path: Path, item: QuarantinedItem) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # What cameras saw is not for everybody.
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if not self._prepared:
            self._prepared = True
            remove_halves(self.folder)
            if self._suffix != quarantine_files.MCAP:
                self._complain(
                    'the Python package mcap is not installed (pip install mcap); until it is, '
                    'items are kept as *.cdr, their bytes, and *.json'
                )
        quarantine_files.write(path, item, self._definition(item.message_type))
        self._written[path.stem] = next(self._numbers)

    def _give_way(self, path: Path) -> None:
        try:
            stayed = quarantine_files.remove_oldest(self.folder, self._limit, self._written)
        except OSError as error:
            self._complain(f'the oldest items in {path.parent} could not be removed: {error}')
            return
        self._written = {stem: number for stem, number in self._written.items() if stem in stayed}

    def _definition(self, message_type: str) -> str:
        if message_type not in self._definitions:
            try:
                self._definitions[message_type] = definition_of(message_type)
            except Exception as error:
                self._definitions[message_type] = ''
                self._complain(f'{message_type} is kept without its definition: {error}')
        return self._definitions[message_type]

    def _complain(self, text: str) -> None:
        # Whoever logs it may be shut down already; the thread must not end for that.
        with suppress(Exception):
            self._on_error(f'quarantine: {text}')
