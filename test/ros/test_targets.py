# SPDX-License-Identifier: Apache-2.0
"""Targets from locations to the ground are independent of kills."""

from __future__ import annotations

import json

import numpy as np
import pytest
from flown import CAMERA, MOUNTED, configured, stamp_at
from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.simulation.sightings import SightingErrors, SurveyViews, sightings
from worker_pipeline.testing import wait_for

pytest.importorskip('pymavlink')

from worker_pipeline.airside.simulation.ground_station import GroundStation

FRAMES = 100
KILLED_AT = (40, 80)  # after this many frames


@pytest.fixture(scope='module')
def flight():
    """Some clouds of locations, in order, and the targets they give without kills."""
    views = SurveyViews(CAMERA, MOUNTED, times=1, period=0.2)
    clouds, stage = [], configured(ClusterEstimation())
    for seconds, located in sightings(views, SightingErrors(), seed=5):
        if len(located) and len(clouds) < FRAMES:
            clouds.append(point_cloud.to_message(located, 'map'))
            clouds[-1].header.stamp = stamp_at(seconds)
            targets = stage.process(clouds[-1])
    assert len(clouds) == FRAMES
    return clouds, point_cloud.from_message(targets)


@pytest.mark.parametrize('victim', ['cluster_estimation', 'communications'])
def test_targets_are_unchanged_by_kills_in_flight(start, observer, tmp_path, flight, victim):
    """On the last topic, in the files, and on the ground, which receives nothing twice."""
    clouds, expected = flight
    ground = GroundStation()
    try:
        out = tmp_path / 'out'
        manager = start(_parameters(ground, out))
        answers = observer.collect('communications/output', PointCloud2)
        feed = observer.feeder('cluster_estimation/input', PointCloud2)
        observer.wait_until_active('communications')

        def wait_for_answers(count):
            wait_for(lambda: len(answers) == count, f'{count} answers', seen=manager.show)

        def wait_for_the_ground():
            """Wait until the ground has all targets, as command and as text."""
            labels = sorted(point_cloud.from_message(answers[-1])['label'].tolist())

            def is_told():
                told = [round(each.param2) for each in ground.targets.values() if each.param4 > 0]
                return sorted(told) == labels and len(set(ground.texts)) >= len(labels)

            wait_for(is_told, f'{labels} on the ground', seen=lambda: ground.targets)

        for number, cloud in enumerate(clouds):
            feed.publish(cloud)
            if number in KILLED_AT:
                wait_for_answers(number + 1)
                wait_for_the_ground()
            if number - 1 in KILLED_AT:  # the ground has the targets by then
                wait_for_answers(number + 1)
                killed = observer.kill(f'{victim}/worker_0')
        wait_for_answers(FRAMES)
        observer.wait_until_replaced(f'{victim}/worker_0', killed)
        np.testing.assert_array_equal(point_cloud.from_message(answers[-1]), expected)
        wait_for_the_ground()

        def in_the_file():
            features = json.loads((out / 'targets.geojson').read_text())['features']
            counts = [each['properties'].get('count', 0) for each in features]
            return sum(counts) == expected['count'].sum()

        wait_for(in_the_file, 'the targets in the file')
        # One text per target, but for one that was being sent when its worker was killed.
        names = [each.partition(':')[0] for each in ground.texts]
        assert len(names) - len(set(names)) <= len(KILLED_AT), names
    finally:
        ground.close()


def _parameters(ground, out):
    airside = 'worker_pipeline.airside'
    return {
        'stages': ['cluster_estimation', 'communications'],
        'cluster_estimation': {
            'plugin': f'{airside}.cluster_estimation:ClusterEstimation',
            'input': '/airside/locations',
            'queue_size': FRAMES,
        },
        'communications': {
            'plugin': f'{airside}.communications:Communications',
            'input': 'cluster_estimation',
            'overflow': 'block',
            'params': {
                'connection': ground.connection,
                'directory': str(out),
                'period': 0.02,
                'retry': 0.2,
            },
        },
    }
