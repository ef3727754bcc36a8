# SPDX-License-Identifier: Apache-2.0
"""Images in every encoding, made from RGB pixels by hand, one value after the other.

Nothing here uses the code under test or OpenCV's colour conversions: YUV follows ITU-R BT.601 with
a limited range, as video does.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

MOSAICS = ('rggb', 'bggr', 'gbrg', 'grbg')
PACKED = ('bgr', 'rgb', 'bgra', 'rgba')
MOVED_ALPHA = ('bgrx', 'rgbx', 'abgr', 'argb', 'xbgr', 'xrgb')
YUV_422 = {'uyvy': 'uyvy', 'yuv422': 'uyvy', 'yuyv': 'yuyv', 'yuv422_yuy2': 'yuyv'} | {
    'yuy2': 'yuyv',
    'yvyu': 'yvyu',
}
YUV_420 = ('nv12', 'nv21', 'i420', 'yuv420', 'yv12')
COLOURS = (
    *(f'{each}{bits}' for bits in (8, 16) for each in PACKED),
    *(f'{each}8' for each in MOVED_ALPHA),
    *('8UC3', '8UC4', '16UC3', '16UC4', '32FC3'),
    *YUV_422,
    *YUV_420,
    'nv24',
    *(f'bayer_{each}{bits}' for bits in (8, 16) for each in MOSAICS),
)
GREYS = ('mono8', 'mono16', '8UC1', '8UC', '16UC1', '16SC1', '32SC1', '32FC1', '64FC1')
ALL = (*COLOURS, *GREYS)


def grey_of(rgb: Any) -> Any:
    """Return the brightness (H, W) of pixels, uint8."""
    return np.rint(rgb @ [0.299, 0.587, 0.114]).astype(np.uint8)


def yuv_of(rgb: Any) -> Any:
    """Return Y, U and V (H, W, 3) of pixels, uint8."""
    red, green, blue = np.moveaxis(rgb.astype(float) / 255, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    u, v = (blue - luma) / 1.772, (red - luma) / 1.402
    return np.rint(np.stack([16 + 219 * luma, 128 + 224 * u, 128 + 224 * v], -1)).astype(np.uint8)


def _rows(name: str, rgb: Any) -> list[Any]:
    """Return the planes of an image, each as rows (h, n) of its values."""
    height, width = rgb.shape[:2]
    if name.startswith('bayer_'):
        mosaic = np.empty((height, width), np.uint8)
        for index, colour in enumerate(name[6:10]):
            part = np.s_[index // 2 :: 2, index % 2 :: 2]
            mosaic[part] = rgb[..., 'rgb'.index(colour)][part]
        return [mosaic.astype(np.uint16) * 257 if name.endswith('16') else mosaic]
    if name in YUV_422:
        yuv = yuv_of(rgb)
        made = np.empty((height, width, 2), np.uint8)
        places = YUV_422[name]
        made[..., places.index('y') % 2] = yuv[..., 0]
        for channel, letter in ((1, 'u'), (2, 'v')):
            place = places.index(letter)
            made[:, place // 2 :: 2, place % 2] = yuv[:, ::2, channel]
        return [made.reshape(height, -1)]
    if name in YUV_420:
        yuv = yuv_of(rgb)
        u, v = yuv[::2, ::2, 1], yuv[::2, ::2, 2]
        if name.startswith('nv'):
            both = [u, v] if name == 'nv12' else [v, u]
            return [yuv[..., 0], np.stack(both, -1).reshape(height // 2, width)]
        return [yuv[..., 0], *([v, u] if name == 'yv12' else [u, v])]
    if name == 'nv24':
        yuv = yuv_of(rgb)
        return [yuv[..., 0], yuv[..., 1:].reshape(height, 2 * width)]
    if name in GREYS:
        return [_wide(name, grey_of(rgb))]
    generic = {'8UC3': 'bgr', '8UC4': 'bgra', '16UC3': 'bgr', '16UC4': 'bgra', '32FC3': 'bgr'}
    order = generic.get(name) or name.rstrip('0123456789')
    full = np.full((height, width), 200, np.uint8)  # of an alpha channel
    channels = [full if each in 'ax' else rgb[..., 'rgb'.index(each)] for each in order]
    return [_wide(name, np.stack(channels, -1).reshape(height, -1))]


def _wide(name: str, levels: Any) -> Any:
    """Return levels of 8 bits as values of the encoding's type, which they fill."""
    if name == '16SC1':
        return levels.astype(np.int16) * 128  # up to 32640
    if name == '32SC1':
        return levels.astype(np.int32) * 257
    if 'F' in name:
        return levels.astype(np.float64 if name.startswith('64') else np.float32) / 255
    return levels.astype(np.uint16) * 257 if '16' in name else levels


def image_of(name: str, rgb: Any, *, padding: int = 0, big_endian: bool = False) -> Any:
    """Return an Image with the stamp 0.

    Args:
        name: its encoding.
        rgb: its pixels (H, W, 3), uint8.
        padding: bytes at the end of each row, which are noise.
        big_endian: the order of its words.
    """
    noise = np.random.default_rng(7)
    data, step = b'', 0
    for number, rows in enumerate(_rows(name, rgb)):
        ordered = rows.astype(rows.dtype.newbyteorder('>' if big_endian else '<'))
        row = ordered.view(np.uint8).reshape(len(rows), -1)
        # The rows of a plane of half the width are half as long.
        step = step or row.shape[1] + padding
        long = step * row.shape[1] // rgb.shape[1] if number else step
        filled = noise.integers(0, 256, (len(row), long), np.uint8)
        filled[:, : row.shape[1]] = row
        data += filled.tobytes()
    height, width = rgb.shape[:2]
    message = Image(height=height, width=width, encoding=name, step=step)
    message.is_bigendian = int(big_endian)
    message.data = array.array('B', data)
    return message


def compressed_image(text: str, data: bytes) -> Any:
    """Return a CompressedImage with the stamp 0, a format and data."""
    return CompressedImage(format=text, data=array.array('B', data))
