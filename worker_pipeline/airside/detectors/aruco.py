"""Finds square ArUco markers; a detection's label is the marker's number.

Garrido-Jurado et al., "Automatic generation and detection of highly reliable fiducial markers under
occlusion" (2014), as OpenCV has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

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

# Half the width, in pixels, of the patch a corner is refined in: less than a cell of a marker that
# is near the smallest one read, so that only the one corner is in it.
_REFINEMENT_REACH = 3
_REFINEMENT_END = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)


class ArucoDetector:
    """Looks for markers in a reduced image, then refines their corners in the full one.

    That takes half the time of a search at full size, and the corners are as good.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        name = params['aruco_dictionary']
        code = getattr(cv2.aruco, name, None) if name.startswith('DICT_') else None
        if code is None:
            known = ', '.join(sorted(each for each in dir(cv2.aruco) if each.startswith('DICT_')))
            raise ValueError(f'aruco_dictionary: found {name!r}; allowed: one of {known}')
        self._scale = float(params['aruco_search_scale'])
        self._min_size = float(params['aruco_min_size'])
        self._find = _finder(code)

    def detect(self, pixels: Pixels) -> Records:
        """The markers in an image, one record each; their centre is where the diagonals cross."""
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        scale = self._scale
        small = grey
        if scale != 1.0:
            small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        min_perimeter = 4 * self._min_size * scale / max(small.shape)
        found, labels = self._find(small, min_perimeter)
        detections = np.zeros(len(found), DETECTION)
        for record, corners, label in zip(detections, found, labels, strict=True):
            # A pixel's middle is its coordinate, in the small image as in the full one.
            full = ((corners.reshape(4, 1, 2) + 0.5) / scale - 0.5).astype(np.float32)
            reach = (_REFINEMENT_REACH, _REFINEMENT_REACH)
            refined = cv2.cornerSubPix(grey, full, reach, (-1, -1), _REFINEMENT_END).reshape(4, 2)
            record['x1'], record['y1'] = refined.min(axis=0)
            record['x2'], record['y2'] = refined.max(axis=0)
            record['u'], record['v'] = crossing_of_diagonals(refined)
            record['label'] = label
            record['confidence'] = 1.0
        return detections


def crossing_of_diagonals(corners: Any) -> Any:
    """Where the diagonals of a quadrangle (4, 2) cross: the image of a square's own middle."""
    first, second, third, fourth = np.asarray(corners, dtype=float)
    sides = np.column_stack([third - first, second - fourth])
    along, _ = np.linalg.solve(sides, second - first)
    return first + along * (third - first)


def _finder(code: int) -> Any:
    """A function (grey, min_perimeter) -> (corners, labels), for the OpenCV there is.

    ``min_perimeter`` is a share of the image's longer side.
    """
    dictionary = cv2.aruco.getPredefinedDictionary(code)
    opencv: Any = cv2.aruco
    modern = hasattr(opencv, 'ArucoDetector')  # since 4.7; Ubuntu 24.04 has 4.6
    settings = opencv.DetectorParameters() if modern else opencv.DetectorParameters_create()
    # One threshold window, about as wide as three cells: three windows take three times as long
    # and found no marker more.
    settings.adaptiveThreshWinSizeMin = settings.adaptiveThreshWinSizeMax = 23
    # Lines through a marker's sides put its corners within reach of the refinement that follows.
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_CONTOUR

    def find(grey: Any, min_perimeter: float) -> tuple[list[Any], list[int]]:
        settings.minMarkerPerimeterRate = min_perimeter
        if modern:
            corners, labels, _ = opencv.ArucoDetector(dictionary, settings).detectMarkers(grey)
        else:
            corners, labels, _ = opencv.detectMarkers(grey, dictionary, parameters=settings)
        return list(corners), [] if labels is None else [int(label) for label in np.ravel(labels)]

    return find
