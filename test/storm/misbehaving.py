"""How a worker can be made to misbehave, from outside and from inside.

From inside: a signal, sent at any moment, is an order to the stage's own code, which then does what
bad code does. Python runs the handlers on the main thread, where the stage's hooks run.
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
class Kind:
    """One way to misbehave, and the signal that brings it about."""

    name: str
    signal: int
    hangs: bool = False  # the process stays, and is of no use


_exception_due = False


def _exit() -> NoReturn:
    os._exit(3)


def crash() -> None:
    """Do what bad native code does: read what is not there."""
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
    libc = ctypes.PyDLL(None)  # unlike CDLL it keeps the lock through the call
    while True:
        libc.sleep(3600)


OUTSIDE = (
    Kind('SIGKILL', signal.SIGKILL),
    Kind('SIGTERM', signal.SIGTERM),
    Kind('SIGSEGV', signal.SIGSEGV),
    Kind('SIGSTOP', signal.SIGSTOP, hangs=True),
)
ORDERS: dict[Kind, Callable[[], Any]] = {
    Kind('os._exit', signal.SIGRTMIN + 1): _exit,
    Kind('crash in native code', signal.SIGRTMIN + 2): crash,
    Kind('exception', signal.SIGRTMIN + 3): _raise_soon,
    Kind('sleeps for ever', signal.SIGRTMIN + 4, hangs=True): _sleep_for_ever,
    Kind('loops for ever', signal.SIGRTMIN + 5, hangs=True): _loop_for_ever,
    Kind('holds the GIL for ever', signal.SIGRTMIN + 6, hangs=True): _hold_the_gil,
}
KINDS = (*OUTSIDE, *ORDERS)


def obey() -> None:
    """Take the storm's orders from now on; to be called on the main thread."""
    for kind, order in ORDERS.items():
        signal.signal(kind.signal, lambda _number, _frame, order=order: order())


def raise_if_asked() -> None:
    """Raise, once, where an exception was ordered."""
    global _exception_due
    if _exception_due:
        _exception_due = False
        raise RuntimeError('the storm asked for an exception')
