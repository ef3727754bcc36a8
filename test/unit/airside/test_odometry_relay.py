# SPDX-License-Identifier: Apache-2.0
"""Relaying odometry from elsewhere."""

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


def test_finite_and_newer_odometry_passes_unchanged():
    """The rest is counted and not passed on."""
    stage = OdometryRelay()
    stage.bind()
    first, later = odometry(1.0), odometry(2.0)
    assert stage.process(first) is first
    assert stage.process(odometry(1.5, x=math.nan)) is None
    assert stage.process(odometry(1.0)) is None
    assert stage.process(odometry(0.5)) is None
    assert stage.process(later) is later
    assert stage.status.values == {'not_finite': '1', 'not_newer': '2'}


def test_rejected_odometry_is_reported_until_valid_odometry_arrives():
    stage = OdometryRelay()
    stage.bind()
    stage.process(odometry(100.0))
    assert stage.process(odometry(99.98)) is None  # late, as a message occasionally is
    assert stage.status.level == 'ok'
    assert stage.process(odometry(40.0)) is None
    assert stage.status.level == 'warn'
    assert stage.status.message.endswith('was set back by 60.0 s')
    assert stage.process(odometry(100.1)) is not None
    assert stage.status.level == 'ok'
    assert stage.process(odometry(100.2, x=math.inf)) is None
    assert stage.status.message.startswith('odometry: position: found [inf')


def test_odometry_of_a_clock_that_was_set_back_passes_from_its_second_message_on():
    """As where a bag is played in a loop; a single late message changes nothing."""
    stage = OdometryRelay()
    stage.bind()
    stage.process(odometry(100.0))
    assert stage.process(odometry(40.0)) is None
    assert stage.process(odometry(100.1)) is not None
    assert stage.process(odometry(40.0)) is None
    assert stage.process(odometry(40.1)) is not None
    assert stage.process(odometry(40.2)) is not None
    assert stage.status.level == 'ok'
    assert stage.status.values['set_back'] == '1'
