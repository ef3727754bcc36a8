"""Waiting for facts: bounded, and saying what did not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')


class NotSeenError(AssertionError):
    """What was waited for did not come in time."""


def wait_for(
    fact: Callable[[], T | None],
    what: str,
    timeout: float = 20.0,
    seen: Callable[[], object] | None = None,
) -> T:
    """Wait until ``fact()`` is true, for ``timeout`` seconds at most, and return its value.

    Raises NotSeenError, which names ``what`` and, where it was given, shows what ``seen()`` is
    instead.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() >= deadline:
            instead = f'; seen instead: {seen()}' if seen else ''
            raise NotSeenError(f'did not come within {timeout:g} s: {what}{instead}')
        # Not a synchronisation: only the pace at which the fact is looked at.
        time.sleep(0.005)
