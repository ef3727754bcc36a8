# SPDX-License-Identifier: Apache-2.0
"""Which errors may pass by themselves, so that another attempt is worth while.

A wrong configuration stays wrong. A disk that is full or not yet mounted, a network that is not yet
up and a machine that is short of memory, processes or file descriptors do not have to stay so.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

from worker_pipeline.error_text import plain_text

_NUMBERS = (
    *(errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOLCK),
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN),
    *(errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENETUNREACH),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNREFUSED),
    *(errno.EBUSY, errno.ENXIO, errno.ENODEV, errno.EINTR),
)
TRANSIENT = frozenset(_NUMBERS)
# Native libraries and rclpy raise errors of other classes, with the system's text in theirs.
_TEXTS = (*(os.strerror(each) for each in _NUMBERS), "can't start new thread", 'std::bad_alloc')
# Raised without a number too, or with one of another kind: a name without an address yet.
_CLASSES = (MemoryError, TimeoutError, ConnectionError, socket.gaierror)

_OF_EXCEPTION: Any = vars(BaseException)
_OF_OSERROR: Any = vars(OSError)
_LINKS = ('__cause__', '__context__', '__suppress_context__')


def is_transient(error: BaseException) -> bool:
    """Return whether an error, or one that it follows from, may pass by itself."""
    return any(_is_one(each) for each in _chain(error))


def file_may_appear(error: BaseException) -> bool:
    """Return whether a file is missing, which a disk that is not yet mounted may have."""
    return any(issubclass(type(each), FileNotFoundError) for each in _chain(error))


def _is_one(error: BaseException) -> bool:
    # Not isinstance, which asks the exception for its __class__: a user's may raise.
    if issubclass(type(error), _CLASSES):
        return True
    if issubclass(type(error), OSError) and _OF_OSERROR['errno'].__get__(error) in TRANSIENT:
        return True
    described = plain_text(error)
    return any(text in described for text in _TEXTS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it follows from, as a traceback shows them."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        cause, context, is_hidden = (_OF_EXCEPTION[name].__get__(each) for name in _LINKS)
        each = cause or (None if is_hidden else context)
