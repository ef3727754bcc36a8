# SPDX-License-Identifier: Apache-2.0
"""The stage and a vehicle at both ends of a real link, in real time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import threading
import time
from collections import Counter

import numpy as np
import pytest
from flown import tick
from support.autopilots import EXACT
from support.vehicles import vehicle_process

from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.mavlink.odometry_source import Clocks, MavlinkOdometrySource
from worker_pipeline.airside.messages.odometry_pose import pose_of
from worker_pipeline.airside.mission.ports import free_port
from worker_pipeline.airside.simulation.autopilot import SECONDS, BootClock, SimulatedAutopilot
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.vehicle import AutopilotServer
from worker_pipeline.context import stamp_ns
from worker_pipeline.parameter import ParameterError
from worker_pipeline.testing import wait_for

FLIGHT = SimulatedFlight()


@contextlib.contextmanager
def listening(**params):
    """Yield an active stage."""
    stage = FlightInterface()
    stage.bind({'source': 'mavlink', **params})
    stage.configure()
    stage.activate()
    try:
        yield stage
    finally:
        stage.deactivate()


@contextlib.contextmanager
def flying(address, begin=None, uptime=30.0):
    """Yield a vehicle with exact measurements."""
    now = time.time_ns()
    clock = BootClock(now, round(uptime * 1e6))
    autopilot = SimulatedAutopilot(FLIGHT, begin or now, clock, noise=EXACT)
    vehicle = AutopilotServer(autopilot, address)
    thread = threading.Thread(target=vehicle.run)
    thread.start()
    try:
        yield autopilot
    finally:
        vehicle.stop()
        thread.join()


def receive(stage, count, timeout=10.0):
    """Return this many answers of the stage, polled at its rate."""
    answers = []

    def enough():
        answer = stage.process(tick(0.0))
        if answer is not None:
            answers.append(answer)
        return len(answers) >= count

    wait_for(enough, f'{count} answers', timeout, lambda: (len(answers), stage.status.snapshot()))
    return answers


def stamps(answers):
    return [stamp_ns(each.header.stamp) for each in answers]


def assert_true(answers, autopilot, metres):
    for answer in answers:
        truth = autopilot.truth(stamp_ns(answer.header.stamp))
        away = np.linalg.norm(pose_of(answer).position - truth.pose.position)
        assert away < metres, f'{away:.3f} m'


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['UDP', 'TCP', 'TCP to us', 'serial'])
def test_odometry_from_a_real_link_is_that_of_the_flight(kind):
    """At the vehicle's rate, and where the vehicle was at the time of the stamp."""
    udp, tcp = free_port(), free_port(socket.SOCK_STREAM)
    ours, theirs = {
        'UDP': (f'udpin:127.0.0.1:{udp}', f'udpout:127.0.0.1:{udp}'),
        'TCP': (f'tcp:127.0.0.1:{tcp}', f'tcpin:127.0.0.1:{tcp}'),
        'TCP to us': (f'tcpin:127.0.0.1:{tcp}', f'tcp:127.0.0.1:{tcp}'),
        'serial': ('', ''),
    }[kind]
    with contextlib.ExitStack() as stack:
        if kind == 'serial':
            ours, theirs = stack.enter_context(null_modem())
        autopilot = stack.enter_context(flying(theirs))
        stage = stack.enter_context(listening(address=ours))
        receive(stage, 10)
        answers = receive(stage, 40)
        # A millisecond is 12 mm; on a busy machine we may read some later.
        assert_true(answers, autopilot, 0.25)
        assert np.diff(stamps(answers)).min() > 0
        rate = (len(answers) - 1) / (stamps(answers)[-1] - stamps(answers)[0]) * SECONDS
        # The requested rate, not the default of 4 per second; fewer on a busy machine.
        assert 10 < rate < 55
        wait_for(lambda: stage.process(tick(0.0)) and stage.topic['home'].messages, 'home')
        assert len(stage.topic['home'].messages) == 1
        assert stage.topic['home'].messages[0].latitude == pytest.approx(44.95936602, abs=1e-6)
        assert stage.status.level == 'ok'
        assert stage.status.values['odometry_from'] == 'ODOMETRY'


@contextlib.contextmanager
def null_modem():
    """Two connected pseudo-terminals."""
    ends = [os.openpty() for _ in range(2)]
    names = [os.ttyname(device) for _, device in ends]
    masters = [master for master, _ in ends]
    stopping = threading.Event()

    def carry():
        while not stopping.is_set():
            ready, _, _ = select.select(masters, [], [], 0.05)
            for master in ready:
                with contextlib.suppress(OSError):
                    os.write(masters[1 - masters.index(master)], os.read(master, 4096))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield names[0], names[1]
    finally:
        stopping.set()
        thread.join()
        for each in sum(ends, ()):
            os.close(each)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['UDP', 'TCP'])
