# SPDX-License-Identifier: Apache-2.0
"""Decoding of the pictures in ``sensor_msgs/CompressedImage``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import MAX_PIXELS, cv2
from worker_pipeline.airside.messages.compressed_format import Format, format_of
from worker_pipeline.airside.messages.encodings import (
    ENCODINGS,
    Encoding,
    Layout,
    UnreadableImageError,
    encoding_of,
)

_JPEG, _PNG = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'
# What OpenCV reads as pictures of their own. A video's frames refer to each other.
_ALLOWED = 'jpeg, png, and what OpenCV reads'
_VIDEO = ('h264', 'h265', 'hevc', 'av1', 'vp8', 'vp9', 'mpeg4', 'theora', 'libx264', 'libx265')
_DEPTH_HEADER = 12  # bytes before the PNG of a compressedDepth
_END_OF_JPEG, _START_OF_SCAN = b'\xff\xd9', 0xDA
_END_OF_PNG = b'IEND'
_DECODED = {1: 'mono', 3: 'bgr', 4: 'bgra'}


def decode(message: Any) -> tuple[npt.NDArray[Any], Encoding]:
    """Return the pixels of a picture, (H, W) or (H, W, channels), and their encoding.

    It is turned by no note in the picture: its pixels are those that the camera is calibrated for.

    UnreadableImageError if it is of another kind, or damaged.
    """
    found = format_of(message.format)
    data = np.frombuffer(message.data, np.uint8)
    head = data[: _DEPTH_HEADER + len(_PNG)].tobytes()
    _check_format(found, message.format, head)
    if not data.size:
        raise UnreadableImageError('empty', 'data: found 0 bytes; allowed: a picture')
    if head.startswith(_JPEG):
        _check_end_of_jpeg(data.tobytes())
    elif head.startswith(_PNG) and _END_OF_PNG not in data[-64:].tobytes():
        raise _broken(message, 'a PNG without its end')
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        what = f'what OpenCV refuses: {error.err}'
        if 'MAX_IMAGE_PIXELS' in error.err:
            what = f'more than {MAX_PIXELS} pixels'
        raise _broken(message, what) from error
    if pixels is None:
        raise _broken(message, f'{data.size} bytes that begin with {head[:4].hex(" ")}')
    encoding = _encoding_of_decoded(pixels, found)
    height, width = pixels.shape[:2]
    if allowed := encoding.size_problem(width, height):
        raise UnreadableImageError(
            f'{encoding.name}: size',
            f'size: found {width}x{height} pixels of {encoding.name}; allowed: {allowed}',
        )
    return pixels, encoding


def _check_format(found: Format, text: str, head: bytes) -> None:
    is_depth = 'compresseddepth' in text.lower() or head[_DEPTH_HEADER:] == _PNG
    if is_depth or found.codec in ('rvl', 'zdepth'):
        problem = 'a depth image, in units of its own'
    elif found.codec.startswith(_VIDEO) or 'ffmpeg' in found.codec:
        problem = 'a video, whose frames are no pictures by themselves'
    elif found.is_cut_off:
        problem = (
            'words of 16 bits in a JPEG, in which all values above 255 are 255 (have them'
            ' compressed as png)'
        )
    else:
        return
    raise UnreadableImageError(
        f'format {text[:60]!r}', f'format: found {text[:60]!r}, {problem}; allowed: {_ALLOWED}'
    )


def _encoding_of_decoded(pixels: npt.NDArray[Any], found: Format) -> Encoding:
    """Return how the decoded values are to be read.

    OpenCV gives colours as BGR. A mosaic is compressed as it is, and looks grey.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    original = ENCODINGS.get(found.encoding.lower())
    if original is not None and original.layout is Layout.BAYER and channels == 1:
        colours = original.order
        return encoding_of(f'bayer_{colours}{8 * pixels.dtype.itemsize}')
    name = _DECODED.get(channels)
    if name is None or pixels.dtype.kind != 'u' or pixels.dtype.itemsize > 2:
        kind = 'F' if pixels.dtype.kind == 'f' else 'U' if pixels.dtype.kind == 'u' else 'S'
        return encoding_of(f'{8 * pixels.dtype.itemsize}{kind}C{channels}')
    return encoding_of(f'{name}{8 * pixels.dtype.itemsize}')


def _check_end_of_jpeg(data: bytes) -> None:
    """Raise UnreadableImageError if the picture ends early: libjpeg fills it up with grey."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker == _START_OF_SCAN:
            if data.rfind(_END_OF_JPEG, place) < 0:
                raise UnreadableImageError(
                    'cut JPEG', f'data: found a JPEG of {len(data)} bytes without its end'
                )
            return
        place += 2 + int.from_bytes(data[place + 2 : place + 4], 'big')


def _broken(message: Any, what: str) -> UnreadableImageError:
    text = message.format[:60]
    return UnreadableImageError(
        'broken picture', f'data: found {what} as {text!r}; allowed: {_ALLOWED}'
    )
