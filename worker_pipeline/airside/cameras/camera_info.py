# SPDX-License-Identifier: Apache-2.0
"""The calibration of a camera as ``sensor_msgs/CameraInfo``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from sensor_msgs.msg import CameraInfo

from worker_pipeline.airside.geometry.pinhole import PinholeCamera

PLUMB_BOB = 'plumb_bob'
# The number of coefficients of each distortion model.
_COEFFICIENTS = {PLUMB_BOB: 5, 'rational_polynomial': 8, 'equidistant': 4}
_IDENTITY = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def from_parameters(params: Mapping[str, Any]) -> Any:
    """Return the CameraInfo for a stage's ``pinhole.INTRINSICS``. ValueError: an invalid value."""
    camera = PinholeCamera.from_params(params)
    lens = [float(each) for each in params['distortion']]
    if len(lens) != 5 or not all(map(math.isfinite, lens)):
        raise ValueError(f'distortion: found {lens}; allowed: 5 finite numbers')
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    return CameraInfo(
        width=camera.width,
        height=camera.height,
        distortion_model=PLUMB_BOB,
        d=lens,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=_IDENTITY,
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def from_file(path: str) -> Any:
    """Return the CameraInfo in a file of ROS's camera_calibration.

    OSError if it cannot be read, ValueError if its content is invalid; both name the problem.
    """
    try:
        found = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise OSError(f'calibration_file: {error}') from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'calibration_file: {path}: not YAML: {error}') from None
    return _read(_Entries(path, found))


def image_size(info: Any) -> tuple[int, int]:
    """Return columns and rows."""
    return info.width, info.height


def _read(entries: _Entries) -> Any:
    model = entries.get('distortion_model')
    if not isinstance(model, str) or model not in _COEFFICIENTS:
        entries.refuse('distortion_model', model, f'one of {", ".join(_COEFFICIENTS)}')
    info = CameraInfo(
        width=entries.size('image_width'),
        height=entries.size('image_height'),
        distortion_model=model,
        d=entries.matrix('distortion_coefficients', _COEFFICIENTS[model]),
        k=entries.matrix('camera_matrix', 9),
        r=entries.matrix('rectification_matrix', 9),
        p=entries.matrix('projection_matrix', 12),
    )
    fx, fy = info.k[0], info.k[4]
    if not (fx > 0 and fy > 0):
        entries.refuse('camera_matrix', [*map(float, info.k)], 'focal lengths above 0')
    return info


class _Entries:
    """The entries of a calibration file, validated when they are read."""

    def __init__(self, path: str, found: Any) -> None:
        self._path = path
        self._found = found if isinstance(found, dict) else {}

    def get(self, name: str) -> Any:
        if name not in self._found:
            raise ValueError(f'calibration_file: {self._path}: {name} is missing')
        return self._found[name]

    def size(self, name: str) -> int:
        value = self.get(name)
        if type(value) is not int or not 0 < value < 2**31:
            self.refuse(name, value, 'a number of pixels')
        return int(value)

    def matrix(self, name: str, count: int) -> list[float]:
        value = self.get(name)
        data = value.get('data') if isinstance(value, dict) else None
        if (
            not isinstance(data, list)
            or len(data) != count
            or not all(type(each) in (int, float) and math.isfinite(each) for each in data)
        ):
            self.refuse(name, data, f'data: {count} finite numbers')
        return [float(each) for each in data or ()]

    def refuse(self, name: str, found: Any, allowed: str) -> None:
        raise ValueError(
            f'calibration_file: {self._path}: {name}: found {found!r}; allowed: {allowed}'
        )
