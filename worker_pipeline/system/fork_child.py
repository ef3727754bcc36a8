# SPDX-License-Identifier: Apache-2.0
"""A process that the fork server has forked: from what it is to run to its exit code."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from worker_pipeline.system.own_tree import note_server
from worker_pipeline.system.process_table import (
    become_subreaper,
    mark_worker,
    read_process,
)

# How long what ``multiprocessing`` and the output streams have to finish may take at exit, s.
EXIT_TIME = 0.5
_kept: list[mmap.mmap] = []


class _Pickler(pickle.Pickler):
    """Pickles connections as their descriptors, which are sent beside the bytes."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.descriptors: list[int] = []

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Connection):
            return None
        self.descriptors.append(obj.fileno())
        return len(self.descriptors) - 1, obj.readable, obj.writable


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedReader, descriptors: list[int]) -> None:
        super().__init__(file)
        self._descriptors = descriptors

    def persistent_load(self, pid: Any) -> Connection:
        index, readable, writable = pid
        return Connection(self._descriptors[index], readable=readable, writable=writable)


def pack(target: Callable[..., None], args: tuple[Any, ...], name: str) -> tuple[int, list[int]]:
    """Return a descriptor from which ``run`` can read these, and those of their connections.

    Args:
        target: The function to run.
        args: Its arguments.
        name: The name of the process, for the traceback of its last exception.
    """
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump((target, args, name))
    descriptor = os.memfd_create('start of a worker', os.MFD_CLOEXEC)
    with open(descriptor, 'wb', closefd=False) as file:
        file.write(buffer.getbuffer())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor, pickler.descriptors


def run(packed: int, descriptors: list[int], server: int) -> NoReturn:
    """Run what ``pack`` has packed, and exit.

    As in the standard library, an exception is printed, and ``SystemExit`` sets the exit code.

    Args:
        packed: The descriptor from ``pack``.
        descriptors: Those of the connections in it.
        server: The fork server's pid.
    """
    note_server(server)
    _leave_the_server()
    code = 1
    name = 'worker'
    try:
        with open(packed, 'rb') as file:
            target, args, name = _Unpickler(file, descriptors).load()
        target(*args)
        code = 0
    except SystemExit as error:
        code = _code_of(error)
    except BaseException:
        with contextlib.suppress(Exception):
            print(f'Process {name}:\n{traceback.format_exc()}', file=sys.stderr, end='')
    finally:
        _finish(code)


def _leave_the_server() -> None:
    """Undo what the fork server has set up for itself."""
    # What it starts is in a session of its own, and stays below this process even if it daemonises.
    with contextlib.suppress(OSError):
        os.setsid()
    become_subreaper()
    own = read_process(os.getpid())
    _kept.append(mark_worker(os.getpid(), own.start if own else 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Children of the stage's own that ``multiprocessing`` spawns would import the manager's.
    sys.modules['__main__'] = types.ModuleType('__main__')


def _code_of(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    with contextlib.suppress(Exception):
        print(error.code, file=sys.stderr)
    return 1


def _finish(code: int) -> NoReturn:
    """Exit, after up to ``EXIT_TIME`` for what ``multiprocessing`` has to remove.

    Neither threads nor child processes are waited for: the fork server ends what is left.
    """
    exiting = threading.Timer(EXIT_TIME, os._exit, (code,))
    exiting.daemon = True
    with contextlib.suppress(BaseException):
        exiting.start()
        util: Any = sys.modules.get('multiprocessing.util')
        if util is not None:
            util._run_finalizers()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
