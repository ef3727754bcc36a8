# SPDX-License-Identifier: Apache-2.0
"""The encodings of ``sensor_msgs/Image``: how each one lays out the bytes of a picture.

The names are those of ROS 2 (sensor_msgs/image_encodings.hpp) and those that drivers write beside
them, such as ``i420`` and v4l2_camera's ``bgrx8``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

ANY_TYPE = re.compile(r'(8|16|32|64)([USF])C([0-9]{0,3})', re.IGNORECASE | re.ASCII)
_KINDS = {'U': 'u', 'S': 'i', 'F': 'f'}
# The channels of a generic type such as 8UC3, in OpenCV's order.
_GENERIC_ORDERS = {1: 'y', 3: 'bgr', 4: 'bgra'}
_MAX_CHANNELS = 512  # OpenCV's limit
_MIN_MOSAIC = 3  # pixels; OpenCV answers smaller ones with black
# The orders that an image can be converted to.
TARGET_ORDERS = ('y', 'bgr', 'rgb', 'bgra', 'rgba')


class UnreadableImageError(ValueError):
    """An image that cannot be read. ``cause``: what kind of fault, the same for a whole stream."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class Layout(enum.Enum):
    """How the values of a picture follow each other."""

    PACKED = 'the channels of a pixel side by side'
    BAYER = 'one channel a pixel, in a mosaic of two by two'
    YUV_422 = 'two pixels in four bytes, which share their colour'
    YUV_420 = 'a plane of brightness, then one or two planes of a quarter of the colour'
    YUV_444 = 'a plane of brightness, then one with the colour of every pixel'


@attrs.frozen
class Encoding:
    """How an encoding stores a picture.

    Attributes:
        name: As in a message.
        layout: How its values follow each other.
        dtype: The type of a value, in this machine's byte order.
        order: PACKED: a letter for each channel (``y``: grey, or a value of any meaning; ``x``:
            unused; empty: channels without a meaning). BAYER: the colours of the mosaic's first two
            rows. The others: the name of the order in OpenCV.
        channels: Values of a pixel, for PACKED.
    """

    name: str
    layout: Layout
    dtype: np.dtype[Any]
    order: str
    channels: int = 1

    @property
    def bytes_per_pixel(self) -> int:
        """Return the bytes of a pixel in a row; in its plane of brightness, if it has planes."""
        return 2 if self.layout is Layout.YUV_422 else self.channels * self.dtype.itemsize

    def size_problem(self, width: int, height: int) -> str:
        """Return which sizes it allows, or '' if this is one of them."""
        if self.layout is Layout.YUV_422 and width % 2:
            return 'an even width'
        if self.layout is Layout.YUV_420 and (width % 2 or height % 2):
            return 'an even width and height'
        if self.layout is Layout.BAYER and min(width, height) < _MIN_MOSAIC:
            return f'at least {_MIN_MOSAIC} pixels each way'
        return ''


_BYTE, _WORD = np.dtype('u1'), np.dtype('u2')


def _packed(name: str, order: str, dtype: np.dtype[Any]) -> Encoding:
    return Encoding(name, Layout.PACKED, dtype, order, len(order))


def _table() -> dict[str, Encoding]:
    made = []
    for dtype, bits in ((_BYTE, 8), (_WORD, 16)):
        made.append(_packed(f'mono{bits}', 'y', dtype))
        made += [_packed(f'{each}{bits}', each, dtype) for each in ('bgr', 'rgb', 'bgra', 'rgba')]
        made += [
            Encoding(f'bayer_{each}{bits}', Layout.BAYER, dtype, each)
            for each in ('rggb', 'bggr', 'gbrg', 'grbg')
        ]
    made += [_packed(f'{each}8', each, _BYTE) for each in ('bgrx', 'rgbx')]
    made += [_packed(f'{each}8', each, _BYTE) for each in ('abgr', 'argb', 'xbgr', 'xrgb')]
    for layout, orders in (
        (
            Layout.YUV_422,
            {'uyvy': 'UYVY', 'yuv422': 'UYVY', 'yuyv': 'YUY2', 'yuv422_yuy2': 'YUY2'}
            | {'yuy2': 'YUY2', 'yvyu': 'YVYU'},
        ),
        (
            Layout.YUV_420,
            {'nv12': 'NV12', 'nv21': 'NV21', 'i420': 'I420', 'yuv420': 'I420', 'yv12': 'YV12'},
        ),
        (Layout.YUV_444, {'nv24': 'NV24'}),
    ):
        made += [Encoding(name, layout, _BYTE, order) for name, order in orders.items()]
    return {each.name: each for each in made}


ENCODINGS: Mapping[str, Encoding] = _table()


def encoding_of(name: str) -> Encoding:
    """Return an encoding by its name, in any case; UnreadableImageError if it is unknown.

    Generic types such as ``8UC3`` or ``32FC1`` are read as OpenCV's: grey, BGR, BGRA.
    """
    found = ENCODINGS.get(name) or ENCODINGS.get(name.lower())
    if found is not None:
        return found
    match = ANY_TYPE.fullmatch(name)
    if match is not None and match[1] + match[2].upper() != '8F':
        channels = int(match[3] or 1)
        dtype = np.dtype(f'{_KINDS[match[2].upper()]}{int(match[1]) // 8}')
        if 0 < channels <= _MAX_CHANNELS:
            order = _GENERIC_ORDERS.get(channels, '')
            return Encoding(name.upper(), Layout.PACKED, dtype, order, channels)
    raise UnreadableImageError(
        f'encoding {name[:40]!r}',
        f'encoding: found {name[:40]!r}; allowed: {", ".join(ENCODINGS)},'
        ' and types such as 8UC3, 16UC1, 32FC1',
    )


def target_of(name: str) -> Encoding:
    """Return an encoding to convert to. ValueError if that is not possible."""
    target = encoding_of(name)
    if target.layout is not Layout.PACKED or target.order not in TARGET_ORDERS:
        raise ValueError(
            f'encoding to convert to: found {name!r}; allowed: passthrough, mono8, bgr8, rgb8,'
            ' bgra8, rgba8, and those of 16 bits'
        )
    return target
