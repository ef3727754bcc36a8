# SPDX-License-Identifier: Apache-2.0
"""Targets, locations and the ground in view as markers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from std_msgs.msg import Header
from support.fake_messages import visualization_msgs

from worker_pipeline.airside.messages import markers
from worker_pipeline.airside.messages.records import LOCATION, NO_LABEL, TARGET

HEADER = Header(frame_id='map', stamp=Time(sec=5))


@pytest.fixture(autouse=True, params=['fake', 'real'])
def types(request, monkeypatch):
    if request.param == 'real' and markers.TYPES is None:
        pytest.skip('visualization_msgs is not installed')
    if request.param == 'fake':
        monkeypatch.setattr(markers, 'TYPES', visualization_msgs())
    return markers.TYPES


def record(kind, covariance, **fields):
    found = np.zeros(1, kind)
    found['var_east'], found['var_north'] = covariance[0][0], covariance[1][1]
    found['cov_east_north'] = covariance[0][1]
    for name, value in fields.items():
        found[name] = value
    return found


@given(
    longer=st.floats(0.1, 30.0),
    share=st.floats(0.05, 0.9),
    bearing=st.floats(-math.pi / 2 + 0.01, math.pi / 2 - 0.01),
)
def test_an_ellipse_holds_95_of_100_and_lies_along_its_longer_axis(longer, share, bearing):
    """By the quantile of chi-squared, and a rotation of the covariance, by scipy."""
    turned = Rotation.from_euler('z', bearing).as_matrix()[:2, :2]
    covariance = turned @ np.diag([longer**2, (share * longer) ** 2]) @ turned.T
    half_axes, found = markers.ellipse(record(LOCATION, covariance)[0])
    half = math.sqrt(chi2.ppf(0.95, 2))
    np.testing.assert_allclose(half_axes, [half * longer, half * share * longer], rtol=1e-2)
    # An axis has no direction.
    assert abs(math.sin(found - bearing)) < 0.02


def test_a_target_is_an_ellipse_with_a_label(types):
    north = record(TARGET, [[1.0, 0.0], [0.0, 4.0]], x=3.0, y=4.0, z=5.0, label=7, count=12)
    pad = record(TARGET, [[0.25, 0.0], [0.0, 0.25]], label=NO_LABEL, count=3)
    clear, disc, label, _, other = markers.targets(np.concatenate([north, pad]), HEADER).markers
    assert clear.action == types.Marker.DELETEALL
    assert (disc.type, disc.action) == (types.Marker.CYLINDER, types.Marker.ADD)
    assert disc.scale.x == pytest.approx(4 * math.sqrt(chi2.ppf(0.95, 2)), rel=1e-4)
    assert disc.scale.y == pytest.approx(2 * math.sqrt(chi2.ppf(0.95, 2)), rel=1e-4)
    turn = disc.pose.orientation
    axis = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).apply([1.0, 0.0, 0.0])
    np.testing.assert_allclose(np.abs(axis), [0.0, 1.0, 0.0], atol=1e-6)
    place = disc.pose.position
    assert (place.x, place.y, place.z) == (3.0, 4.0, 5.0)
    assert (label.text, label.type) == ('7 ±2.00 m (12)', types.Marker.TEXT_VIEW_FACING)
    assert other.text == 'pad ±0.50 m (3)'
    assert label.pose.position.z > 5.0
    assert disc.header == label.header == clear.header == HEADER
    assert 0 < disc.color.a <= 1


def test_markers_are_told_apart():
    found = markers.targets(np.zeros(5, TARGET), HEADER).markers[1:]
    assert len({(each.ns, each.id) for each in found}) == 10
    assert all(each.scale.z > 0 for each in found)


def test_each_array_begins_by_removing_what_was_there(types):
    """So nothing has to be remembered of it; a target that is gone is gone."""
    (only,) = markers.targets(np.zeros(0, TARGET), HEADER).markers
    assert only.action == types.Marker.DELETEALL


@pytest.mark.parametrize(
    'covariance', [[[0, 0], [0, 0]], [[math.nan, 0], [0, 1]], [[1, 0], [0, -1]]]
)
def test_an_unknown_covariance_is_a_small_ellipse_and_no_error(covariance):
    _, disc, _ = markers.targets(record(TARGET, covariance), HEADER).markers
    assert disc.scale.y >= markers.MIN_AXIS
    assert math.isfinite(disc.scale.x)


def test_the_ground_in_view_is_a_closed_line(types):
    outline = np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [2.0, 2.0, 1.0]])
    locations = record(LOCATION, [[1.0, 0.0], [0.0, 1.0]], x=1.0)
    _, line, disc = markers.view(outline, locations, HEADER).markers
    assert line.type == types.Marker.LINE_STRIP
    assert [(each.x, each.y, each.z) for each in line.points] == [
        (0.0, 0.0, 1.0),
        (2.0, 0.0, 1.0),
        (2.0, 2.0, 1.0),
        (0.0, 0.0, 1.0),
    ]
    assert line.scale.x > 0
    assert line.pose.orientation.w == 1.0
    assert disc.ns == 'locations'
    assert disc.pose.position.x == 1.0


def test_without_a_view_the_last_one_is_removed():
    assert len(markers.view(None, np.zeros(0, LOCATION), HEADER).markers) == 1


def test_stages_have_a_topic_of_this_type(types, monkeypatch):
    assert markers.marker_topics() == {'markers': types.MarkerArray}
    monkeypatch.setattr(markers, 'TYPES', None)
    assert markers.marker_topics() == {}
