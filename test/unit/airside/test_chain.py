"""The whole chain in one process: from ticks to targets, over the reference flight."""

from __future__ import annotations

import contextlib
import itertools

import cv2
import numpy as np
import pytest
from flown import answer, ready, tick

from worker_pipeline import ContextBuffer, EndOfStream
from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.airside.video_input import VideoInput
from worker_pipeline.simulation.imagery import (
    METRES_PER_PIXEL,
    ImageryMissingError,
    find_photograph,
    synthetic_ground,
)
from worker_pipeline.simulation.pads import REFERENCE_PADS

FRAME_PERIOD = 0.3  # s; the mission takes three times as many, which only costs time here
ALLOWED_ERROR = 0.05  # m


def stream(source, period):
    """All that a source has to give, asked every ``period`` seconds."""
    with contextlib.suppress(EndOfStream):
        for step in itertools.count():
            yield answer(source, tick(step * period))


def fly(ground, **camera):
    """The targets that the chain tells of at the end of the flight over this ground."""
    odometry = ContextBuffer(capacity=2000)
    for message in stream(ready(FlightInterface()), 0.05):
        odometry.add(message)
    stages = [
        ready(DetectTarget()),
        ready(DataMerge(), {'max_wait': 0.0}, {'odometry': odometry}),
        ready(Geolocation(), camera),
        ready(ClusterEstimation(), {'min_sightings': 2}),
    ]
    frames = 0
    for item in stream(ready(VideoInput(), {'path': ground, **camera}), FRAME_PERIOD):
        for stage in stages:
            item = answer(stage, item)
        frames += 1
    assert frames * FRAME_PERIOD == pytest.approx(60.0, abs=1.0)
    return point_cloud.from_message(item)


def check(targets):
    """Every pad is found, once, in its place, and nothing else is."""
    unfound = list(REFERENCE_PADS)
    for target in targets:
        place = target['x'], target['y']
        pad = min(unfound, key=lambda each: np.hypot(each.east - place[0], each.north - place[1]))
        assert pad.label == target['label']
        assert np.hypot(pad.east - place[0], pad.north - place[1]) < ALLOWED_ERROR
        unfound.remove(pad)
    assert not unfound


def test_all_pads_are_found_on_synthetic_ground_through_a_lens_that_distorts(tmp_path):
    """At the edge of the image it moves what is seen by more than a metre on the ground."""
    pixels = synthetic_ground().pixels
    scale = synthetic_ground().metres_per_pixel / METRES_PER_PIXEL
    path = tmp_path / 'ground.png'
    cv2.imwrite(str(path), cv2.resize(pixels, None, fx=scale, fy=scale))
    lens = [-0.6, 0.25, 0.004, -0.003, 0.0]
    check(fly(str(path), distortion=lens))


def test_all_pads_are_found_on_the_photograph():
    try:
        photograph = find_photograph()
    except ImageryMissingError as missing:
        pytest.skip(str(missing))
    check(fly(str(photograph)))


def test_the_reference_pads_are_what_the_mission_promises():
    labels = [pad.label for pad in REFERENCE_PADS if pad.label != NO_LABEL]
    assert len(labels) == len(set(labels)) >= 6
    assert sum(pad.label == NO_LABEL for pad in REFERENCE_PADS) in (1, 2)
