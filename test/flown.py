# SPDX-License-Identifier: Apache-2.0
"""Helpers for the airside tests: ticks, stamps, a camera, and ground without a photograph."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import TimeReference

from worker_pipeline import ContextBuffer
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geometry.pinhole import INTRINSICS, MOUNTING, Mounting, PinholeCamera
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import DETECTION
from worker_pipeline.airside.projection.ground import FlatGround
from worker_pipeline.airside.simulation.imagery import synthetic_ground
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS
from worker_pipeline.airside.simulation.renderer import Renderer
from worker_pipeline.parameter import check_parameters

BEGINNING = 1_700_000_000  # s, when every stream in the tests begins

CAMERA = PinholeCamera.from_params(check_parameters(INTRINSICS, {}))
MOUNTED = Mounting.from_params(check_parameters(MOUNTING, {}))


def stamp_at(seconds):
    """Return the stamp of an item ``seconds`` after the stream began."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=BEGINNING + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def tick(seconds):
    """Return the tick of a source ``seconds`` after the stream began."""
    nanoseconds = round(seconds * 1e9)
    asked = TimeReference(source='tick')
    asked.header.stamp = stamp_at(seconds)
    asked.time_ref = Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return asked


def process_stamped(stage, item):
    """Return a stage's answer to an item, stamped as a worker would."""
    output = stage.process(item)
    output.header.stamp = item.header.stamp
    return output


def configured(stage, params=None, context=None):
    """Return a stage, bound and configured."""
    stage.bind(params, context)
    stage.configure()
    return stage


def flown_odometry(begin=0.0, end=10.0, period=0.05):
    """Return a context with the simulated flight's odometry between two times, s."""
    buffer = ContextBuffer(capacity=4096)
    source = configured(FlightInterface())
    for step in range(round((end - begin) / period) + 1):
        buffer.add(process_stamped(source, tick(begin + step * period)))
    return buffer


def detections_at(pixels, time, label=7):
    """Return the detections of an image with targets at these pixels."""
    records = np.zeros(len(pixels), DETECTION)
    if len(pixels):
        records['u'], records['v'] = np.transpose(pixels)
    records['label'], records['confidence'] = label, 0.75
    message = point_cloud.to_message(records, 'camera')
    message.header.stamp = stamp_at(time)
    return message


def on_ground(pose, pixels, camera=CAMERA, height=0.0):
    """Return where a camera's pixels (N, 2) lie on flat ground: (N, 3), m; or NaN."""
    ground = FlatGround(height)
    directions = pose.directions(camera.rays(pixels))
    return np.array([ground.intersect(pose.position, each) for each in directions])


@lru_cache(maxsize=1)
def reference_renderer():
    """Return a renderer of the reference pads on synthetic ground for the reference camera."""
    return Renderer(synthetic_ground(), REFERENCE_PADS, CAMERA)
