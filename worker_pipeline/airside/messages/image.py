# SPDX-License-Identifier: Apache-2.0
"""``sensor_msgs/Image`` and ``CompressedImage``, and numpy arrays.

Arrays share their memory with a message where nothing has to be converted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image

from worker_pipeline.airside.messages.encodings import (
    Encoding,
    Layout,
    UnreadableImageError,
    encoding_of,
    target_of,
)
from worker_pipeline.airside.messages.planes import pixels_of, yuv_planes

__all__ = ['BGR8', 'PASSTHROUGH', 'Pixels', 'UnreadableImageError', 'from_message', 'to_message']

Pixels = npt.NDArray[np.uint8]

BGR8 = 'bgr8'
PASSTHROUGH = 'passthrough'
_COLOUR_STEP = 16  # pixels
_PLANES = (Layout.YUV_420, Layout.YUV_444)


def to_message(pixels: npt.NDArray[Any], frame_id: str, encoding: str = BGR8) -> Any:
    """Return an Image with an empty stamp from pixels (H, W) or (H, W, channels).

    A contiguous array is used without a copy, so changes made before the message is sent are sent
    too. ValueError for another shape or type than ``encoding`` has, which may not be in planes.
    """
    layout = encoding_of(encoding)
    channels = 2 if layout.layout is Layout.YUV_422 else layout.channels
    shape = pixels.shape[2:] or (1,)
    if (
        pixels.ndim not in (2, 3)
        or shape != (channels,)
        or pixels.dtype != layout.dtype
        or layout.layout in _PLANES
    ):
        size = f'(H, W, {channels})' if channels > 1 else '(H, W)'
        raise ValueError(
            f'found {pixels.dtype} of {pixels.shape}; allowed: {layout.dtype} of {size}'
        )
    height, width = pixels.shape[:2]
    message = Image(
        height=height, width=width, encoding=encoding, step=width * layout.bytes_per_pixel
    )
    message.is_bigendian = int(sys.byteorder == 'big')
    message.header.frame_id = frame_id
    # The message's setter would copy it, and a memoryview byte by byte.
    message._data = np.ascontiguousarray(pixels).data.cast('B')
    return message


def from_message(
    message: Any,
    encoding: str = BGR8,
    value_range: Sequence[float] | None = None,
    source: str = '',
) -> npt.NDArray[Any]:
    """Return the pixels of an Image or a CompressedImage.

    Args:
        message: The message.
        encoding: What to convert to: ``mono8``, ``bgr8``, ``rgb8``, ``bgra8``, ``rgba8``, those of
            16 bits (``mono16``), or ``passthrough``, to convert nothing.
        value_range: The values that become black and white if those of the image do not fit; None,
            or two equal ones: by the image's own (:func:`~.grey_levels.value_range`).
        source: The image's encoding, if that in the message is wrong.

    Returns:
        (H, W) or (H, W, channels): a view of the message's data where nothing has to be converted.

    Raises:
        UnreadableImageError: a ValueError; the image cannot be read, and why.
    """
    target = None if encoding == PASSTHROUGH else target_of(encoding)
    if hasattr(message, 'format'):
        return _from_compressed(message, target, value_range)
    found = encoding_of(source or message.encoding)
    if target is None or _is_same(found, target):
        return pixels_of(message, found)
    # Only here: without OpenCV, images that need no conversion can still be read.
    from worker_pipeline.airside.messages import conversion

    if found.layout in _PLANES:
        return conversion.convert_planes(yuv_planes(message, found), found, target)
    pixels = pixels_of(message, found)
    return conversion.convert(pixels, found, target, conversion.limits_of(value_range))


def _from_compressed(
    message: Any, target: Encoding | None, value_range: Sequence[float] | None
) -> npt.NDArray[Any]:
    from worker_pipeline.airside.messages import compressed, conversion

    pixels, found = compressed.decode(message)
    if target is None:
        return pixels
    return conversion.convert(pixels, found, target, conversion.limits_of(value_range))


def _is_same(found: Encoding, target: Encoding) -> bool:
    return (found.layout, found.order, found.dtype) == (target.layout, target.order, target.dtype)


def has_colour(pixels: npt.NDArray[Any]) -> bool:
    """Return whether pixels (H, W, 3) have colours, as far as every 16th of them shows."""
    part = pixels[::_COLOUR_STEP, ::_COLOUR_STEP]
    return bool((part[..., :1] != part[..., 1:]).any())