def test_a_restarted_vehicle_is_received_again(kind):
    """Silence is reported; the vehicle's clock restarts, and our stamps continue."""
    port = free_port() if kind == 'UDP' else free_port(socket.SOCK_STREAM)
    ours, theirs = {
        'UDP': (f'udpin:127.0.0.1:{port}', f'udpout:127.0.0.1:{port}'),
        'TCP': (f'tcp:127.0.0.1:{port}', f'tcpin:127.0.0.1:{port}'),
    }[kind]
    with listening(address=ours, silence=0.3) as stage:
        with vehicle_process(theirs) as (process, begin):
            answers = receive(stage, 30)
            process.send_signal(signal.SIGKILL)

            def is_reported():
                answer = stage.process(tick(0.0))
                if answer is not None:
                    answers.append(answer)
                return stage.status.level == 'warn'

            wait_for(is_reported, 'a warning')
            assert re.match(rf'{ours} is silent for [0-9.]+ s', stage.status.message)
        with vehicle_process(theirs, '--begin', f'{begin / SECONDS:.9f}', '--uptime', '5'):
            after = receive(stage, 30)
        assert stage.status.level == 'ok'
        assert np.diff(stamps(answers + after)).min() > 0
        assert int(stage.status.values['clock_jumps']) == 1
        truth = SimulatedAutopilot(FLIGHT, begin, BootClock(begin), noise=EXACT)
        # The first answers of each are inaccurate, until both clocks are estimated.
        assert_true(answers[10:], truth, 0.25)
        assert_true(after[10:], truth, 0.25)


def test_without_a_vehicle_there_is_no_odometry_and_a_warning():
    """Also if no link can be opened."""
    port = free_port(socket.SOCK_STREAM)
    with listening(address=f'tcp:127.0.0.1:{port}', silence=0.1) as stage:
        answers = Counter()

        def is_reported():
            answers[stage.process(tick(0.0))] += 1
            return 'refused' in stage.status.message

        wait_for(is_reported, 'the reason for the silence', 5.0, stage.status.snapshot)
        assert stage.status.level == 'warn'
        assert set(answers) == {None}


class Hands:
    """Clocks set by the test."""

    def __init__(self):
        self.steady, self.ros = 10**12, 10**18


@pytest.mark.slow
def test_stamps_continue_when_ros_time_is_set_back():
    """Like the stamps of a camera; for a replacement too; the status reports it."""
    hands = Hands()
    port = free_port()
    stage = FlightInterface()
    stage.bind({'source': 'mavlink', 'address': f'udpin:127.0.0.1:{port}'})

    def now(of):
        return lambda: getattr(hands, of) + time.monotonic_ns()

    clocks = Clocks(now('steady'), lambda: (now('steady')(), now('ros')()))
    stage._source = MavlinkOdometrySource(stage.params, stage.status, stage.logger, clocks)
    stage.activate()
    try:
        with flying(f'udpout:127.0.0.1:{port}'):
            before = receive(stage, 20)
            hands.ros -= 3600 * SECONDS
            after = receive(stage, 20)
            steps = np.diff(stamps(before + after))
            assert 0 < steps.min() <= steps.max() < SECONDS
            assert stage.status.message.startswith('ROS time was set back by 3600.0')
            successor = MavlinkOdometrySource(stage.params, stage.status, stage.logger, clocks)
            successor.restore(json.loads(json.dumps(stage._source.snapshot())))
            stage._source.close()
            stage._source = successor
            successor.open()
            assert 0 < stamps(receive(stage, 1))[0] - stamps(after)[-1] < 10 * SECONDS
            hands.ros += 3600 * SECONDS
            receive(stage, 5)
            assert stage.status.level == 'ok'
    finally:
        stage.deactivate()


@pytest.mark.slow
def test_a_replacement_continues_where_its_predecessor_stopped():
    """Its first stamp is later than the last one's, and as accurate."""
    port = free_port()
    with flying(f'udpout:127.0.0.1:{port}') as autopilot:
        with listening(address=f'udpin:127.0.0.1:{port}') as first:
            before = receive(first, 50)
            saved = first.save_state()
        stage = FlightInterface()
        stage.bind({'source': 'mavlink', 'address': f'udpin:127.0.0.1:{port}'})
        stage.configure()
        stage.restore_state(saved)
        stage.activate()
        try:
            after = receive(stage, 10)
        finally:
            stage.deactivate()
        assert_true(after, autopilot, 0.25)
        assert np.diff(stamps(before[-1:] + after)).min() > 0


@pytest.mark.parametrize(
    ('params', 'expected'),
    [
        ({'address': 'flight.tlog'}, "address: found 'flight.tlog'; allowed: udpin:HOST:PORT"),
        ({'position_deviation': [1.0]}, 'position_deviation: found 1 numbers; allowed: 3'),
    ],
)
def test_invalid_parameters_are_rejected_in_configure(params, expected):
    stage = FlightInterface()
    stage.bind({'source': 'mavlink', **params})
    with pytest.raises(ValueError, match=expected):
        stage.configure()


@pytest.mark.parametrize(
    'params', [{'source': 'radio'}, {'system_id': 256}, {'position_from': 'GPS_RAW_INT'}]
)
def test_values_out_of_range_are_rejected_at_once(params):
    with pytest.raises(ParameterError, match=f'{next(iter(params))}: found .*; allowed: '):
        FlightInterface().bind(params)
