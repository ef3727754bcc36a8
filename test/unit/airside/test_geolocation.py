"""What was seen, placed on the ground."""

from __future__ import annotations

import logging
import math

import numpy as np
import pymap3d
import pytest
from flown import CAMERA, MOUNTED, answer, ready, stamp_at, tick

from worker_pipeline import ContextBuffer
from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.pinhole import CameraPose
from worker_pipeline.airside.records import DETECTION
from worker_pipeline.simulation.flight import SimulatedFlight


@pytest.fixture
def odometry():
    """Ten seconds of the flight, every 50 ms."""
    buffer = ContextBuffer()
    stage = ready(FlightInterface())
    for step in range(201):
        buffer.add(answer(stage, tick(step * 0.05)))
    return buffer


def seen(pixels, time, label=7):
    records = np.zeros(len(pixels), DETECTION)
    if len(pixels):
        records['u'], records['v'] = np.transpose(pixels)
    records['label'], records['confidence'] = label, 0.75
    message = point_cloud.to_message(records, 'camera')
    message.header.stamp = stamp_at(time)
    return message


def located(stage, message):
    return point_cloud.from_message(stage.process(message))


def test_a_point_on_the_ground_is_placed_there(odometry):
    """At a time between two odometry messages; the error left is the interpolation's."""
    time = 4.325
    pose = CameraPose.of(SimulatedFlight().state(time).pose, MOUNTED)
    truth = pose.on_plane(CAMERA.rays([[100, 100], [1800, 200], [960, 1100]]), 0.0, 0.1)
    message = seen(pose.pixels_of(CAMERA, truth), time)
    found = located(ready(Geolocation(), {'max_wait': 0.0}, {'odometry': odometry}), message)
    np.testing.assert_allclose(found['x'], truth[:, 0], atol=0.01)
    np.testing.assert_allclose(found['y'], truth[:, 1], atol=0.01)
    assert (found['z'] == 0).all()
    assert (found['label'] == 7).all()
    assert (found['confidence'] == 0.75).all()


def test_latitude_and_longitude_are_of_the_same_point(odometry):
    origin = {'origin_latitude': -33.0, 'origin_longitude': 151.0, 'origin_altitude': 40.0}
    params = {'max_wait': 0.0, 'ground_height': 3.0, **origin}
    stage = ready(Geolocation(), params, {'odometry': odometry})
    (point,) = located(stage, seen([[200, 300]], 5.0))
    assert point['z'] == 3.0
    east, north, up = pymap3d.geodetic2enu(
        point['latitude'], point['longitude'], 43.0, *origin.values()
    )
    assert east == pytest.approx(point['x'], abs=0.001)
    assert north == pytest.approx(point['y'], abs=0.001)
    assert up == pytest.approx(3.0, abs=0.01)


def test_a_detection_that_misses_the_ground_drops_out_alone(odometry):
    """The camera is mounted looking at the horizon: the upper half of the image is sky."""
    level = {'mounting_attitude': [0.0, 0.0, 0.0], 'max_wait': 0.0, 'min_descent': 0.01}
    stage = ready(Geolocation(), level, {'odometry': odometry})
    found = located(stage, seen([[960, 0], [960, 1199]], 5.0))
    assert len(found) == 1
    assert math.hypot(found['x'][0], found['y'][0]) > 50.0


def test_nothing_seen_is_nothing_placed_and_waits_for_nothing():
    stage = ready(Geolocation(), {'max_wait': 60.0})
    message = stage.process(seen([], 5.0))
    assert message.width == 0
    assert message.header.frame_id == 'map'


def test_without_a_pose_nothing_is_placed_and_the_log_says_so(odometry, caplog):
    stage = ready(Geolocation(), {'max_wait': 0.0}, {'odometry': odometry})
    with caplog.at_level(logging.WARNING):
        assert len(located(stage, seen([[960, 600]], 30.0))) == 0
    assert '1 detections not placed: the nearest odometry is 20.000 s away' in caplog.text


def test_a_pose_that_is_no_number_places_nothing(odometry, caplog):
    broken = odometry.latest()
    broken.pose.pose.orientation.w = math.nan
    stage = ready(Geolocation(), {'max_wait': 0.0}, {'odometry': odometry})
    assert len(located(stage, seen([[960, 600]], 10.0))) == 0
    assert 'not placed: found' in caplog.text
