# SPDX-License-Identifier: Apache-2.0
"""Detection of square ArUco markers; a detection's label is the marker's number.

Garrido-Jurado et al., "Automatic generation and detection of highly reliable fiducial markers under
occlusion" (2014), as implemented in OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import DETECTION
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'aruco_dictionary': Parameter('DICT_4X4_50', "name of one of OpenCV's dictionaries"),
    'aruco_search_scale': Parameter(
        0.5, 'scale of the image in which markers are searched', minimum=0.1, maximum=1.0
    ),
    'aruco_min_size': Parameter(20.0, 'smallest side of a marker', 'pixel', minimum=4.0),
}

# Corners (4, 2) in pixels, and the number.
_Marker = tuple[Any, int]

# Half the width of the patch in which a corner is refined, as a share of the marker's side and in
# pixels: enough in a blurred image, but for a small marker at most half a cell, so that it contains
# only this corner.
_REFINEMENT_SHARE = 1 / 20
_REFINEMENT_REACH = (3, 10)
_HALF_A_CELL = 1 / 12
_REFINEMENT_END = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)
# A quadrangle up to this size (pixels) that cannot be decoded in the reduced image is decoded again
# in the full image; at most this many, to bound the time in a cluttered scene.
_MAX_REREAD_SIZE = 100.0
_MAX_REREADS = 20
# The margin around such a quadrangle, as a share of its size.
_MARGIN = 0.3


class ArucoDetector(Detector):
    """Finds markers in a reduced image, then refines their corners in the full image.

    That takes a quarter of the time of a search at full size, and the corners are as accurate.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        name = params['aruco_dictionary']
        code = getattr(cv2.aruco, name, None) if name.startswith('DICT_') else None
        if code is None:
            known = ', '.join(sorted(each for each in dir(cv2.aruco) if each.startswith('DICT_')))
            raise ValueError(f'aruco_dictionary: found {name!r}; allowed: one of {known}')
        self._scale = float(params['aruco_search_scale'])
        self._min_size = float(params['aruco_min_size'])
        dictionary = cv2.aruco.getPredefinedDictionary(code)
        self.labels = range(len(dictionary.bytesList))
        self._find = _finder(dictionary)

    def detect(self, pixels: Pixels) -> Records:
        """Return the markers in an image, one record each, centred where the diagonals cross."""
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        found = self._search(grey)
        detections = np.zeros(len(found), DETECTION)
        for record, (corners, label) in zip(detections, found, strict=True):
            refined = _refined(grey, corners)
            record['x1'], record['y1'] = refined.min(axis=0)
            record['x2'], record['y2'] = refined.max(axis=0)
            record['u'], record['v'] = diagonal_intersection(refined)
            record['label'] = label
            record['confidence'] = 1.0
        return detections

    def _search(self, grey: Any) -> list[_Marker]:
        scale = self._scale
        if scale == 1.0:
            return self._find(grey, self._min_size)[0]
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        markers, unread = self._find(small, self._min_size * scale)
        found = [(_enlarged(corners, scale), label) for corners, label in markers]
        doubtful = [_enlarged(corners, scale) for corners in unread]
        for corners in [each for each in doubtful if _size(each) <= _MAX_REREAD_SIZE][
            :_MAX_REREADS
        ]:
            found += [each for each in self._reread(grey, corners) if _is_new(each, found)]
        return found

    def _reread(self, grey: Any, corners: Any) -> list[_Marker]:
        """Return the markers in the full image around a quadrangle."""
        margin = _MARGIN * _size(corners)
        left, top = np.maximum(0, np.floor(corners.min(axis=0) - margin)).astype(int)
        right, bottom = np.ceil(corners.max(axis=0) + margin).astype(int) + 1
        part = np.ascontiguousarray(grey[top:bottom, left:right])
        corner = np.array([left, top])
        return [(corner + each, label) for each, label in self._find(part, self._min_size)[0]]


def _enlarged(corners: Any, scale: float) -> Any:
    """Return corners in the full image from corners in a reduced one."""
    return (corners + 0.5) / scale - 0.5


def _size(corners: Any) -> float:
    """Return the longer side of a quadrangle's bounding box."""
    return float(np.ptp(corners, axis=0).max())


def _is_new(marker: _Marker, found: list[_Marker]) -> bool:
    """Return whether a marker is new: a cell of a found marker can be read as another marker."""
    middle, reach = marker[0].mean(axis=0), _size(marker[0]) / 2
    return all(np.hypot(*(middle - corners.mean(axis=0))) > reach for corners, _ in found)


def _refined(grey: Any, corners: Any) -> Any:
    """Return corners (4, 2), each moved to the intersection of its edges."""
    side = cv2.arcLength(corners.astype(np.float32), closed=True) / 4
    wanted = int(np.clip(round(side * _REFINEMENT_SHARE), *_REFINEMENT_REACH))
    reach = max(1, min(wanted, int(side * _HALF_A_CELL)))
    rough = corners.reshape(4, 1, 2).astype(np.float32)
    return cv2.cornerSubPix(grey, rough, (reach, reach), (-1, -1), _REFINEMENT_END).reshape(4, 2)


def diagonal_intersection(corners: Any) -> Any:
    """Return where the diagonals of a quadrangle (4, 2) cross: the image of the square's centre."""
    first, second, third, fourth = np.asarray(corners, dtype=float)
    sides = np.column_stack([third - first, second - fourth])
    along, _ = np.linalg.solve(sides, second - first)
    return first + along * (third - first)


def _finder(dictionary: Any) -> Callable[[Any, float], tuple[list[_Marker], list[Any]]]:
    """Return a function (grey, min_size) -> (markers, undecoded quadrangles) for this OpenCV."""
    opencv: Any = cv2.aruco
    modern = hasattr(opencv, 'ArucoDetector')  # since 4.7; Ubuntu 24.04 has 4.6
    settings = opencv.DetectorParameters() if modern else opencv.DetectorParameters_create()
    # One threshold window, about as wide as three cells: three windows take three times as long and
    # found no additional marker.
    settings.adaptiveThreshWinSizeMin = settings.adaptiveThreshWinSizeMax = 23
    # In a small marker only the middle of a cell is reliable: the rest is blurred with its
    # neighbours.
    settings.perspectiveRemovePixelPerCell = 8
    settings.perspectiveRemoveIgnoredMarginPerCell = 0.33
    # Lines fitted to a marker's sides put its corners within reach of the refinement that follows.
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_CONTOUR

    def find(grey: Any, min_size: float) -> tuple[list[_Marker], list[Any]]:
        settings.minMarkerPerimeterRate = 4 * min_size / max(grey.shape)
        if modern:
            found = opencv.ArucoDetector(dictionary, settings).detectMarkers(grey)
        else:
            found = opencv.detectMarkers(grey, dictionary, parameters=settings)
        corners, labels, unread = found
        numbers = [] if labels is None else [int(label) for label in np.ravel(labels)]
        quadrangles = [each.reshape(4, 2) for each in corners]
        markers = list(zip(quadrangles, numbers, strict=True))
        return markers, [each.reshape(4, 2) for each in unread]

    return find
