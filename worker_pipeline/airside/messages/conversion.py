# SPDX-License-Identifier: Apache-2.0
"""Conversion of pixels from one encoding to another. What needs no conversion stays a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.encodings import (
    Encoding,
    Layout,
    UnreadableImageError,
)
from worker_pipeline.airside.messages.grey_levels import ValueRange, to_levels, value_range
from worker_pipeline.airside.messages.planes import YuvPlanes

Array = npt.NDArray[Any]

# What OpenCV calls a mosaic: by the colours of the second and third pixel of its second row.
_MOSAICS = {'rggb': 'BayerBG', 'bggr': 'BayerRG', 'gbrg': 'BayerGR', 'grbg': 'BayerGB'}
_NAMES = {'y': 'GRAY', 'bgr': 'BGR', 'rgb': 'RGB', 'bgra': 'BGRA', 'rgba': 'RGBA'}
# Unsigned integers are the only levels.
_LEVEL_TYPES = (np.dtype('u1'), np.dtype('u2'))
_BYTES_TO_WORDS = 257


def limits_of(given: Sequence[float] | None) -> ValueRange | None:
    """Return the range from two given values; None if there are none, or they are equal."""
    if given is None or given[0] == given[1]:
        return None
    return ValueRange(float(given[0]), float(given[1]))


def convert(
    pixels: Array, source: Encoding, target: Encoding, limits: ValueRange | None = None
) -> Array:
    """Return pixels of ``source``, not in planes, as those of ``target``.

    Args:
        pixels: (H, W) or (H, W, channels).
        source: Their encoding.
        target: Of :func:`~.encodings.target_of`.
        limits: The values that become black and white where there are too many for the target;
            None: :func:`~.grey_levels.value_range`.

    Returns:
        ``pixels`` itself if nothing has to be converted.

    Raises:
        UnreadableImageError: The channels have no meaning as a picture.
    """
    if source.layout is Layout.YUV_422:
        code = f'COLOR_YUV2{_NAMES[target.order]}_{source.order}'
        if source.order == 'YVYU' and target.order == 'y':
            code = 'COLOR_YUV2GRAY_YUY2'
        return _with_depth(cv2.cvtColor(pixels, getattr(cv2, code)), target.dtype, None)
    if source.layout is Layout.BAYER:
        # First the depth: it is a third of the work before the colours are restored.
        mosaic = _with_depth(pixels, target.dtype, limits)
        code = f'COLOR_{_MOSAICS[source.order]}2{_NAMES[target.order]}'
        return np.asarray(cv2.cvtColor(mosaic, getattr(cv2, code)))
    if not source.order:
        raise UnreadableImageError(
            f'encoding {source.name}',
            f'encoding: found {source.name}, whose {source.channels} channels are no colours;'
            ' allowed: 1, 3 or 4 channels',
        )
    pixels, order = _in_opencv_order(pixels, source.order)
    return _with_order(_with_depth(pixels, target.dtype, limits), order, target.order)


def convert_planes(planes: YuvPlanes, source: Encoding, target: Encoding) -> Array:
    """Return a picture in planes as pixels of ``target``; grey is its brightness as it is."""
    brightness, colour = planes
    if target.order == 'y':
        return _with_depth(brightness, target.dtype, None)
    if source.layout is Layout.YUV_444:
        pixels = _from_full_colour(planes, target.order)
    else:
        if source.order in ('I420', 'YV12'):
            colour = cv2.merge([*colour])
        is_swapped = source.order in ('NV21', 'YV12')
        code = f'COLOR_YUV2{_NAMES[target.order]}_{"NV21" if is_swapped else "NV12"}'
        pixels = cv2.cvtColorTwoPlane(brightness, colour, getattr(cv2, code))
    return _with_depth(pixels, target.dtype, None)


def _from_full_colour(planes: YuvPlanes, order: str) -> Array:
    """Return pixels of a picture with a colour for each: OpenCV knows shared ones only."""
    height, width = planes.brightness.shape
    twice = np.empty((height, 2 * width, 2), np.uint8)  # each pixel twice, as UYVY
    twice[:, ::2, 1] = twice[:, 1::2, 1] = planes.brightness
    twice[:, ::2, 0], twice[:, 1::2, 0] = planes.colour[..., 0], planes.colour[..., 1]
    pixels = cv2.cvtColor(twice, getattr(cv2, f'COLOR_YUV2{_NAMES[order]}_UYVY'))
    return np.ascontiguousarray(pixels[:, ::2])


def _in_opencv_order(pixels: Array, order: str) -> tuple[Array, str]:
    """Return pixels whose alpha channel, if they have one, is the last, and their order."""
    order = order.replace('x', 'a')
    if not order.startswith('a'):
        return pixels, order
    moved = np.empty(pixels.shape, pixels.dtype)
    cv2.mixChannels([pixels], [moved], [1, 0, 2, 1, 3, 2, 0, 3])
    return moved, order[1:] + 'a'


def _with_order(pixels: Array, order: str, wanted: str) -> Array:
    if order == wanted:
        return pixels
    code = getattr(cv2, f'COLOR_{_NAMES[order]}2{_NAMES[wanted]}')
    return np.asarray(cv2.cvtColor(pixels, code))


def _with_depth(pixels: Array, dtype: np.dtype[Any], limits: ValueRange | None) -> Array:
    if pixels.dtype == dtype:
        return pixels
    if dtype not in _LEVEL_TYPES:
        raise ValueError(
            f'encoding to convert to: found values of {dtype} for an image of {pixels.dtype};'
            ' allowed: levels of 8 or 16 bits, or passthrough'
        )
    if pixels.dtype == np.uint8:
        return np.asarray(pixels.astype(dtype) * dtype.type(_BYTES_TO_WORDS))
    return to_levels(pixels, dtype, limits or value_range(pixels))
