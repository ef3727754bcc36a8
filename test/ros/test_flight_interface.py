# SPDX-License-Identifier: Apache-2.0
"""The stage in a worker, on a real link with a vehicle that flies in real time."""

from __future__ import annotations

import signal

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import NavSatFix
from support.vehicles import vehicle_process

from worker_pipeline.airside.messages.odometry_pose import pose_of
from worker_pipeline.airside.mission.ports import free_port
from worker_pipeline.airside.simulation.autopilot import SECONDS
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.context import stamp_ns
from worker_pipeline.testing import wait_for

WORKER = 'flight_interface/worker_0'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def configuration(address):
    return {
        'stages': ['flight_interface', 'relay'],
        'flight_interface': {
            'plugin': 'worker_pipeline.airside.flight_interface:FlightInterface',
            'period': 0.02,
            'params': {'source': 'mavlink', 'address': address, 'silence': 0.5},
        },
        'relay': {
            'plugin': 'worker_pipeline.airside.odometry_relay:OdometryRelay',
            'input': 'flight_interface',
            'queue_size': 1000,
        },
    }


def test_a_worker_killed_in_flight_is_replaced_and_continues(start, observer):
    """Positions stay correct and stamps increase; then the vehicle becomes silent."""
    port = free_port()
    manager = start(configuration(f'udpin:127.0.0.1:{port}'))
    answers = observer.collect('flight_interface/output', Odometry)
    relayed = observer.collect('relay/output', Odometry)
    observer.wait_until_active('flight_interface', 1)
    observer.wait_until_active('relay', 1)
    flight = SimulatedFlight()
    with vehicle_process(f'udpout:127.0.0.1:{port}') as (vehicle, begin):
        wait_for(lambda: len(answers) > 50, '50 answers', seen=manager.show)
        victim = observer.kill(WORKER)
        observer.wait_until_replaced(WORKER, victim)
        before = len(answers)
        wait_for(lambda: len(answers) > before + 50, '50 answers more', seen=manager.show)
        homes = []
        observer.node.create_subscription(
            NavSatFix, '/airside/flight_interface/home', homes.append, LATCHED
        )
        wait_for(lambda: homes, 'home, told before', seen=manager.show)
        assert round(homes[0].latitude, 6) == 44.959366
        vehicle.send_signal(signal.SIGKILL)
        link = f'udpin:127.0.0.1:{port}'
        observer.wait_for_status(WORKER, DiagnosticStatus.WARN, f'{link} is silent for')
    stamps = np.array([stamp_ns(each.header.stamp) for each in answers])
    assert np.diff(stamps).min() > 0
    off = [
        np.linalg.norm(pose_of(each).position - flight.state((at - begin) / SECONDS).pose.position)
        for each, at in zip(answers, stamps.tolist(), strict=True)
    ]
    # Until both clocks are estimated, the first states are inaccurate; a hundredth of a second is
    # 0.12 m, which a loaded machine may take.
    assert max(off[20:]) < 1.0, [round(float(each), 3) for each in off if each > 0.1]
    wait_for(lambda: len(relayed) == len(answers), 'all of them from the relay')
