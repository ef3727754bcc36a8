"""Odometry of others, passed on."""

from __future__ import annotations

import math

from flown import stamp_at
from nav_msgs.msg import Odometry

from worker_pipeline.airside.odometry_relay import OdometryRelay


def odometry(seconds, x=1.0):
    message = Odometry(child_frame_id='base_link')
    message.header.stamp = stamp_at(seconds)
    message.pose.pose.position.x = x
    message.pose.pose.orientation.w = 1.0
    return message


def test_what_is_finite_and_newer_passes_as_it_is():
    """The rest is counted and gives nothing."""
    stage = OdometryRelay()
    stage.bind()
    first, later = odometry(1.0), odometry(2.0)
    assert stage.process(first) is first
    assert stage.process(odometry(1.5, x=math.nan)) is None
    assert stage.process(odometry(1.0)) is None
    assert stage.process(odometry(0.5)) is None
    assert stage.process(later) is later
    assert stage.status.values == {'not_finite': '1', 'not_newer': '2'}
