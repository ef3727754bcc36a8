"""The stage that images come from."""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import cv2
from sensor_msgs.msg import CameraInfo, Image, TimeReference

from worker_pipeline.airside import image
from worker_pipeline.airside.cameras import Asked, Camera, Frame, camera_info
from worker_pipeline.airside.cameras.device import BACKENDS, Device
from worker_pipeline.airside.cameras.frame_saver import KINDS, FrameSaver
from worker_pipeline.airside.cameras.image_folder import ImageFolder
from worker_pipeline.airside.cameras.live_camera import LiveCamera
from worker_pipeline.airside.cameras.playback import Playback
from worker_pipeline.airside.cameras.video_file import VideoFile
from worker_pipeline.airside.pinhole import INTRINSICS, MOUNTING
from worker_pipeline.context import NANOSECONDS, stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

_STATE = struct.Struct('<qq')  # the last image's stamp, and the clock's offset; ns


class VideoInput(Stage):
    """A source: tick to Image (bgr8), from the camera that ``camera`` names.

    An image is stamped when it was captured, and given once: each has a later stamp than the one
    before. ``camera_info`` says the same moment, and how the camera is calibrated. Where the camera
    has nothing new there is no image; why not, the worker's status tells.
    """

    input_type = TimeReference
    output_type = Image
    topics: ClassVar[Mapping[str, Any]] = {'camera_info': CameraInfo}
    parameters: ClassVar[Mapping[str, Any]] = {
        'camera': Parameter(
            'simulated',
            'what the images come from',
            choices=('simulated', 'file', 'folder', 'device'),
        ),
        'path': Parameter(
            '',
            'the file or the folder; the device (0, /dev/video0, an address, a GStreamer pipeline);'
            ' the photograph simulated on',
        ),
        'backend': Parameter(
            'any', 'of OpenCV, that opens the device; any: as path asks', choices=tuple(BACKENDS)
        ),
        'frame_rate': Parameter(
            0.0, "of a file or folder, asked of a device; 0: the file's own, 10", '1/s', minimum=0.0
        ),
        'every_frame': Parameter(
            False, 'of a file or folder: none is left out, however late it is asked for'
        ),
        'pixel_format': Parameter(
            '', 'asked of a device: four characters, as MJPG; empty: its own'
        ),
        'wait_for_camera': Parameter(False, 'a device that is not there may come later'),
        'read_timeout': Parameter(
            1.0, 'how long an image is waited for; less than task_timeout', 's', 0.0, 3600.0
        ),
        'latency': Parameter(
            0.0,
            "from a device's capture of an image to its arrival, where the driver says no time",
            's',
            0.0,
            60.0,
        ),
        'frame_id': Parameter('camera', "the images' frame"),
        **INTRINSICS,
        'calibration_file': Parameter(
            '', "of ROS's camera_calibration (YAML); it takes the place of the intrinsics here"
        ),
        **MOUNTING,
        'save_to': Parameter('', 'the folder that images are saved to; empty: none are'),
        'save_every': Parameter(1, 'every how many images one is saved', minimum=1),
        'save_as': Parameter('jpg', 'what it is saved as', choices=tuple(KINDS)),
        'seed': Parameter(1, 'of the simulated flight', minimum=0),
        'duration': Parameter(0.0, 'of the simulated flight; 0: all of it', 's', minimum=0.0),
        'flight_begin': Parameter(
            0.0,
            'of the simulated flight, ROS time since 1970; 0: with the stream',
            's',
            minimum=0.0,
        ),
    }

    _camera: Camera | None = None
    _saver: FrameSaver | None = None

    def configure(self) -> None:
        """Open the camera. OSError or ValueError if it is not there or not as described."""
        cv2.setNumThreads(1)
        self._last = 0
        self._refusal = self._complaint = ''
        path = self.params['calibration_file']
        self._info = camera_info.of_file(path) if path else camera_info.of_parameters(self.params)
        self._camera = self._open(camera_info.size_of(self._info))
        if self._camera.size is not None and (wrong := self._other_size(self._camera.size)):
            raise ValueError(wrong)
        if self.params['save_to']:
            folder, kind, every = (self.params[f'save_{key}'] for key in ('to', 'as', 'every'))
            self._saver = FrameSaver(folder, kind, every, self.status)
        self._tell()

    def process(self, item: Any) -> Any:
        """A new image, or None; EndOfStream past the last."""
        assert self._camera is not None
        asked = Asked(stamp_ns(item.header.stamp), stamp_ns(item.time_ref))
        try:
            frame = self._camera.frame(asked, self._last)
            if frame is not None and self._accepts(frame):
                return self._give(frame)
            return None
        finally:
            self._tell()

    def save_state(self) -> bytes:
        """What was given last, and what time it is for a live camera."""
        clock = self._camera.clock if isinstance(self._camera, LiveCamera) else None
        return _STATE.pack(self._last, clock.offset if clock else 0)

    def restore_state(self, state: bytes) -> None:
        """Give nothing again."""
        self._last, offset = _STATE.unpack(state)
        if isinstance(self._camera, LiveCamera):
            self._camera.clock.offset = offset

    def cleanup(self) -> None:
        """Close the camera; save what is to be saved."""
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
        # Where they are sent from: without a copy, but of those that are saved, too.
        room = partial(self.borrow_array, (size[1], size[0], 3))
        if params['camera'] == 'file':
            return Playback(VideoFile(path, rate, self.status, room), timeout, every_frame=every)
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
            return LiveCamera(device, latency, timeout, self.status, wait=wait, room=room)
        # Imported here, so that a camera on board does not load the simulation.
        from worker_pipeline.airside.cameras.simulated import SimulatedCamera

        return SimulatedCamera(params, room)

    def _other_size(self, size: tuple[int, int]) -> str:
        """What is wrong with images of this size; empty if nothing is."""
        allowed = camera_info.size_of(self._info)
        if size == allowed:
            return ''
        key = 'calibration_file' if self.params['calibration_file'] else 'width, height'
        return (
            f'{key}: found images of {size[0]}x{size[1]}; '
            f'allowed: {allowed[0]}x{allowed[1]}, as the camera is calibrated'
        )

    def _accepts(self, frame: Frame) -> bool:
        self._refusal = self._other_size(frame.size)
        if self._refusal:
            self.status.count('refused')
        return not self._refusal

    def _give(self, frame: Frame) -> Any:
        message = image.to_message(frame.pixels, self.params['frame_id'])
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(frame.stamp, NANOSECONDS)
        self._last = frame.stamp
        if self.topic['camera_info'].is_heard:
            info = copy.copy(self._info)
            info.header = message.header
            self.topic['camera_info'].publish(info)
        if self._saver is not None:
            self._saver.offer(frame)
        return message

    def _tell(self) -> None:
        """Say what is not as it should be; log what is new of it."""
        troubles = [self._refusal, *(each.trouble for each in (self._camera, self._saver) if each)]
        complaint = '; '.join(each for each in troubles if each)
        if self._refusal:
            self.status.error(complaint)
        elif complaint:
            self.status.warn(complaint)
        else:
            self.status.ok()
        if complaint and complaint != self._complaint:
            self.logger.warning(complaint)
        self._complaint = complaint
