# SPDX-License-Identifier: Apache-2.0
"""``pipeline.launch.py`` included by another launch file beside a camera; the manager is killed."""

from __future__ import annotations

import os
import signal
import sys
import unittest
from collections import Counter

import pytest

pytest.importorskip('launch_testing')

import launch_testing.asserts
from launch import LaunchDescription
from launch.actions import ExecuteProcess
from launch_testing.actions import ReadyToTest
from std_msgs.msg import Header
from support.configuring import stage
from support.launching import LaunchScene, include, need_installed_package
from support.observer import header, number_of

from worker_pipeline.testing import PipelineProbe, wait_for

need_installed_package()

CAMERA = """
import rclpy
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Header

rclpy.init()
node = rclpy.create_node('camera')
publisher = node.create_publisher(Header, '/camera/seen', qos_profile_sensor_data)
node.create_timer(
    0.02, lambda: publisher.publish(Header(stamp=node.get_clock().now().to_msg(), frame_id='seen'))
)
try:
    rclpy.spin(node)
except KeyboardInterrupt:
    pass
"""


@pytest.mark.launch_test
def generate_test_description():
    """Launch a camera, and a pipeline that subscribes to it."""
    scene = LaunchScene()
    parameters = {
        'stages': ['echo', 'work'],
        'echo': stage('Echo', input='/camera/seen', queue_size=1000),
        'work': stage('Work', input='echo', queue_size=1000, overflow='block'),
    }
    arguments = {
        'params_file': str(scene.parameters(parameters)),
        'workers': 'work=2',
        'respawn': 'true',
        'journal': 'true',
    }
    camera = ExecuteProcess(cmd=[sys.executable, '-c', CAMERA], name='camera')
    actions = [*scene.actions(), camera, include('pipeline.launch.py', **arguments), ReadyToTest()]
    return LaunchDescription(actions), {'scene': scene}


class TestComposed(unittest.TestCase):
    """While camera and pipeline run."""

    def test_the_manager_is_killed_and_its_workers_keep_running(self, scene):
        """Frames keep coming; those accepted before the kill are all answered, each by one call."""
        with PipelineProbe(domain=scene.domain) as probe:
            answers = probe.collect('work/output', Header)
            probe.wait_until_active('echo', 1)
            probe.wait_until_active('work', 2)
            wait_for(lambda: len(answers) > 20, 'what the camera saw')
            workers = [f'work/worker_{index}' for index in range(2)]
            pids = [probe.pid_of(each) for each in workers]
            manager = int(probe.values('manager')['pid'])
            probe.feed('work/input', [header(number) for number in range(200)])
            wait_for(lambda: probe.count('work', 'accepted') > 200, 'that all are accepted')
            os.kill(manager, signal.SIGKILL)
            fresh = wait_for(
                lambda: int(probe.values('manager').get('pid', 0)) not in (0, manager),
                'another manager',
            )
            assert fresh
            before = len(answers)
            wait_for(lambda: len(answers) > before + 20, 'what the camera sees now')
            assert [probe.pid_of(each) for each in workers] == pids
            fed = [each for each in answers if not each.frame_id.startswith('seen')]
            # The next manager publishes again what the probe had not acknowledged: the same
            # messages, as no item is processed again.
            received = Counter((number_of(each), each.frame_id) for each in fed)
            assert sorted(number for number, _ in received) == list(range(200))
            assert max(received.values()) <= 2


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    """After launch has stopped it."""

    def test_no_process_is_left(self, scene):
        """Neither of the first manager nor of the second."""
        scene.close()
