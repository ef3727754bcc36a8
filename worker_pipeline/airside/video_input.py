"""The stage that images come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import cv2
from sensor_msgs.msg import Image, TimeReference

from worker_pipeline.airside import image
from worker_pipeline.airside.cameras import Camera
from worker_pipeline.airside.cameras.device import DeviceCamera
from worker_pipeline.airside.cameras.image_folder import ImageFolderCamera
from worker_pipeline.airside.cameras.video_file import VideoFileCamera
from worker_pipeline.airside.pinhole import INTRINSICS, MOUNTING
from worker_pipeline.airside.ticks import stream_time
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage


class VideoInput(Stage):
    """A source: tick to Image (bgr8), from the camera that ``camera`` names."""

    input_type = TimeReference
    output_type = Image
    parameters: ClassVar[Mapping[str, Any]] = {
        'camera': Parameter(
            'simulated',
            'what the images come from',
            choices=('simulated', 'file', 'folder', 'device'),
        ),
        'path': Parameter(
            '', 'the file or the folder; the device (0, /dev/video0); the photograph simulated on'
        ),
        'frame_rate': Parameter(
            0.0, "of a file or folder, asked of a device; 0: the file's own, 10", '1/s', minimum=0.0
        ),
        'frame_id': Parameter('camera', "the images' frame"),
        **INTRINSICS,
        **MOUNTING,
        'seed': Parameter(1, 'of the simulated flight', minimum=0),
        'duration': Parameter(0.0, 'of the simulated flight; 0: all of it', 's', minimum=0.0),
    }

    _camera: Camera | None = None

    def configure(self) -> None:
        """Open the camera. OSError or ValueError if it is not there or not as described."""
        cv2.setNumThreads(1)
        self._camera = self._open()

    def process(self, item: Any) -> Any:
        """The image at the time the tick asks for; EndOfStream past the last."""
        assert self._camera is not None
        return image.to_message(self._camera.frame(stream_time(item)), self.params['frame_id'])

    def cleanup(self) -> None:
        """Close the camera."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _open(self) -> Camera:
        params = self.params
        if params['camera'] == 'file':
            return VideoFileCamera(params['path'], params['frame_rate'])
        if params['camera'] == 'folder':
            return ImageFolderCamera(params['path'], params['frame_rate'])
        if params['camera'] == 'device':
            size = params['width'], params['height']
            return DeviceCamera(params['path'], *size, params['frame_rate'])
        # Imported here, so that a camera on board does not load the simulation.
        from worker_pipeline.airside.cameras.simulated import SimulatedCamera

        return SimulatedCamera(params)
