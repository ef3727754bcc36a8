# SPDX-License-Identifier: Apache-2.0
"""The faults of workers: signals from outside, and misbehaviour of the stage's own code.

The latter is requested by a signal, too: Python runs its handler on the main thread, where the
stage's hooks run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

import attrs


@attrs.frozen
class Fault:
    """A kind of fault, and the signal that causes it."""

    name: str
    signal: int
    hangs: bool = False  # the process stays, but does nothing useful


_exception_due = False


def _exit() -> NoReturn:
    os._exit(3)


def segfault() -> None:
    """Read from an invalid address, as bad native code does."""
    ctypes.string_at(0)


def _raise_soon() -> None:
    global _exception_due
    _exception_due = True


def _sleep_for_ever() -> NoReturn:
    while True:
        time.sleep(0.1)


def _loop_for_ever() -> NoReturn:
    while True:
        pass


def _hold_the_gil() -> NoReturn:
    libc = ctypes.PyDLL(None)  # unlike CDLL it keeps the GIL during the call
    while True:
        libc.sleep(3600)


BY_SIGNAL = (
    Fault('SIGKILL', signal.SIGKILL),
    Fault('SIGTERM', signal.SIGTERM),
    Fault('SIGSEGV', signal.SIGSEGV),
    Fault('SIGSTOP', signal.SIGSTOP, hangs=True),
)
IN_PROCESS: dict[Fault, Callable[[], Any]] = {
    Fault('os._exit', signal.SIGRTMIN + 1): _exit,
    Fault('crash in native code', signal.SIGRTMIN + 2): segfault,
    Fault('exception', signal.SIGRTMIN + 3): _raise_soon,
    Fault('sleeps for ever', signal.SIGRTMIN + 4, hangs=True): _sleep_for_ever,
    Fault('loops for ever', signal.SIGRTMIN + 5, hangs=True): _loop_for_ever,
    Fault('holds the GIL for ever', signal.SIGRTMIN + 6, hangs=True): _hold_the_gil,
}
FAULTS = (*BY_SIGNAL, *IN_PROCESS)


def install_handlers() -> None:
    """Install the signal handlers that cause faults; call it on the main thread."""
    for fault, handler in IN_PROCESS.items():
        signal.signal(fault.signal, lambda _number, _frame, handler=handler: handler())


def raise_if_requested() -> None:
    """Raise an exception, once, if one was requested."""
    global _exception_due
    if _exception_due:
        _exception_due = False
        raise RuntimeError('an exception requested by the storm')
