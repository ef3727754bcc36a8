"""Finds square ArUco markers; a detection's label is the marker's number.

Garrido-Jurado et al., "Automatic generation and detection of highly reliable fiducial markers under
occlusion" (2014), as OpenCV has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import DETECTION
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'aruco_dictionary': Parameter('DICT_4X4_50', "name of one of OpenCV's dictionaries"),
    'aruco_search_scale': Parameter(
        0.5, 'markers are looked for in an image of this scale', minimum=0.1, maximum=1.0
    ),
    'aruco_min_size': Parameter(20.0, 'smallest side of a marker', 'pixel', minimum=4.0),
}

# Corners (4, 2) in pixels, and the number.
_Marker = tuple[Any, int]

# Half the width of the patch a corner is refined in, as a share of the marker's side and in pixels:
# enough where the image is blurred, but of a small marker no more than half a cell, so that only
# the one corner is in it.
_REFINEMENT_SHARE = 1 / 20
_REFINEMENT_REACH = (3, 10)
_HALF_A_CELL = 1 / 12
_REFINEMENT_END = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)
# A quadrangle no larger than this (pixels) whose number cannot be read in the reduced image is read
# once more in the full one; of so many at most, that a motley scene does not take for ever.
_LARGEST_REREAD = 100.0
_MOST_REREAD = 20
# What is read then: the quadrangle and so much around it, as a share of its size.
_MARGIN = 0.3


class ArucoDetector(Detector):
    """Looks for markers in a reduced image, then refines their corners in the full one.

    That takes a quarter of the time of a search at full size, and the corners are as good.
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
        """The markers in an image, one record each; their centre is where the diagonals cross."""
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        found = self._search(grey)
        detections = np.zeros(len(found), DETECTION)
        for record, (corners, label) in zip(detections, found, strict=True):
            refined = _refined(grey, corners)
            record['x1'], record['y1'] = refined.min(axis=0)
            record['x2'], record['y2'] = refined.max(axis=0)
            record['u'], record['v'] = crossing_of_diagonals(refined)
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
        for corners in [each for each in doubtful if _size(each) <= _LARGEST_REREAD][:_MOST_REREAD]:
            found += [each for each in self._reread(grey, corners) if _is_new(each, found)]
        return found

    def _reread(self, grey: Any, corners: Any) -> list[_Marker]:
        """The markers in the full image about a quadrangle."""
        margin = _MARGIN * _size(corners)
        left, top = np.maximum(0, np.floor(corners.min(axis=0) - margin)).astype(int)
        right, bottom = np.ceil(corners.max(axis=0) + margin).astype(int) + 1
        part = np.ascontiguousarray(grey[top:bottom, left:right])
        corner = np.array([left, top])
        return [(corner + each, label) for each, label in self._find(part, self._min_size)[0]]


def _enlarged(corners: Any, scale: float) -> Any:
    """From a reduced image to the full one: a pixel's middle is its coordinate in either."""
    return (corners + 0.5) / scale - 0.5


def _size(corners: Any) -> float:
    """The longer side of a quadrangle's box."""
    return float(np.ptp(corners, axis=0).max())


def _is_new(marker: _Marker, found: list[_Marker]) -> bool:
    """Whether a marker is none of those found, which the quadrangle of one of its cells gives."""
    middle, reach = marker[0].mean(axis=0), _size(marker[0]) / 2
    return all(np.hypot(*(middle - corners.mean(axis=0))) > reach for corners, _ in found)


def _refined(grey: Any, corners: Any) -> Any:
    """Corners (4, 2), each moved to where the edges about it cross."""
    side = cv2.arcLength(corners.astype(np.float32), closed=True) / 4
    wanted = int(np.clip(round(side * _REFINEMENT_SHARE), *_REFINEMENT_REACH))
    reach = max(1, min(wanted, int(side * _HALF_A_CELL)))
    rough = corners.reshape(4, 1, 2).astype(np.float32)
    return cv2.cornerSubPix(grey, rough, (reach, reach), (-1, -1), _REFINEMENT_END).reshape(4, 2)


def crossing_of_diagonals(corners: Any) -> Any:
    """Where the diagonals of a quadrangle (4, 2) cross: the image of a square's own middle."""
    first, second, third, fourth = np.asarray(corners, dtype=float)
    sides = np.column_stack([third - first, second - fourth])
    along, _ = np.linalg.solve(sides, second - first)
    return first + along * (third - first)


def _finder(dictionary: Any) -> Callable[[Any, float], tuple[list[_Marker], list[Any]]]:
    """A function (grey, min_size) -> (markers, quadrangles not read), for the OpenCV there is."""
    opencv: Any = cv2.aruco
    modern = hasattr(opencv, 'ArucoDetector')  # since 4.7; Ubuntu 24.04 has 4.6
    settings = opencv.DetectorParameters() if modern else opencv.DetectorParameters_create()
    # One threshold window, about as wide as three cells: three windows take three times as long
    # and found no marker more.
    settings.adaptiveThreshWinSizeMin = settings.adaptiveThreshWinSizeMax = 23
    # Of a small marker's cells, only the middle tells: the rest is blurred with what is beside it.
    settings.perspectiveRemovePixelPerCell = 8
    settings.perspectiveRemoveIgnoredMarginPerCell = 0.33
    # Lines through a marker's sides put its corners within reach of the refinement that follows.
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
