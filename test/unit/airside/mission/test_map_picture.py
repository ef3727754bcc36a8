# SPDX-License-Identifier: Apache-2.0
"""The map."""

from __future__ import annotations

import numpy as np
import pytest
from targets import cloud

from worker_pipeline.airside.mission.assessment import Accounting, Assessment, Latency
from worker_pipeline.airside.mission.close_ups import close_ups
from worker_pipeline.airside.mission.estimate import Finding, match_pads, to_estimates
from worker_pipeline.airside.mission.ground_map import WIDTH
from worker_pipeline.airside.mission.map_panel import PANEL, panel
from worker_pipeline.airside.mission.map_picture import draw_map
from worker_pipeline.airside.simulation.imagery import synthetic_ground
from worker_pipeline.airside.simulation.pads import Pad

PADS = [Pad(4, 10.0, 20.0), Pad(-1, 0.0, 0.0), Pad(-1, 30.0, 0.0)]
# Each is found 1 m east of its true position.
TARGETS = cloud((4, 11.0, 20.0), (-1, 1.0, 0.0), (-1, 31.0, 0.0), deviation=0.6)
RADIUS = 0.6 * 5.991**0.5  # m, of each ellipse
NOTHING_SEEN = np.empty((0, 4, 2))
GROUND = synthetic_ground(100.0)
SCALE = WIDTH / 100.0  # pixels per metre


def flown(targets=TARGETS, pads=PADS, acknowledged=3):
    findings, false_targets = match_pads(pads, to_estimates(targets))
    books = Accounting(10, 10, 0, 0, 0, 10, 0, 0, 0, 0)
    return Assessment(findings, false_targets, books, Latency(0.1, 0.2), 1, 1, acknowledged, [])


def drawn(result, track=(), kills=(), footprints=NOTHING_SEEN):
    return np.asarray(draw_map(GROUND, result, track, kills, footprints)).astype(int)


def colour_at(picture, east, north):
    return picture[round(WIDTH / 2 - SCALE * north), round(WIDTH / 2 + SCALE * east)]


def is_yellow(colour):
    return min(colour[:2]) > colour[2] + 100


def is_blue(colour):
    return colour[2] > colour[0] + 100


def is_red(colour):
    return colour[0] > colour[1] + 100


@pytest.fixture(scope='module')
def plain():
    return drawn(flown())


@pytest.mark.slow
def test_the_map_has_a_panel_beside_it_and_close_ups_below(plain):
    height, width, channels = plain.shape
    assert channels == 3
    assert width == WIDTH + PANEL
    assert height > WIDTH + 150


@pytest.mark.slow
def test_a_found_pad_has_true_position_estimate_and_ellipse(plain):
    assert is_yellow(colour_at(plain, 10.0, 20.0))
    assert is_blue(colour_at(plain, 11.0, 20.0))
    assert is_blue(colour_at(plain, 11.0 + RADIUS, 20.0))
    assert is_blue(colour_at(plain, 11.0, 20.0 - RADIUS))
    assert not is_blue(colour_at(plain, 11.0, 20.0 - RADIUS - 0.5))


@pytest.mark.slow
def test_a_missed_pad_has_a_red_ring():
    missed = drawn(flown(targets=None))
    assert is_red(colour_at(missed, 10.0 + 12.0 / SCALE, 20.0))
    assert is_yellow(colour_at(missed, 10.0, 20.0))


@pytest.mark.slow
def test_a_false_target_has_a_red_cross():
    records = cloud((9, -20.0, -20.0), (8, np.nan, 0.0), deviation=0.0)
    assert is_red(colour_at(drawn(flown(records)), -20.0, -20.0))


@pytest.mark.slow
def test_the_track_is_white_and_kills_are_red(plain):
    track = [(-40.0 + 0.25 * step, -30.0) for step in range(320)]
    kills = [('detect_target', (20.0, -30.0)), ('data_merge', (0.0, -30.0))]
    picture = drawn(flown(), track, kills)
    assert colour_at(picture, -37.0, -30.0).min() > 200
    for _, place in kills:
        assert is_red(colour_at(picture, *place))
        assert not is_red(colour_at(plain, *place))


@pytest.mark.slow
def test_unseen_ground_is_dimmed(plain):
    corners = np.array([[[-50.0, -50.0], [-20.0, -50.0], [-20.0, 50.0], [-50.0, 50.0]]])
    picture = drawn(flown(), footprints=corners)
    assert (colour_at(picture, -35.0, -10.0) == colour_at(plain, -35.0, -10.0)).all()
    assert colour_at(picture, 35.0, -10.0).sum() < 0.8 * colour_at(plain, 35.0, -10.0).sum()


@pytest.mark.slow
def test_a_hovering_vehicle_has_no_track(plain):
    assert (drawn(flown(), track=[(-20.0, -20.1)] * 50) == plain).all()


@pytest.mark.slow
@pytest.mark.parametrize('deviation', [0.0, 0.1, 1.5, 50.0])
def test_close_ups_work_for_any_uncertainty(deviation):
    findings = flown(cloud((4, 11.0, 20.0), deviation=deviation)).findings
    strip = np.asarray(close_ups(1000, GROUND, findings).finished()).astype(int)
    marks = [is_yellow(strip[row, column]) for row in range(60, 140) for column in range(32, 106)]
    assert any(marks), 'where it is'


@pytest.mark.slow
def test_there_is_a_close_up_per_pad_and_none_without_pads():
    def height(count):
        pads = [Finding(Pad(4, float(east), 0.0), None) for east in range(count)]
        return close_ups(1000, GROUND, pads).height

    assert height(0) == 0
    assert 0 < height(1) == height(10) < height(11) == height(20)


@pytest.mark.slow
def test_the_panel_grows_with_its_table():
    many = [Pad(label, -40.0 + 2.0 * label, 10.0) for label in range(40)]
    heights = [
        panel(100.0, flown(None, pads), has_kills=True, has_seen=True).height
        for pads in (many[:1], many)
    ]
    assert heights[1] - heights[0] >= 39 * 24, 'the height of letters'
    tall = panel(5000.0, flown(), has_kills=False, has_seen=False)
    assert tall.height == 5000
