# SPDX-License-Identifier: Apache-2.0
"""Stages with code as people write it: it logs, raises, seeds and remembers in its own way."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
import sys
from collections.abc import Callable

from std_msgs.msg import Header

from worker_pipeline import Stage


class Echo(Stage):
    """Answers with its pid."""

    input_type = Header
    output_type = Header

    def process(self, item: Header) -> Header:
        return Header(frame_id=f'{item.frame_id} {os.getpid()}')


class Logs(Echo):
    """Logs at every severity and all that cannot be logged, while libraries configure logging."""

    def configure(self) -> None:
        self.logger.info('ready')

    def process(self, item: Header) -> Header:
        self.logger.warning('a warning of item %s', item.frame_id)
        self.logger.info('%d', None)
        self.logger.error('unencodable: \udcff, and more\0 behind zero')
        if item.frame_id == '1':
            logging.config.dictConfig({'version': 1, 'root': {'level': 'CRITICAL'}})
            logging.disable()
        if item.frame_id == '3':
            raise RuntimeError('the third')
        return super().process(item)


class RaisesNoTextError(Exception):
    def __str__(self) -> str:
        raise ValueError('no text')


class NoExceptionError(BaseException):
    pass


def exit_with_words() -> None:
    sys.exit('no camera')


def interrupt() -> None:
    raise KeyboardInterrupt


def cancel() -> None:
    raise asyncio.CancelledError


def close_generator() -> None:
    raise GeneratorExit


def stop_iteration() -> None:
    next(iter([]))


def raise_no_text() -> None:
    raise RaisesNoTextError


def raise_no_exception() -> None:
    raise NoExceptionError('\udcff odd')


def raise_long() -> None:
    raise ValueError('x' * 10_000_000)


# The ways to fail, and what is said about it.
WAYS: dict[str, tuple[Callable[[], None], str]] = {
    'exit': (exit_with_words, 'SystemExit: no camera'),
    'interrupt': (interrupt, 'KeyboardInterrupt'),
    'cancel': (cancel, 'CancelledError'),
    'close': (close_generator, 'GeneratorExit'),
    'stop': (stop_iteration, 'StopIteration'),
    'text': (raise_no_text, 'RaisesNoTextError: no text'),
    'odd': (raise_no_exception, r'NoExceptionError: \udcff odd'),
    'long': (raise_long, 'ValueError: xxx'),
}


class Raises(Echo):
    """Fails in the way that an item names, if any."""

    def process(self, item: Header) -> Header:
        for way in item.frame_id.split()[1:]:
            WAYS[way][0]()
        return super().process(item)


class RaisesInConstructor(Echo):
    """Fails in the first of its processes, as the folder in the environment notes."""

    def __init__(self) -> None:
        if is_first(os.environ['CONSTRUCTOR_FOLDER'], 'constructor'):
            sys.exit('no camera')


def is_first(folder: str, name: str) -> bool:
    """Return whether no process has failed so before; if so, note that this one does."""
    try:
        os.symlink(str(os.getpid()), os.path.join(folder, name))
    except FileExistsError:
        return False
    return True


class RaisesInHook(Echo):
    """Fails in a hook, in the first of its processes, as ``folder`` notes."""

    parameters = {'folder': '', 'hook': '', 'way': ''}

    def configure(self) -> None:
        self.fail('configure')

    def activate(self) -> None:
        self.fail('activate')

    def deactivate(self) -> None:
        self.fail('deactivate')

    def cleanup(self) -> None:
        self.fail('cleanup')

    def fail(self, hook: str) -> None:
        if hook == self.params['hook'] and is_first(self.params['folder'], hook):
            WAYS[self.params['way']][0]()


class Reports(Echo):
    """Sets its status to what it likes, and uses our names for attributes of its own."""

    def process(self, item: Header) -> Header:
        self.status.warn(ValueError('too dark \udcff'))
        self.status.set('error', RaisesNoTextError())
        self.status.values[3] = None  # type: ignore[index, assignment]
        if item.frame_id == '5':
            for name in ('status', 'topic', 'logger', 'context'):
                setattr(self, name, None)
        return super().process(item)


class SavesWrongState(Echo):
    """Saves what is no bytes in the first of its processes, as ``folder`` notes."""

    parameters = {'folder': ''}

    def save_state(self) -> dict[str, int] | bytes:
        return {'count': 1} if is_first(self.params['folder'], 'state') else b''

    def restore_state(self, state: bytes) -> None:
        """There is none."""


class SavesStructure(Echo):
    """Counts its items in a dict."""

    state_codec = 'json'

    def configure(self) -> None:
        self.seen: dict[str, int] = {}

    def process(self, item: Header) -> Header:  # noqa: ARG002
        self.seen['items'] = self.seen.get('items', 0) + 1
        return Header(frame_id=str(self.seen['items']))

    def save_state(self) -> dict[str, int]:
        return self.seen

    def restore_state(self, state: dict[str, int]) -> None:
        self.seen = state


class ListsDescriptors(Echo):
    """Has a program that inherits whatever it can list its descriptors, in a file of ``folder``."""

    parameters = {'folder': ''}

    def configure(self) -> None:
        file = os.path.join(self.params['folder'], str(os.getpid()))
        os.system(f'ls -l /proc/self/fd > {file}.new; mv {file}.new {file}')
