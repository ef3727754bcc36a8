# SPDX-License-Identifier: Apache-2.0
"""Settings of the C library's allocator."""

from __future__ import annotations

import contextlib
import ctypes
import os

_M_ARENA_MAX = -8  # malloc.h
_ARENAS_PER_CORE = 8  # glibc's default with 64 bits; there is no value that stands for it


def use_one_arena() -> bool:
    """Have all threads to come allocate from one heap; return whether the C library can.

    By default glibc gives threads that allocate at the same moment up to eight heaps per core, and
    none of them gives back what its fullest moment took. A process with many threads that allocate
    little then grows in steps for hours. Child processes that are forked later inherit the setting.
    """
    return _set(_M_ARENA_MAX, 1)


def use_default_arenas() -> bool:
    """Let threads to come have their own heaps again; return whether the C library can.

    Only until the first of them is there: then the limit is fixed.
    """
    return _set(_M_ARENA_MAX, _ARENAS_PER_CORE * (os.cpu_count() or 1))


def _set(parameter: int, value: int) -> bool:
    with contextlib.suppress(OSError, AttributeError):  # another C library
        return bool(ctypes.CDLL(None).mallopt(parameter, value))
    return False
