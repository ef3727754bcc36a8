# SPDX-License-Identifier: Apache-2.0
"""``airside.launch.py`` under launch_testing: the reference pipeline, with a kill."""

from __future__ import annotations

import unittest

import pytest

pytest.importorskip('launch_testing')


import cv2
import launch_testing.asserts
from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable
from launch_testing.actions import ReadyToTest
from sensor_msgs.msg import PointCloud2
from support.launching import LaunchScene, include, need_installed_package

from worker_pipeline.airside.simulation.imagery import METRES_PER_PIXEL, synthetic_ground
from worker_pipeline.testing import PipelineProbe, wait_for

need_installed_package()

FOLLOWERS = ('detect_target', 'data_merge', 'geolocation', 'cluster_estimation')


@pytest.mark.launch_test
def generate_test_description():
    """Launch the reference pipeline with three detectors, with any hardware overlay."""
    scene = LaunchScene()
    ground = synthetic_ground()
    scale = ground.metres_per_pixel / METRES_PER_PIXEL
    photograph = scene.folder / 'ground.png'
    cv2.imwrite(str(photograph), cv2.resize(ground.pixels, None, fx=scale, fy=scale))
    actions = [
        *scene.actions(),
        SetEnvironmentVariable('WORKER_PIPELINE_IMAGERY', str(photograph)),
        include('airside.launch.py', hardware='laptop', detect_target_workers='3'),
        ReadyToTest(),
    ]
    return LaunchDescription(actions), {'scene': scene}


class TestFlight(unittest.TestCase):
    """While the pipeline runs."""

    def test_a_detector_is_killed_and_replaced_and_no_frame_is_missed(self, scene):
        """With three detectors: each frame is answered once, in order, as if all had lived."""
        with PipelineProbe(domain=scene.domain) as probe:
            seen = probe.collect('detect_target/output', PointCloud2)
            for stage in ('video_input', *FOLLOWERS):
                probe.wait_until_active(stage)
            assert probe.count('detect_target', 'workers') == 3
            wait_for(lambda: len(seen) > 5, 'some detections')
            victim = probe.kill('detect_target/worker_1')
            probe.wait_until_replaced('detect_target/worker_1', victim)
            enough = len(seen) + 20
            wait_for(lambda: len(seen) > enough, 'more detections')
            stamps = [each.header.stamp.sec * 10**9 + each.header.stamp.nanosec for each in seen]
            assert stamps == sorted(set(stamps))
            # With no more frames to come, all that there were are answered.
            assert probe.change_state('video_input', 'deactivate')
            assert probe.trigger('manager/drain') == (True, 'drained')
            received = len(probe.diagnostics)
            wait_for(lambda: len(probe.diagnostics) > received + 1, 'newer counts')
            frames = probe.count('video_input', 'delivered')
            assert frames >= len(stamps)
            for stage in FOLLOWERS:
                assert probe.count(stage, 'delivered') == frames
            assert probe.count('detect_target', 'quarantined') == 0
            assert probe.count('manager', 'restarts') == 1


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    """After launch has stopped it."""

    def test_it_shut_down_cleanly_and_left_no_process(self, scene, proc_info):
        """Exit code 0; no process lives."""
        launch_testing.asserts.assertExitCodes(proc_info)
        scene.close()
