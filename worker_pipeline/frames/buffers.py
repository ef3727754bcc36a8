# SPDX-License-Identifier: Apache-2.0
"""Lets message classes accept any buffer as ``data``, without a copy.

rclpy copies the value of ``message.data``, and iterates over a ``memoryview`` or a numpy array
byte by byte: 0.2 s for a camera frame. That would slow down a stage that forwards its input, whose
``data`` is a ``memoryview``, or that sends arrays of numpy or OpenCV.
"""

from __future__ import annotations

import array
import copyreg
from typing import Any

from worker_pipeline.frames.reference import FIELD, bytes_after_data

_MARK = '_accepts_buffers'


def accept_buffers(message_class: Any) -> None:
    """Make a message class accept buffers of bytes as ``data`` without a copy, in this process.

    A buffer is anything with the buffer protocol that is contiguous and has unsigned bytes, of any
    shape. Other values and classes without such a field behave as before. A buffer that is changed
    before the message is sent changes the message.
    """
    if bytes_after_data(message_class) is None or hasattr(message_class, _MARK):
        return
    original_init, original_property = message_class.__init__, getattr(message_class, FIELD)

    def __init__(message: Any, **values: Any) -> None:  # noqa: N807 - becomes the class's
        data = values.pop(FIELD, None)
        original_init(message, **values)
        if data is not None:
            setattr(message, FIELD, data)

    def set_data(message: Any, value: Any) -> None:
        buffer = _as_bytes(value)
        if buffer is None:
            original_property.fset(message, value)
        else:
            message._data = buffer

    message_class.__init__ = __init__
    setattr(message_class, FIELD, property(original_property.fget, set_data))
    setattr(message_class, _MARK, True)
    # A copied or pickled message gets bytes of its own.
    copyreg.pickle(memoryview, _copy_bytes)


def _as_bytes(value: Any) -> Any:
    """Return a buffer of bytes that the field can hold; None if ``value`` is none."""
    if isinstance(value, array.array):
        return value if value.typecode == 'B' else None
    try:
        view = memoryview(value)
    except TypeError:
        return None
    return view.cast('B') if view.format == 'B' and view.c_contiguous else None


def _copy_bytes(view: memoryview) -> tuple[Any, ...]:
    if view.format != 'B':
        raise TypeError(f'cannot pickle a memoryview of {view.format!r}')
    return array.array, ('B', view.tobytes())
