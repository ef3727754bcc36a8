"""What tests of the airside share: ticks, stamps, a camera, and ground that needs no photograph."""

from __future__ import annotations

from functools import lru_cache

from builtin_interfaces.msg import Time
from sensor_msgs.msg import TimeReference

from worker_pipeline.airside.pinhole import INTRINSICS, MOUNTING, Mounting, PinholeCamera
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


@lru_cache(maxsize=1)
def reference_renderer():
    """The reference pads on synthetic ground, for the reference camera."""
    return Renderer(synthetic_ground(), REFERENCE_PADS, CAMERA)
