# SPDX-License-Identifier: Apache-2.0
"""Texts of exceptions and values that a stage's code has made: bounded, and always encodable.

A user's ``__str__`` may raise, return a gigabyte, or return what no encoding accepts. None of that
may reach a log, a message or a file.
"""

from __future__ import annotations

import builtins
import traceback
from types import TracebackType
from typing import Any

from worker_pipeline.parameter import one_line

MAX_ERROR = 1000  # characters of an error in diagnostics, answers and quarantine
MAX_LOG = 10_000  # characters of a text in a log, such as a traceback
MAX_MEMBERS = 3  # exceptions of a group that are described
_LEAST = 20  # characters; nested groups get less and less, down to this

_TRACEBACK: Any = vars(BaseException)['__traceback__']
# Python 3.10 has no groups.
_GROUP: Any = getattr(builtins, 'BaseExceptionGroup', ())


def plain_text(value: Any, limit: int = MAX_ERROR) -> str:
    """Return ``str(value)`` shortened to about ``limit`` characters; never raise.

    What cannot be encoded is escaped, and so are zero bytes, which end a string in C.
    """
    try:
        text = str(value)
    except BaseException as error:
        text = f'<{type(value).__name__} whose text raises {type(error).__name__}>'
    return _encodable(_cut(text, limit))


def describe_error(error: BaseException, limit: int = MAX_ERROR) -> str:
    """Return an exception's type and text in one printable line of about ``limit`` characters.

    The exceptions of a group are described too. Never raises.
    """
    try:
        text = str(error)
    except BaseException:
        text = 'no text'
    # Cut first: a text may be too long to copy.
    text = _cut(one_line(' '.join(_cut(text, 4 * limit).split())), limit)
    name = type(error).__name__
    described = f'{name}: {text}' if text else name
    # Not isinstance, which asks the exception for its __class__.
    if issubclass(type(error), _GROUP) and limit > _LEAST:
        described += f': {_describe_members(error, limit // (2 * MAX_MEMBERS))}'
    return _cut(described, 2 * limit)


def _describe_members(group: Any, limit: int) -> str:
    members = BaseException.__getattribute__(group, 'exceptions')
    shown = [describe_error(each, limit) for each in members[:MAX_MEMBERS]]
    return '; '.join([*shown, *(['...'] if len(members) > MAX_MEMBERS else [])])


def traceback_text(error: BaseException, limit: int = MAX_LOG) -> str:
    """Return an exception's traceback, shortened to about ``limit`` characters; never raise."""
    try:
        text = ''.join(traceback.format_exception(type(error), error, _traceback_of(error)))
    except BaseException as second:  # attributes of a user's exception may raise
        where = ''.join(traceback.format_tb(_traceback_of(error)))
        text = (
            f'Traceback (most recent call last):\n{where}{describe_error(error)}\n'
            f'(its causes cannot be shown: {describe_error(second)})\n'
        )
    return _encodable(_cut(text, limit))


def _traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback that the interpreter has set, whatever the class makes of the name."""
    found: TracebackType | None = _TRACEBACK.__get__(error)
    return found


def _cut(text: str, limit: int) -> str:
    """Return a text without its middle, if it is longer than ``limit``."""
    if len(text) <= limit:
        return text
    tail = limit // 4
    return f'{text[: limit - tail]} ... ({len(text)} characters) ... {text[-tail:]}'


def _encodable(text: str) -> str:
    return text.encode(errors='backslashreplace').decode().replace('\0', '\\x00')
