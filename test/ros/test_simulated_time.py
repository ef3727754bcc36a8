# SPDX-License-Identifier: Apache-2.0
"""Time that /clock shows, and recordings that are played again: one pipeline for all of it.

``/clock`` and the recording are published by the test, as ``ros2 bag play --clock`` does.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import GetParameters
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header
from support.configuring import stage

from worker_pipeline.testing import wait_for

TENTH = 10**8  # ns
PIPELINE = {
    'use_sim_time': True,
    'stages': ['camera', 'echo', 'recorded'],
    'camera': stage('StreamTime', period=0.5),
    'echo': stage('Echo', input='camera'),
    'recorded': stage('Echo', input='/recording'),
}
NODES = ('manager', 'camera', 'echo', 'camera/worker_0', 'echo/worker_0', 'recorded/worker_0')


def time_at(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


class Player:
    """Publishes /clock; each time it shows is seen by the pipeline before the next."""

    def __init__(self, observer) -> None:
        self.observer = observer
        self.clock = observer.node.create_publisher(Clock, '/clock', 10)
        self.recording = observer.feeder('/recording')
        self.outputs = observer.collect('echo/output')
        self.recorded = observer.collect('recorded/output')

    def show(self, tenths: int) -> None:
        self.clock.publish(Clock(clock=time_at(tenths * TENTH)))

    def show_until_seen(self, tenths: int) -> None:
        """Show one time until the manager's diagnostics do: a message may be lost."""

        def is_seen() -> bool:
            self.show(tenths)
            return self.observer.values('manager').get('ros_time_s') == f'{tenths / 10:.3f}'

        wait_for(is_seen, f'{tenths / 10} s of ROS time', 30.0, self.status)

    def status(self):
        return self.observer.status('manager')

    def wait_for_output(self, tenths: int) -> Header:
        """Wait for the output of the tick at a time; return it."""
        wanted = time_at(tenths * TENTH)
        return wait_for(
            lambda: next((each for each in self.outputs if each.stamp == wanted), None),
            f'an output stamped {tenths / 10} s',
            30.0,
            lambda: [each.stamp for each in self.outputs],
        )

    def play(self, *seconds: int) -> None:
        for second in seconds:
            self.recording.publish(Header(stamp=time_at(second * 10**9)))

    def wait_for_recorded(self, count: int) -> None:
        wait_for(
            lambda: len(self.recorded) == count,
            f'{count} items of the recording',
            30.0,
            lambda: (len(self.recorded), self.observer.values('recorded')),
        )


def uses_sim_time(observer, node: str) -> bool:
    request = GetParameters.Request(names=['use_sim_time'])
    response = observer.call(GetParameters, f'{node}/get_parameters', request)
    return bool(response.values[0].bool_value)


def test_simulated_time(start, observer):
    """It reaches every node; it starts late and from 0, stands still, is set back, and is ended."""
    manager = start(PIPELINE)
    observer.wait_until_active('recorded')
    observer.wait_for_status('manager', DiagnosticStatus.WARN, 'waiting for /clock')
    observer.wait_for_status('camera', DiagnosticStatus.WARN, 'waiting for /clock')
    assert {node: uses_sim_time(observer, node) for node in NODES} == dict.fromkeys(NODES, True)
    assert not observer.set_parameter('echo/worker_0', 'use_sim_time', False)[0]
    player = Player(observer)
    observer.wait_until_active('echo')

    # It starts at 0.
    player.show_until_seen(0)
    observer.wait_for_status('camera', DiagnosticStatus.OK)
    for tenths in (5, 10, 30):
        player.show_until_seen(tenths)
        assert player.wait_for_output(tenths).frame_id == f'{tenths / 10:.1f}'
    player.play(1, 2, 3)
    player.wait_for_recorded(3)

    # It stands still: nothing new.
    count = len(player.outputs)
    values = observer.values
    wait_for(lambda: player.show(30) or values('manager')['ros_time'] == 'paused', 'a pause', 30.0)
    assert len(player.outputs) == count

    # A replacement has it, too.
    victim = observer.kill('echo/worker_0')
    observer.wait_until_replaced('echo/worker_0', victim)
    assert uses_sim_time(observer, 'echo/worker_0')

    # It is set back: a new run, in which the first message overtakes /clock.
    player.play(1)
    player.show_until_seen(1)
    player.play(2, 3)
    player.wait_for_recorded(6)
    wait_for(lambda: observer.count('manager', 'run') == 1, 'the new run')
    player.outputs.clear()
    player.show_until_seen(10)
    assert player.wait_for_output(10).frame_id == '0.9'

    # The system's time again; then the recording a second time.
    assert observer.set_parameter('manager', 'use_sim_time', False) == (True, '')
    wait_for(lambda: not uses_sim_time(observer, 'echo/worker_0'), 'the time of the system')
    wait_for(lambda: player.outputs[-1].stamp.sec > 10**6, 'an output of now', 30.0)
    assert float(player.outputs[-1].frame_id) < 3600.0
    player.play(1)
    player.wait_for_recorded(7)
    player.play(1, 1)
    text = '2 refused as duplicates'
    observer.wait_for_status('recorded', DiagnosticStatus.WARN, text)
    assert 'new_run' in observer.status('recorded').message
    assert observer.trigger('manager/new_run')[0]
    player.play(1)
    player.wait_for_recorded(8)
    assert 'internal error' not in manager.output
