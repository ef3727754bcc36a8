# SPDX-License-Identifier: Apache-2.0
"""Settings of the C library's allocator."""

from __future__ import annotations

import contextlib
import ctypes
import os

_M_ARENA_MAX = -8  # malloc.h


def use_one_arena() -> bool:
    """Have all threads to come allocate from one heap; return whether that holds.

    By default glibc gives threads that allocate at the same moment up to eight heaps per core, and
    none of them gives back what its fullest moment took. A process with many threads that allocate
    little then grows in steps for hours. Child processes that are forked later inherit the setting:
    glibc reads it once, when the first thread needs a heap, so nobody can raise it again.

    A number that the user has set in the environment stays.
    """
    if os.environ.get('MALLOC_ARENA_MAX') or 'arena_max' in os.environ.get('GLIBC_TUNABLES', ''):
        return False
    with contextlib.suppress(OSError, AttributeError):  # another C library
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    return False
