# SPDX-License-Identifier: Apache-2.0
"""The stage that images come from."""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from sensor_msgs.msg import CameraInfo, Image, TimeReference

from worker_pipeline.airside.cameras import Camera, CameraFrame, FrameRequest, camera_info
from worker_pipeline.airside.cameras.device import BACKENDS, Device
from worker_pipeline.airside.cameras.frame_saver import KINDS, FrameSaver
from worker_pipeline.airside.cameras.image_folder import ImageFolder
from worker_pipeline.airside.cameras.live_camera import LiveCamera
from worker_pipeline.airside.cameras.playback import Playback
from worker_pipeline.airside.cameras.video_file import VideoFile
from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.geometry.pinhole import INTRINSICS, MOUNTING
from worker_pipeline.airside.messages import image
from worker_pipeline.context import CLOCK_JUMP, NANOSECONDS, stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

_STATE = struct.Struct('<qq')  # the last image's stamp, and the clock's offset; ns


class VideoInput(Stage[TimeReference, Image]):
    """Source stage: from ticks to Image (bgr8), from the camera that ``camera`` selects.

    An image is stamped with its time of capture and given once; stamps increase. ``camera_info``
    has the same stamp and the calibration of the camera. If the camera has nothing new, the answer
    is None, and the worker's status gives the reason.
    """

    input_type = TimeReference
    output_type = Image
    topics: ClassVar[Mapping[str, Any]] = {'camera_info': CameraInfo}
    parameters: ClassVar[Mapping[str, Any]] = {
        'camera': Parameter(
            'simulated',
            'source of the images',
            choices=('simulated', 'file', 'folder', 'device'),
        ),
        'path': Parameter(
            '',
            'file or folder; device (0, /dev/video0, an address, a GStreamer pipeline); photograph'
            ' of the simulation',
        ),
        'backend': Parameter(
            'any', 'OpenCV backend for the device; any: chosen by path', choices=tuple(BACKENDS)
        ),
        'frame_rate': Parameter(
            0.0,
            "rate of a file or folder, or requested of a device; 0: the file's own, or 10",
            '1/s',
            minimum=0.0,
        ),
        'every_frame': Parameter(
            False, 'file or folder: play every image, even if requests are late'
        ),
        'pixel_format': Parameter(
            '', 'format requested of a device: four characters, as MJPG; empty: its own'
        ),
        'wait_for_camera': Parameter(False, 'accept a device that is not connected yet'),
        'read_timeout': Parameter(
            1.0, 'longest wait for an image; less than task_timeout', 's', 0.0, 3600.0
        ),
        'latency': Parameter(
            0.0,
            'delay from capture to arrival, if the driver does not report the time',
            's',
            0.0,
            60.0,
        ),
        'frame_id': Parameter('camera', 'frame of the images'),
        **INTRINSICS,
        'calibration_file': Parameter(
            '', "file of ROS's camera_calibration (YAML); replaces the intrinsics"
        ),
        **MOUNTING,
        'save_to': Parameter('', 'folder in which images are saved; empty: none are'),
        'save_every': Parameter(1, 'save every n-th image', minimum=1),
        'save_as': Parameter('jpg', 'format of saved images', choices=tuple(KINDS)),
        'seed': Parameter(1, 'seed of the simulated flight', minimum=0),
        'duration': Parameter(
            0.0, 'duration of the simulated flight; 0: the whole flight', 's', minimum=0.0
        ),
        'flight_begin': Parameter(
            0.0,
            'start of the simulated flight, ROS time since 1970; 0: with the stream',
            's',
            minimum=0.0,
        ),
    }

    _camera: Camera | None = None
    _saver: FrameSaver | None = None

    def configure(self) -> None:
        """Open the camera. OSError or ValueError if it is missing or not as described."""
        cv2.setNumThreads(1)
        self._last = self._time = 0
        self._size_problem = self._last_warning = ''
        path = self.params['calibration_file']
        self._info = (
            camera_info.from_file(path) if path else camera_info.from_parameters(self.params)
        )
        self._camera = self._open(camera_info.image_size(self._info))
        if self._camera.size is not None and (wrong := self._size_error(self._camera.size)):
            raise ValueError(wrong)
        if self.params['save_to']:
            folder, kind, every = (self.params[f'save_{key}'] for key in ('to', 'as', 'every'))
            self._saver = FrameSaver(folder, kind, every, self.status)
        self._report_status()

    def process(self, item: TimeReference) -> Image | None:
        """Return a new image, or None; EndOfStream past the last."""
        assert self._camera is not None
        request = FrameRequest(stamp_ns(item.header.stamp), stamp_ns(item.time_ref))
        self._notice_new_stream(request)
        try:
            frame = self._camera.frame(request, self._last)
            if frame is not None and self._accepts(frame):
                return self._to_message(frame)
            return None
        finally:
            self._report_status()

    def _notice_new_stream(self, request: FrameRequest) -> None:
        """Start anew where the stream has: simulated time was set back."""
        if request.time < self._time - CLOCK_JUMP:  # less may be an item that is redelivered
            self._last = self._time = 0
            if isinstance(self._camera, Playback):
                self._camera.restart()
        self._time = max(self._time, request.time)

    def save_state(self) -> bytes:
        """Return the last stamp, and the clock offset of a live camera."""
        clock = self._camera.clock if isinstance(self._camera, LiveCamera) else None
        return _STATE.pack(self._last, clock.offset if clock else 0)

    def restore_state(self, state: bytes) -> None:
        """Restore the last stamp and the clock offset, so that no image is repeated."""
        self._last, offset = _STATE.unpack(state)
        if isinstance(self._camera, LiveCamera):
            self._camera.clock.offset = offset

    def cleanup(self) -> None:
        """Close the camera and write the images still waiting to be saved."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        if self._saver is not None:
            self._saver.close()
            self._saver = None

    def _open(self, size: tuple[int, int]) -> Camera:
        params = self.params
        path, rate, timeout = (params[key] for key in ('path', 'frame_rate', 'read_timeout'))
        every = params['every_frame']
        # Images are written into the memory they are sent from. Those that are also saved are
        # copied.
        allocate = partial(self.borrow_array, (size[1], size[0], 3))
        if params['camera'] == 'file':
            return Playback(
                VideoFile(path, rate, self.status, allocate), timeout, every_frame=every
            )
        if params['camera'] == 'folder':
            return Playback(ImageFolder(path, rate, self.status), timeout, every_frame=every)
        if params['camera'] == 'device':
            if len(params['pixel_format']) not in (0, 4):
                raise ValueError(
                    f'pixel_format: found {params["pixel_format"]!r}; allowed: four characters'
                )
            device = Device(path, params['backend'], size, rate, params['pixel_format'])
            wait = params['wait_for_camera']
            latency = params['latency']
            return LiveCamera(device, latency, timeout, self.status, wait=wait, allocate=allocate)
        # Imported here, so that a camera on board does not load the simulation.
        from worker_pipeline.airside.simulation.camera import SimulatedCamera

        return SimulatedCamera(params, allocate)

    def _size_error(self, size: tuple[int, int]) -> str:
        """Return the error for images of this size; empty if the size is the calibrated one."""
        allowed = camera_info.image_size(self._info)
        if size == allowed:
            return ''
        key = 'calibration_file' if self.params['calibration_file'] else 'width, height'
        return (
            f'{key}: found images of {size[0]}x{size[1]}; '
            f'allowed: {allowed[0]}x{allowed[1]}, as the camera is calibrated'
        )

    def _accepts(self, frame: CameraFrame) -> bool:
        self._size_problem = self._size_error(frame.size)
        if self._size_problem:
            self.status.count('unusable_images')
        return not self._size_problem

    def _to_message(self, frame: CameraFrame) -> Any:
        message = image.to_message(frame.pixels, self.params['frame_id'])
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(frame.stamp, NANOSECONDS)
        self._last = frame.stamp
        if self.topic['camera_info'].has_subscribers:
            info = copy.copy(self._info)
            info.header = message.header
            self.topic['camera_info'].publish(info)
        if self._saver is not None:
            self._saver.offer(frame)
        return message

    def _report_status(self) -> None:
        """Set the status from all current problems, and log them when they change."""
        messages = [
            self._size_problem,
            *(each.error_message for each in (self._camera, self._saver) if each),
        ]
        warning = '; '.join(each for each in messages if each)
        if self._size_problem:
            self.status.error(warning)
        elif warning:
            self.status.warn(warning)
        else:
            self.status.ok()
        if warning and warning != self._last_warning:
            self.logger.warning(warning)
        self._last_warning = warning
