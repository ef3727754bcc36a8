"""The map."""

from __future__ import annotations

import numpy as np
import pytest
from targets import cloud

from worker_pipeline.mission.assessment import Accounting, Assessment, Latency
from worker_pipeline.mission.close_ups import close_ups
from worker_pipeline.mission.estimate import Finding, estimates_of, matched
from worker_pipeline.mission.ground_map import WIDTH
from worker_pipeline.mission.map_panel import PANEL, panel
from worker_pipeline.mission.map_picture import draw_map
from worker_pipeline.simulation.imagery import synthetic_ground
from worker_pipeline.simulation.pads import Pad

PADS = [Pad(4, 10.0, 20.0), Pad(-1, 0.0, 0.0), Pad(-1, 30.0, 0.0)]
# Each is found 1 m east of where it is.
TARGETS = cloud((4, 11.0, 20.0), (-1, 1.0, 0.0), (-1, 31.0, 0.0), deviation=0.6)
RADIUS = 0.6 * 5.991**0.5  # m, of each ellipse
NOTHING_SEEN = np.empty((0, 4, 2))
GROUND = synthetic_ground(100.0)
SCALE = WIDTH / 100.0  # pixels per metre


def flown(targets=TARGETS, pads=PADS, told=3):
    findings, invented = matched(pads, estimates_of(targets))
    books = Accounting(10, 10, 0, 0, 0, 10, 0, 0, 0)
    return Assessment(findings, invented, books, Latency(0.1, 0.2), 1, 1, told, [])


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


def test_it_has_a_panel_beside_and_close_ups_below(plain):
    height, width, channels = plain.shape
    assert channels == 3
    assert width == WIDTH + PANEL
    assert height > WIDTH + 150


def test_a_found_pad_shows_where_it_is_where_it_was_found_and_the_ellipse(plain):
    assert is_yellow(colour_at(plain, 10.0, 20.0))
    assert is_blue(colour_at(plain, 11.0, 20.0))
    assert is_blue(colour_at(plain, 11.0 + RADIUS, 20.0))
    assert is_blue(colour_at(plain, 11.0, 20.0 - RADIUS))
    assert not is_blue(colour_at(plain, 11.0, 20.0 - RADIUS - 0.5))


def test_a_missed_pad_has_a_red_ring():
    missed = drawn(flown(targets=None))
    assert is_red(colour_at(missed, 10.0 + 12.0 / SCALE, 20.0))
    assert is_yellow(colour_at(missed, 10.0, 20.0))


def test_what_is_no_pad_is_a_red_cross():
    records = cloud((9, -20.0, -20.0), (8, np.nan, 0.0), deviation=0.0)
    assert is_red(colour_at(drawn(flown(records)), -20.0, -20.0))


def test_the_track_is_white_and_each_kill_red(plain):
    track = [(-40.0 + 0.25 * step, -30.0) for step in range(320)]
    kills = [('detect_target', (20.0, -30.0)), ('data_merge', (0.0, -30.0))]
    picture = drawn(flown(), track, kills)
    assert colour_at(picture, -37.0, -30.0).min() > 200
    for _, place in kills:
        assert is_red(colour_at(picture, *place))
        assert not is_red(colour_at(plain, *place))


def test_ground_that_no_image_shows_is_dim(plain):
    corners = np.array([[[-50.0, -50.0], [-20.0, -50.0], [-20.0, 50.0], [-50.0, 50.0]]])
    picture = drawn(flown(), footprints=corners)
    assert (colour_at(picture, -35.0, -10.0) == colour_at(plain, -35.0, -10.0)).all()
    assert colour_at(picture, 35.0, -10.0).sum() < 0.8 * colour_at(plain, 35.0, -10.0).sum()


def test_a_vehicle_that_only_hovers_draws_no_track(plain):
    assert (drawn(flown(), track=[(-20.0, -20.1)] * 50) == plain).all()


@pytest.mark.parametrize('deviation', [0.0, 0.1, 1.5, 50.0])
def test_close_ups_show_pads_of_every_certainty(deviation):
    findings = flown(cloud((4, 11.0, 20.0), deviation=deviation)).findings
    strip = np.asarray(close_ups(1000, GROUND, findings).finished()).astype(int)
    marks = [is_yellow(strip[row, column]) for row in range(60, 140) for column in range(32, 106)]
    assert any(marks), 'where it is'


def test_every_pad_has_a_close_up_and_without_pads_there_is_none():
    def height(count):
        pads = [Finding(Pad(4, float(east), 0.0), None) for east in range(count)]
        return close_ups(1000, GROUND, pads).height

    assert height(0) == 0
    assert 0 < height(1) == height(10) < height(11) == height(20)


def test_a_long_table_makes_the_panel_higher():
    many = [Pad(label, -40.0 + 2.0 * label, 10.0) for label in range(40)]
    heights = [
        panel(100.0, flown(None, pads), has_kills=True, has_seen=True).height
        for pads in (many[:1], many)
    ]
    assert heights[1] - heights[0] >= 39 * 24, 'the height of letters'
    tall = panel(5000.0, flown(), has_kills=False, has_seen=False)
    assert tall.height == 5000
