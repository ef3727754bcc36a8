# SPDX-License-Identifier: Apache-2.0
"""Views of the pixels in a message's bytes: rows may be padded, and words in any byte order."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.messages.encodings import Encoding, Layout, UnreadableImageError

Array = npt.NDArray[Any]


class YuvPlanes(NamedTuple):
    """Brightness (H, W), and U and V in the order of the encoding.

    These are side by side (h, w, 2), or planes of their own (2, h, w).
    """

    brightness: Array
    colour: Array


def pixels_of(message: Any, encoding: Encoding) -> Array:
    """Return the values of a picture as (H, W), or (H, W, channels) if a pixel has several.

    A view of the message's data, or a copy if its words are in another byte order. Of a picture in
    planes it is the rows of bytes, one plane below the other, as OpenCV expects them.

    UnreadableImageError if the size does not suit the encoding, or if bytes are missing.
    """
    _check_size(message, encoding)
    height, width, step = message.height, message.width, message.step
    if encoding.layout in (Layout.YUV_420, Layout.YUV_444):
        brightness, colour = yuv_planes(message, encoding)
        return np.concatenate([brightness, colour.reshape(-1, width)])
    row = width * encoding.bytes_per_pixel
    _check_bytes(message, row, (height - 1) * step + row)
    dtype = encoding.dtype
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, encoding.bytes_per_pixel)
    per_pixel = encoding.bytes_per_pixel // dtype.itemsize
    if per_pixel > 1:
        shape, strides = (*shape, per_pixel), (*strides, dtype.itemsize)
    if dtype.itemsize > 1 and bool(message.is_bigendian) != (sys.byteorder == 'big'):
        found: Array = np.ndarray(shape, dtype.newbyteorder(), _bytes_of(message), 0, strides)
        return found.astype(dtype)
    found = np.ndarray(shape, dtype, _bytes_of(message), 0, strides)
    # OpenCV takes rows that begin between two words for something else.
    return found if found.flags.aligned and step % dtype.itemsize == 0 else found.copy()


def yuv_planes(message: Any, encoding: Encoding) -> YuvPlanes:
    """Return views of the planes of a YUV picture."""
    _check_size(message, encoding)
    height, width = message.height, message.width
    data = _bytes_of(message)
    is_full = encoding.layout is Layout.YUV_444
    colour_height = height if is_full else height // 2
    step = message.step
    # Some drivers give another step than that of a plane, such as the bytes by the height.
    if len(data) == _size(width, height, width, encoding) < _size(step, height, width, encoding):
        step = width
    size = _size(step, height, width, encoding)
    _check_bytes(message, width, size)
    brightness: Array = np.ndarray((height, width), np.uint8, data, 0, (step, 1))
    start = height * step
    if encoding.order in ('I420', 'YV12'):
        if step % 2:
            raise UnreadableImageError(
                f'{encoding.name}: odd step', f'step: found {step}; allowed: an even one'
            )
        shape: tuple[int, ...] = (2, colour_height, width // 2)
        strides = (colour_height * step // 2, step // 2, 1)
        return YuvPlanes(brightness, np.ndarray(shape, np.uint8, data, start, strides))
    colour_step, colour_width = (2 * step, width) if is_full else (step, width // 2)
    shape = (colour_height, colour_width, 2)
    return YuvPlanes(brightness, np.ndarray(shape, np.uint8, data, start, (colour_step, 2, 1)))


def _size(step: int, height: int, width: int, encoding: Encoding) -> int:
    """Return the fewest bytes of a picture in planes; the last row may lack its padding."""
    if encoding.layout is Layout.YUV_444:
        return height * step + (height - 1) * 2 * step + 2 * width
    if encoding.order in ('I420', 'YV12'):
        return height * step + (height - 1) * (step // 2) + width // 2
    return height * step + (height // 2 - 1) * step + width


def _bytes_of(message: Any) -> Any:
    return np.frombuffer(message.data, np.uint8)


def _check_size(message: Any, encoding: Encoding) -> None:
    height, width = message.height, message.width
    if not height or not width:
        raise UnreadableImageError(
            'empty', f'image: found {width}x{height} pixels; allowed: at least one'
        )
    allowed = encoding.size_problem(width, height)
    if allowed:
        raise UnreadableImageError(
            f'{encoding.name}: size',
            f'size: found {width}x{height} pixels of {encoding.name}; allowed: {allowed}',
        )


def _check_bytes(message: Any, row: int, size: int) -> None:
    if message.step < row or len(message.data) < size:
        raise UnreadableImageError(
            f'{message.encoding[:40]}: bytes',
            f'image: found {len(message.data)} bytes for {message.width}x{message.height} pixels of'
            f' {message.encoding[:40]} in rows of {message.step}; allowed: at least {size} bytes,'
            f' in rows of at least {row}',
        )
