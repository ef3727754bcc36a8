"""What tests of the airside share: ticks, stamps, a camera, and ground that needs no photograph."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import TimeReference

from worker_pipeline import ContextBuffer
from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.pinhole import INTRINSICS, MOUNTING, Mounting, PinholeCamera
from worker_pipeline.airside.placing.ground import FlatGround
from worker_pipeline.airside.records import DETECTION
from worker_pipeline.parameter import check_parameters
from worker_pipeline.simulation.imagery import synthetic_ground
from worker_pipeline.simulation.pads import REFERENCE_PADS
from worker_pipeline.simulation.renderer import Renderer

BEGINNING = 1_700_000_000  # s, when every stream in the tests begins

CAMERA = PinholeCamera.of(check_parameters(INTRINSICS, {}))
MOUNTED = Mounting.of(check_parameters(MOUNTING, {}))


def stamp_at(seconds):
    """The stamp of an item, ``seconds`` after the stream began."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=BEGINNING + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def tick(seconds):
    """What a source is asked ``seconds`` after the stream began."""
    nanoseconds = round(seconds * 1e9)
    asked = TimeReference(source='tick')
    asked.header.stamp = stamp_at(seconds)
    asked.time_ref = Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return asked


def answer(stage, item):
    """What a stage answers to an item, stamped as the worker would."""
    output = stage.process(item)
    output.header.stamp = item.header.stamp
    return output


def ready(stage, params=None, context=None):
    """A stage, bound and configured."""
    stage.bind(params, context)
    stage.configure()
    return stage


def flown_odometry(begin=0.0, end=10.0, period=0.05):
    """A context with the simulated flight's odometry between two times, s."""
    buffer = ContextBuffer(capacity=4096)
    source = ready(FlightInterface())
    for step in range(round((end - begin) / period) + 1):
        buffer.add(answer(source, tick(begin + step * period)))
    return buffer


def seen(pixels, time, label=7):
    """The detections of an image: targets at these pixels."""
    records = np.zeros(len(pixels), DETECTION)
    if len(pixels):
        records['u'], records['v'] = np.transpose(pixels)
    records['label'], records['confidence'] = label, 0.75
    message = point_cloud.to_message(records, 'camera')
    message.header.stamp = stamp_at(time)
    return message


def on_ground(pose, pixels, camera=CAMERA, height=0.0):
    """Where pixels (N, 2) of a camera that is there lie on flat ground: (N, 3), m; NaN: nowhere."""
    ground = FlatGround(height)
    directions = pose.directions(camera.rays(pixels))
    return np.array([ground.meet(pose.position, each) for each in directions])


@lru_cache(maxsize=1)
def reference_renderer():
    """The reference pads on synthetic ground, for the reference camera."""
    return Renderer(synthetic_ground(), REFERENCE_PADS, CAMERA)
