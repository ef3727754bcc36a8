# SPDX-License-Identifier: Apache-2.0
"""Launch the pipeline of ../echo, kill one of its workers, and check every answer."""

import unittest
from pathlib import Path

import launch_testing.asserts
import pytest
from launch import LaunchDescription
from launch.actions import AppendEnvironmentVariable, IncludeLaunchDescription
from launch_ros.substitutions import FindPackageShare
from launch_testing.actions import ReadyToTest
from std_msgs.msg import Header

from worker_pipeline.testing import PipelineProbe, wait_for

ECHO = Path(__file__).resolve().parents[1] / 'echo'
# As many as the queue holds: of more, the oldest might be dropped before a worker is free.
ITEMS = [Header(frame_id=str(number)) for number in range(1, 11)]
for number, item in enumerate(ITEMS, 1):
    item.stamp.sec = number  # an item is identified by its stamp


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    """Start the pipeline; the tests run beside it."""
    pipeline = IncludeLaunchDescription(
        [FindPackageShare('worker_pipeline'), '/launch/pipeline.launch.py'],
        launch_arguments={'params_file': str(ECHO / 'echo.yaml')}.items(),
    )
    return LaunchDescription(
        [
            # The stage's module has to be found by the workers.
            AppendEnvironmentVariable('PYTHONPATH', str(ECHO), prepend=True),
            pipeline,
            ReadyToTest(),
        ]
    )


class TestEcho(unittest.TestCase):
    """While the pipeline runs."""

    def test_a_killed_worker_costs_no_item(self) -> None:
        with PipelineProbe('/airside') as probe:
            answers = probe.collect('echo/output', Header)
            probe.wait_until_active('echo', 2)
            victim = probe.kill('echo/worker_0')
            probe.feed('echo/input', ITEMS)
            probe.wait_until_replaced('echo/worker_0', victim)
            wait_for(lambda: len(answers) == len(ITEMS), 'an answer to each item')
            assert [each.frame_id for each in answers] == [each.frame_id for each in ITEMS]


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    """When launch has stopped it."""

    def test_the_manager_exited_cleanly(self, proc_info) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
