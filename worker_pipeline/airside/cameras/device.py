# SPDX-License-Identifier: Apache-2.0
"""Opening a live camera through OpenCV."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.context import NANOSECONDS

BACKENDS = {
    'any': cv2.CAP_ANY,
    'v4l2': cv2.CAP_V4L2,
    'gstreamer': cv2.CAP_GSTREAMER,
    'ffmpeg': cv2.CAP_FFMPEG,
}
# Greatest age of a frame that waits in the driver. A stamp from another clock would be much older,
# or in the future.
_MAX_AGE = 5 * NANOSECONDS


@attrs.frozen
class Device:
    """A camera device and the settings requested of it.

    ``path``: a number, a path, an address, or a GStreamer pipeline. ``backend``: a key of
    ``BACKENDS``. ``size``: columns and rows; ``rate``: frames/s, 0 for the device's own;
    ``pixel_format``: four characters, empty for the device's own. A pipeline contains these
    settings itself.
    """

    path: str
    backend: str
    size: tuple[int, int]
    rate: float = 0.0
    pixel_format: str = ''

    def open(self) -> cv2.VideoCapture:
        """Open the device. OSError if it cannot be opened or gives images of another size."""
        if not self.path:
            raise OSError(
                "path: found ''; allowed: a camera's number, path or address, or a GStreamer "
                'pipeline'
            )
        backend = self._backend()
        if backend != 'any' and not cv2.videoio_registry.hasBackend(BACKENDS[backend]):
            raise OSError(
                f'backend: found {backend!r}, for {self.path!r}, which this OpenCV '
                f'({cv2.__version__}) was built without; allowed: {", ".join(_available())}'
            )
        path = int(self.path) if self.path.isdigit() else self.path
        capture = cv2.VideoCapture(path, BACKENDS[backend])
        if not capture.isOpened():
            raise OSError(
                f'path: {self.path!r} is not a camera that OpenCV can open{self._open_problem()}'
            )
        if backend == 'v4l2':
            self._apply_settings(capture)
        self._check_size(capture)
        return capture

    def _backend(self) -> str:
        if self.backend != 'any':
            return self.backend
        # With 'any', OpenCV tries each backend and prints that it failed.
        if '!' in self.path:
            return 'gstreamer'
        return 'v4l2' if self._device_node() else 'any'

    def _device_node(self) -> str:
        path = f'/dev/video{self.path}' if self.path.isdigit() else self.path
        return path if path.startswith('/dev/') else ''

    def _open_problem(self) -> str:
        node = self._device_node()
        if not node:
            return ''
        if not Path(node).exists():
            return f': there is no {node}'
        if not os.access(node, os.R_OK | os.W_OK):
            return f': no permission for {node}; members of the group video have it'
        return f': {node} is in use or gives no images'

    def _apply_settings(self, capture: cv2.VideoCapture) -> None:
        # The format first: the possible sizes and rates depend on it.
        if self.pixel_format:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self.pixel_format))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.size[1])
        if self.rate > 0:
            capture.set(cv2.CAP_PROP_FPS, self.rate)

    def _check_size(self, capture: cv2.VideoCapture) -> None:
        width = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        # A backend that does not know yet returns 0.
        if width > 0 and height > 0 and (width, height) != self.size:
            capture.release()
            raise OSError(
                f'width, height: {self.path!r} gives images of {width}x{height}; '
                f'allowed: {self.size[0]}x{self.size[1]}, as the camera is calibrated'
            )


def capture_time(capture: cv2.VideoCapture, now: int) -> int | None:
    """Return the driver's capture time of the frame just grabbed: steady time, ns.

    None if the driver does not report one, or uses another clock. ``now``: steady time, ns.
    """
    if capture.getBackendName() != 'V4L2':
        return None  # other backends return the position in the stream
    time = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
    return time if 0 <= now - time <= _MAX_AGE else None


def _available() -> list[str]:
    return [
        repr(name)
        for name, code in BACKENDS.items()
        if code == cv2.CAP_ANY or cv2.videoio_registry.hasBackend(code)
    ]
