"""Waiting for facts: bounded, and saying what did not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_for(
    fact: Callable[[], Any], what: str, timeout: float = 20.0, seen: Callable[[], Any] | None = None
) -> Any:
    """Wait until ``fact()`` is true and return its value; AssertionError says what did not come.

    ``seen`` is asked, when it did not come, for what was there instead.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() >= deadline:
            instead = f'; seen instead: {seen()}' if seen else ''
            raise AssertionError(f'did not come within {timeout:g} s: {what}{instead}')
        # Not a synchronisation: only the pace at which the fact is looked at.
        time.sleep(0.005)
