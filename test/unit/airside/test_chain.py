# SPDX-License-Identifier: Apache-2.0
"""The whole chain in one process: from ticks to targets, over the reference flight."""

from __future__ import annotations

import contextlib
import itertools

import cv2
import numpy as np
import pytest
from flown import configured, process_stamped, tick

from worker_pipeline import ContextBuffer, EndOfStream
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation.imagery import (
    METRES_PER_PIXEL,
    synthetic_ground,
)
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS
from worker_pipeline.airside.simulation.photograph import ImageryMissingError, find_photograph
from worker_pipeline.airside.video_input import VideoInput

FRAME_PERIOD = 0.5  # s; the mission takes five times as many, which would only cost time here
ALLOWED_ERROR = 0.05  # m


def stream(source, period):
    """Yield all items of a source, requested every ``period`` seconds."""
    with contextlib.suppress(EndOfStream):
        for step in itertools.count():
            yield process_stamped(source, tick(step * period))


def fly(ground, **camera):
    """Return the targets at the end of the flight over this ground."""
    odometry = ContextBuffer(capacity=2000)
    for message in stream(configured(FlightInterface()), 0.05):
        odometry.add(message)
    stages = [
        configured(DetectTarget()),
        configured(DataMerge(), {'max_wait': 0.0}, {'odometry': odometry}),
        configured(Geolocation(), camera),
        configured(ClusterEstimation(), {'min_sightings': 2}),
    ]
    frames = 0
    for item in stream(configured(VideoInput(), {'path': ground, **camera}), FRAME_PERIOD):
        for stage in stages:
            item = process_stamped(stage, item)
        frames += 1
    assert frames * FRAME_PERIOD == pytest.approx(60.0, abs=1.0)
    return point_cloud.from_message(item)


def check(targets):
    """Assert that every pad is found once, at its position, and nothing else."""
    unfound = list(REFERENCE_PADS)
    for target in targets:
        place = target['x'], target['y']
        pad = min(unfound, key=lambda each: np.hypot(each.east - place[0], each.north - place[1]))
        assert pad.label == target['label']
        assert np.hypot(pad.east - place[0], pad.north - place[1]) < ALLOWED_ERROR
        unfound.remove(pad)
    assert not unfound


@pytest.mark.slow
def test_all_pads_are_found_on_synthetic_ground_through_a_distorting_lens(tmp_path):
    """At the edge of the image the distortion is more than a metre on the ground."""
    pixels = synthetic_ground().pixels
    scale = synthetic_ground().metres_per_pixel / METRES_PER_PIXEL
    path = tmp_path / 'ground.png'
    cv2.imwrite(str(path), cv2.resize(pixels, None, fx=scale, fy=scale))
    lens = [-0.6, 0.25, 0.004, -0.003, 0.0]
    check(fly(str(path), distortion=lens))


@pytest.mark.slow
def test_all_pads_are_found_on_the_photograph():
    try:
        photograph = find_photograph()
    except ImageryMissingError as missing:
        pytest.skip(str(missing))
    check(fly(str(photograph)))


def test_the_reference_pads_are_those_of_the_mission():
    labels = [pad.label for pad in REFERENCE_PADS if pad.label != NO_LABEL]
    assert len(labels) == len(set(labels)) >= 6
    assert sum(pad.label == NO_LABEL for pad in REFERENCE_PADS) in (1, 2)
