# SPDX-License-Identifier: Apache-2.0
"""The placement of labels on a map."""

from __future__ import annotations

import itertools

import pytest

from worker_pipeline.airside.mission.label_layout import LabelLayout

EDGES = (0.0, 0.0, 400.0, 300.0)
SIZE = (60.0, 20.0)


def overlaps(first, second):
    return min(first[2], second[2]) > max(first[0], second[0]) and min(first[3], second[3]) > max(
        first[1], second[1]
    )


def test_a_label_is_right_of_its_symbol_if_there_is_space():
    left, top, right, bottom = LabelLayout(EDGES).place((100.0, 100.0), 10.0, SIZE)
    assert 110.0 < left < 120.0
    assert (right - left, bottom - top) == SIZE
    assert (top + bottom) / 2 == 100.0


def test_at_the_edge_a_label_is_on_the_other_side():
    box = LabelLayout(EDGES).place((380.0, 100.0), 10.0, SIZE)
    assert box[2] < 370.0


@pytest.mark.parametrize('corner', [(2.0, 2.0), (398.0, 2.0), (2.0, 298.0), (398.0, 298.0)])
def test_in_a_corner_a_label_stays_on_the_map(corner):
    left, top, right, bottom = LabelLayout(EDGES).place(corner, 10.0, SIZE)
    assert left >= 0.0
    assert top >= 0.0
    assert right <= 400.0
    assert bottom <= 300.0


def test_labels_of_crowded_symbols_cover_nothing():
    spots = [(120.0 + 40 * column, 100.0 + 40 * row) for column in range(4) for row in range(3)]
    places = LabelLayout(EDGES)
    for spot in spots:
        places.reserve_spot(spot, 6.0)
    boxes = [places.place(spot, 6.0, (30.0, 14.0)) for spot in spots]
    assert not any(overlaps(*pair) for pair in itertools.combinations(boxes, 2))
    around = [(u - 6.0, v - 6.0, u + 6.0, v + 6.0) for u, v in spots]
    assert not any(overlaps(box, spot) for box in boxes for spot in around)


def test_a_line_is_not_covered_if_possible():
    line = [(float(u), 100.0) for u in range(100, 400)]
    box = LabelLayout(EDGES, line).place((100.0, 100.0), 5.0, SIZE)
    assert not any(box[0] < u < box[2] and box[1] < v < box[3] for u, v in line)
