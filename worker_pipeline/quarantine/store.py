# SPDX-License-Identifier: Apache-2.0
"""The store of quarantined items: a folder with one file per item.

Files are written by a background thread, one at a time, so that the caller never waits for a disk.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from worker_pipeline.quarantine import files as quarantine_files
from worker_pipeline.quarantine.files import (
    BadFileError,
    Label,
    McapMissingError,
    QuarantinedItem,
    glance,
    items_in,
    read,
)
from worker_pipeline.ros.message_types import definition_of
from worker_pipeline.system.atomic_files import remove_partial_files

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

# How much may wait to be written: a slow disk must not fill the memory.
WAITING_ITEMS = 100
WAITING_BYTES = 64 * 1024 * 1024


def default_folder(namespace: str = '') -> Path:
    """Return the folder of a namespace's quarantine.

    It is below ``worker_pipeline/quarantine`` in ``$ROS_HOME`` or ``~/.ros``.

    Raises RuntimeError where there is no home folder.
    """
    home = Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser()
    return home / 'worker_pipeline' / 'quarantine' / namespace.strip('/')


class QuarantineStore:
    """A folder of quarantined items, which is created with the first one.

    Args:
        folder: The folder.
        limit: The most items that are kept; the oldest are removed.
        on_error: Called with a message when something fails; nothing is raised. It is called on
            the writing thread, and by ``keep`` and ``close`` on the caller's.
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
        # An item stays the first while it is being written.
        self._waiting: deque[tuple[Path, QuarantinedItem]] = deque()
        self._waiting_bytes = 0
        self._closed = False
        # Used by the writing thread only.
        self._prepared = False
        self._definitions: dict[str, str] = {}
        self._numbers = itertools.count()
        self._written: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name='quarantine_writer', daemon=True)
        self._thread.start()

    def keep(self, item: QuarantinedItem) -> Path | None:
        """Queue an item to be written. Return the path of its file at once.

        None if it will not be written: too much is queued, or the store is closed.
        """
        path = self.folder / quarantine_files.new_name(item, self._suffix)
        with self._changed:
            problem = self._reason_to_reject(item)
            if not problem:
                self._waiting.append((path, item))
                self._waiting_bytes += len(item.message)
                self._changed.notify_all()
        if problem:
            self._report(f'{path.name} is not kept: {problem}')
            return None
        return path

    def close(self, timeout: float) -> bool:
        """Close the store and wait up to ``timeout`` s; return whether everything is written.

        The rest may still be written while the process lives.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)
        left = len(self._waiting)
        if left:
            self._report(f'{left} items are not written after {timeout:g} s in {self.folder}')
        return not left

    def _reason_to_reject(self, item: QuarantinedItem) -> str:
        if self._closed:
            return 'the quarantine is closed'
        many = len(self._waiting) >= WAITING_ITEMS
        # A single item may have any size.
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
                self._report(f'{path} could not be written: {error}')
            else:
                self._remove_oldest(path)
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(item.message)

    def _write(self, path: Path, item: QuarantinedItem) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # Camera images are private.
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if not self._prepared:
            self._prepared = True
            remove_partial_files(self.folder)
            if self._suffix != quarantine_files.MCAP:
                self._report(
                    'the Python package mcap is not installed (pip install mcap); until it is, '
                    'items are kept as *.cdr, their bytes, and *.json'
                )
        quarantine_files.write(path, item, self._definition(item.message_type))
        self._written[path.stem] = next(self._numbers)

    def _remove_oldest(self, path: Path) -> None:
        try:
            stayed = quarantine_files.remove_oldest(self.folder, self._limit, self._written)
        except OSError as error:
            self._report(f'the oldest items in {path.parent} could not be removed: {error}')
            return
        self._written = {stem: number for stem, number in self._written.items() if stem in stayed}

    def _definition(self, message_type: str) -> str:
        if message_type not in self._definitions:
            try:
                self._definitions[message_type] = definition_of(message_type)
            except Exception as error:
                self._definitions[message_type] = ''
                self._report(f'{message_type} is kept without its definition: {error}')
        return self._definitions[message_type]

    def _report(self, text: str) -> None:
        # The logger may be shut down already; that must not end the thread.
        with suppress(Exception):
            self._on_error(f'quarantine: {text}')
