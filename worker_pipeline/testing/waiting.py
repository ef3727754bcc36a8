# SPDX-License-Identifier: Apache-2.0
"""Bounded waits for facts, which name the fact that did not become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')

POLL_PERIOD = 0.005  # s
# s. Only a test that fails waits that long, and a busy machine may take long.
TIMEOUT = 60.0


class WaitTimeoutError(AssertionError):
    """A fact did not become true in time."""


def wait_for(
    fact: Callable[[], T | None],
    what: str,
    timeout: float = TIMEOUT,
    seen: Callable[[], object] | None = None,
) -> T:
    """Wait until ``fact()`` is true, and return its value.

    Args:
        fact: called again and again, about every 5 ms.
        what: the fact in words, for the error.
        timeout: the longest wait, s.
        seen: returns the facts instead, for the error.

    Raises:
        WaitTimeoutError: if ``fact()`` is still false after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() >= deadline:
            instead = f'; found instead: {seen()}' if seen else ''
            raise WaitTimeoutError(f'waited {timeout:g} s in vain for {what}{instead}')
        # This sets the pace of polling; no test relies on its length.
        time.sleep(POLL_PERIOD)
