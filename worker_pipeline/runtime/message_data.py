"""Has message classes take the bytes of ``data`` as they are, for stages that know nothing of it.

rclpy copies what ``message.data`` is set to, and walks a ``memoryview`` or a numpy array byte by
byte: 0.2 s for a camera frame. That would make it dear to pass on what a worker gives its stage,
which is a ``memoryview``, or to send what numpy or OpenCV has made.
"""

from __future__ import annotations

import array
import copyreg
from typing import Any

from worker_pipeline.runtime.frame_reference import FIELD, bytes_after

_MARK = '_takes_data_as_it_is'


def take_as_it_is(message_class: Any) -> None:
    """Have ``data`` taken without a copy, by this process, when it is set to a buffer of bytes.

    That is what the buffer protocol gives as contiguous unsigned bytes, of any shape. Nothing
    changes for other values, nor for classes without a field of bytes with that name. Whoever
    changes the buffer before the message is sent changes the message.
    """
    if bytes_after(message_class) is None or hasattr(message_class, _MARK):
        return
    make, ordinary = message_class.__init__, getattr(message_class, FIELD)

    def __init__(message: Any, **values: Any) -> None:  # noqa: N807 - becomes the class's
        data = values.pop(FIELD, None)
        make(message, **values)
        if data is not None:
            setattr(message, FIELD, data)

    def set_data(message: Any, value: Any) -> None:
        found = _bytes_of(value)
        if found is None:
            ordinary.fset(message, value)
        else:
            message._data = found

    message_class.__init__ = __init__
    setattr(message_class, FIELD, property(ordinary.fget, set_data))
    setattr(message_class, _MARK, True)
    # Whoever copies such a message, or sends it to a process of his own, gets bytes of his own.
    copyreg.pickle(memoryview, _own_bytes)


def _bytes_of(value: Any) -> Any:
    """A buffer as the field can hold it; None for what is none, or has other things than bytes."""
    if isinstance(value, array.array):
        return value if value.typecode == 'B' else None
    try:
        view = memoryview(value)
    except TypeError:
        return None
    return view.cast('B') if view.format == 'B' and view.c_contiguous else None


def _own_bytes(view: memoryview) -> tuple[Any, ...]:
    if view.format != 'B':
        raise TypeError(f'cannot pickle a memoryview of {view.format!r}')
    return array.array, ('B', view.tobytes())
