"""The map."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.mission.assessment import Accounting, Assessment, Estimate, Finding, Latency
from worker_pipeline.mission.map_picture import draw_map
from worker_pipeline.simulation.imagery import synthetic_ground
from worker_pipeline.simulation.pads import Pad

PADS = [Pad(4, 10.0, 20.0), Pad(-1, 0.0, 0.0), Pad(-1, 30.0, 0.0)]
GROUND = synthetic_ground(100.0)
MIDDLE = 750  # column and row of the world's origin, in the finished picture
SCALE = 15.0  # pixels per metre


def drawn(found=True, track=(), kill=None):
    findings = [
        Finding(pad, Estimate(pad.label, pad.east, pad.north, 45.0, 0.0, 0.1, 9) if found else None)
        for pad in PADS
    ]
    books = Accounting(10, 10, 0, 0, 0, 10, 0, 0, 0)
    result = Assessment(findings, [], books, Latency(0.1, 0.2), 1, [])
    return np.asarray(draw_map(GROUND, result, track, kill)).astype(int)


def colour_at(picture, east, north):
    return picture[round(MIDDLE - SCALE * north), round(MIDDLE + SCALE * east)]


@pytest.fixture(scope='module')
def plain():
    return drawn()


def test_it_is_a_picture_with_a_panel(plain):
    height, width, channels = plain.shape
    assert channels == 3
    assert (width, height) == (1900, 1500)


def test_a_found_pad_has_a_ring_and_a_cross(plain):
    red, _, blue = colour_at(plain, 10.0, 20.0)
    assert blue > red + 100, 'blue: as found'
    red, green, blue = colour_at(plain, 10.0 + 14.5 / SCALE, 20.0)
    assert min(red, green) > blue + 80, 'yellow: where it is'


def test_a_missed_pad_is_red():
    red, green, _ = colour_at(drawn(found=False), 10.0 + 14.5 / SCALE, 20.0)
    assert red > green + 80


def test_the_track_is_white_and_the_kill_is_red(plain):
    track = [(-40.0 + 0.5 * step, -30.0) for step in range(160)]
    picture = drawn(track=track, kill=(20.0, -30.0))
    assert colour_at(picture, -11.0, -30.0).min() > 240
    red, green, _ = colour_at(picture, 20.0, -30.0)
    assert red > green + 100
    assert (colour_at(plain, -11.0, -30.0) != colour_at(picture, -11.0, -30.0)).any()
