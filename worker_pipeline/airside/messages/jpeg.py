# SPDX-License-Identifier: Apache-2.0
"""Pictures as ``sensor_msgs/CompressedImage``, as image_transport publishes them."""

from __future__ import annotations

import array
from typing import Any

from sensor_msgs.msg import CompressedImage

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.image import Pixels

# The encoding of the picture, and that within the JPEG, in image_transport's words.
FORMAT = 'bgr8; jpeg compressed bgr8'


def to_jpeg(pixels: Pixels, header: Any, quality: int) -> Any:
    """Return a CompressedImage of pixels (H, W, 3), BGR.

    Args:
        pixels: The picture.
        header: Of the message.
        quality: 1 to 100.
    """
    done, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f'found pixels of {pixels.shape} that cannot be written as JPEG')
    message = CompressedImage(header=header, format=FORMAT)
    message.data = array.array('B', data.tobytes())
    return message
