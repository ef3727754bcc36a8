# SPDX-License-Identifier: Apache-2.0
"""Standard input, output and error of the pipeline's processes."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import os
import stat
import sys
from typing import Any, TextIO

_LINE_BUFFERED = 1  # _IOLBF of stdio.h


class UnfailingWriter(io.RawIOBase):
    """Writes to a file descriptor; what cannot be written is dropped rather than raised.

    To print must not fail an item, nor an event of the manager.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        with contextlib.suppress(OSError):
            return os.isatty(self._descriptor)
        return False

    def write(self, data: Any) -> int:
        size = len(data)
        with contextlib.suppress(OSError):
            rest = memoryview(data).cast('B')
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return size


class ClosedInput(io.TextIOBase):
    """The standard input of a worker: reading raises an error that says what to do instead."""

    def fileno(self) -> int:
        return 0

    def readable(self) -> bool:
        return False

    def isatty(self) -> bool:
        return False

    def _refuse(self) -> str:
        raise io.UnsupportedOperation(
            'a worker of a pipeline has no standard input, so input() and a debugger cannot be '
            'used in it; run the stage alone: python -m worker_pipeline worker'
        )

    def read(self, _size: int | None = -1, /) -> str:
        return self._refuse()

    def readline(self, _size: int = -1, /) -> str:  # type: ignore[override]
        return self._refuse()


def unfailing_text(descriptor: int, encoding: str = 'utf-8') -> TextIO:
    """Return a text stream that writes each line at once, and never raises.

    Args:
        descriptor: The file descriptor.
        encoding: Characters that it does not have are escaped.
    """
    return io.TextIOWrapper(
        UnfailingWriter(descriptor),  # type: ignore[type-var]
        encoding=encoding,
        errors='backslashreplace',
        line_buffering=True,
        write_through=True,
    )


def open_standard_streams() -> None:
    """Open those of the file descriptors 0, 1 and 2 that this process was started without.

    Otherwise the next files or sockets would get these numbers, and be printed into.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def unshare_output() -> None:
    """Reopen the pipes that this process prints into, if its parent has made them non-blocking.

    That is a property that processes share; programs fail if their output has it.
    """
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode) and not os.get_blocking(descriptor):
                again = os.open(f'/proc/self/fd/{descriptor}', os.O_WRONLY)
                os.dup2(again, descriptor)
                os.close(again)


def worker_pipes(liveness_record: str) -> dict[str, str]:
    """Return the paths of the pipes for a worker's output, by the name of the stream.

    ``liveness_record``: the path of the worker's, beside which they are. The paths are plain
    text: a Path interns each name, and the table of interned strings keeps the room for it.
    """
    return {name: f'{liveness_record}.{name}' for name in ('stdout', 'stderr')}


def redirect_worker_output(liveness_record: str) -> None:
    """Print into the pipes of this worker from now on; read nothing from standard input.

    The pipes are opened for reading too, so that printing raises no error if the process that
    reads them is gone. Without pipes only the streams' settings change.

    ``liveness_record``: the path of the worker's.
    """
    pipes = worker_pipes(liveness_record)
    opened = {name: descriptor for name in pipes if (descriptor := _open(pipes[name])) is not None}
    for descriptor, name in ((1, 'stdout'), (2, 'stderr')):
        # If both streams of the manager are one, so are those of the worker, and keep their order.
        source = opened.get(name, opened.get('stderr'))
        if source is not None:
            os.dup2(source, descriptor)
    for source in opened.values():
        os.close(source)
    _replace_python_streams()
    _write_lines_at_once('stdout')
    report_crashes()


def report_crashes() -> None:
    """Print where the stage was when native code crashes: the last lines are in a death's report.

    To be called again after rclpy has created an executor, which prints all threads instead.
    """
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        faulthandler.enable(2, all_threads=False)


def _open(path: str) -> int | None:
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    return None


def _replace_python_streams() -> None:
    with contextlib.suppress(OSError):
        empty = os.open(os.devnull, os.O_RDONLY)
        if empty != 0:
            os.dup2(empty, 0)
            os.close(empty)
    sys.stdin = sys.__stdin__ = ClosedInput()  # type: ignore[assignment,misc]
    sys.stdout = sys.__stdout__ = unfailing_text(1)  # type: ignore[misc,assignment]
    sys.stderr = sys.__stderr__ = unfailing_text(2)  # type: ignore[misc,assignment]


def _write_lines_at_once(stream: str) -> None:
    """Have the C library write each line when it ends, as into a terminal."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        library = ctypes.CDLL(None)
        library.setvbuf(ctypes.c_void_p.in_dll(library, stream), None, _LINE_BUFFERED, 0)
