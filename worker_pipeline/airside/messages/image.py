# SPDX-License-Identifier: Apache-2.0
"""``sensor_msgs/Image`` (bgr8) and numpy arrays that share memory with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image

Pixels = npt.NDArray[np.uint8]

BGR8 = 'bgr8'
_CHANNELS = 3


def to_message(pixels: Pixels, frame_id: str) -> Any:
    """Return an Image with an empty stamp from pixels (H, W, 3), BGR.

    A contiguous array is used without a copy, so changes made before the message is sent are sent
    too. ValueError for another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != _CHANNELS or pixels.dtype != np.uint8:
        raise ValueError(f'found {pixels.dtype} of {pixels.shape}; allowed: uint8 of (H, W, 3)')
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding=BGR8, step=width * _CHANNELS)
    message.header.frame_id = frame_id
    # The message's setter would copy it, and a memoryview byte by byte.
    message._data = np.ascontiguousarray(pixels).data.cast('B')
    return message


def from_message(message: Any) -> Pixels:
    """Return the pixels (H, W, 3), BGR, of an Image as a view of the message's data.

    ValueError if the encoding is not bgr8, or if there are fewer bytes than the size requires.
    """
    if message.encoding != BGR8:
        raise ValueError(f'encoding: found {message.encoding!r}; allowed: {BGR8!r}')
    height, width, step = message.height, message.width, message.step
    data = np.frombuffer(message.data, dtype=np.uint8)
    if not height or not width or step < width * _CHANNELS or len(data) < height * step:
        raise ValueError(
            f'image: found {len(data)} bytes for {width}x{height} pixels in rows of {step};'
            f' allowed: at least {height} rows of at least {width * _CHANNELS}, and not none'
        )
    rows = data[: height * step].reshape(height, step)
    return rows[:, : width * _CHANNELS].reshape(height, width, _CHANNELS)
