# SPDX-License-Identifier: Apache-2.0
"""Drawing of detections on an image, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import NO_LABEL

_COLOUR = (0, 255, 255)  # BGR
_CROSS = 12  # pixels
_TEXT = 0.5  # scale of the font
_ABOVE = 4  # pixels, between a box and its text


def draw_detections(
    pixels: Pixels, detections: Records, names: Mapping[int, str], scale: float
) -> Pixels:
    """Return a scaled copy of an image (H, W, 3), BGR, with ``records.DETECTION`` drawn on it.

    Args:
        pixels: The image.
        detections: Detections in pixels of the image.
        names: Names of labels.
        scale: Scale of the copy.
    """
    size = tuple(max(1, round(scale * side)) for side in pixels.shape[1::-1])
    picture = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    for each in detections:
        corners = [(float(each[name]) + 0.5) * scale - 0.5 for name in ('x1', 'y1', 'x2', 'y2')]
        left, top, right, bottom = map(round, corners)
        middle = [round((float(each[name]) + 0.5) * scale - 0.5) for name in ('u', 'v')]
        if each['size_x'] > 0:
            turned = np.rad2deg(float(each['angle']))
            size = float(each['size_x']) * scale, float(each['size_y']) * scale
            outline = cv2.boxPoints((_middle_of_box(each, scale), size, turned))
            cv2.polylines(picture, [np.rint(outline).astype(np.int32)], True, _COLOUR)
        else:
            cv2.rectangle(picture, (left, top), (right, bottom), _COLOUR)
        cv2.drawMarker(picture, middle, _COLOUR, cv2.MARKER_CROSS, _CROSS)
        place = (left, max(top - _ABOVE, 12))
        text = f'{_name_of(int(each["label"]), names)} {float(each["confidence"]):.2f}'
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, _TEXT, _COLOUR, 1, cv2.LINE_AA)
    return picture


def _middle_of_box(detection: Any, scale: float) -> tuple[float, float]:
    u, v = (
        ((float(detection[first]) + float(detection[last])) / 2 + 0.5) * scale - 0.5
        for first, last in (('x1', 'x2'), ('y1', 'y2'))
    )
    return u, v


def _name_of(label: int, names: Mapping[int, str]) -> str:
    if label == NO_LABEL:
        return ''
    return names.get(label, str(label))
