# SPDX-License-Identifier: Apache-2.0
"""Clustering of sightings into targets."""

from __future__ import annotations

import numpy as np
import pytest
from flown import CAMERA, MOUNTED, configured, stamp_at
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import LOCATION, NO_LABEL
from worker_pipeline.airside.simulation.sightings import PADS, SightingErrors, SurveyViews
from worker_pipeline.airside.simulation.sightings import sightings as simulated


def sightings(*places, label=3, confidence=1.0, deviation=1.0, seconds=0.0):
    records = np.zeros(len(places), LOCATION)
    if places:
        records['x'], records['y'] = np.transpose(places)
    records['label'], records['confidence'] = label, confidence
    records['latitude'] = 45.0 + records['y'].astype(float) * 1e-5
    records['var_east'] = records['var_north'] = deviation**2
    message = point_cloud.to_message(records, 'map')
    message.header.stamp = stamp_at(seconds)
    return message


def targets_after(stage, message):
    return point_cloud.from_message(stage.process(message))


def test_an_estimate_is_the_mean_of_its_sightings():
    stage = configured(ClusterEstimation())
    stage.process(sightings((10.0, 20.0)))
    stage.process(sightings((10.2, 20.4)))
    (target,) = targets_after(stage, sightings((10.4, 20.2)))
    assert (target['label'], target['count']) == (3, 3)
    assert target['x'] == pytest.approx(10.2)
    assert target['y'] == pytest.approx(20.2)
    assert target['latitude'] == pytest.approx(45.000202)
    assert target['variance'] == pytest.approx(np.var([10.0, 10.2, 10.4]), rel=1e-3)
    # All of one pass: their common error remains.
    assert target['var_east'] == pytest.approx(0.6 + 0.4 / 3, rel=0.01)


def test_sightings_are_weighted_by_their_covariance():
    stage = configured(ClusterEstimation(), {'min_sightings': 1, 'correlated_share': 0.0})
    stage.process(sightings((0.0, 0.0), deviation=1.0))
    (target,) = targets_after(stage, sightings((1.0, 0.0), deviation=2.0))
    assert target['x'] == pytest.approx(0.2, abs=0.001)
    # The position in degrees is that of the estimate, not the mean of the sightings.
    stage.process(sightings((9.0, 0.0), label=5, deviation=1.0))
    (_, moved) = targets_after(stage, sightings((9.0, 1.0), label=5, deviation=2.0))
    assert moved['latitude'] == pytest.approx(45.0 + 0.5e-5 - 0.3 / 111_132, abs=1e-8)


def test_every_item_is_answered_with_all_targets():
    stage = configured(ClusterEstimation(), {'min_sightings': 1})
    stage.process(sightings((0.0, 0.0), label=9))
    stage.process(sightings((50.0, 0.0), label=4))
    assert targets_after(stage, sightings())['label'].tolist() == [4, 9]


def test_pads_without_a_marker_are_separated_by_distance():
    stage = configured(ClusterEstimation())
    for step in range(3):
        answer = targets_after(
            stage, sightings((0.1 * step, 0.0), (30.0, 0.1 * step), label=NO_LABEL)
        )
    assert answer['count'].tolist() == [3, 3]
    np.testing.assert_allclose(answer['x'], [0.1, 30.0], atol=1e-6)


def test_two_close_pads_stay_separate_despite_a_common_error():
    """The first is then seen where the second one was: but they were seen together."""
    stage = configured(ClusterEstimation())
    for seconds, off in enumerate((0.0, 0.0, 2.0, 2.0, 0.5)):
        places = (off, 0.0), (off + 3.0, 0.0)
        answer = targets_after(stage, sightings(*places, label=NO_LABEL, seconds=1000.0 * seconds))
    assert answer['count'].tolist() == [5, 5]
    assert answer['x'][1] - answer['x'][0] == pytest.approx(3.0, abs=1e-3)


def test_a_single_sighting_does_not_attract_those_of_a_neighbour():
    stage = configured(ClusterEstimation())
    for _ in range(20):
        stage.process(sightings((0.0, 0.0), label=NO_LABEL))
    stage.process(sightings((6.0, 0.0), label=NO_LABEL, seconds=1000.0))
    (target,) = targets_after(stage, sightings((3.1, 0.0), label=NO_LABEL, seconds=2000.0))
    assert target['count'] == 21


def test_a_target_seen_once_is_not_reported():
    stage = configured(ClusterEstimation(), {'min_sightings': 2})
    assert len(targets_after(stage, sightings((0.0, 0.0)))) == 0
    assert len(targets_after(stage, sightings((0.0, 0.0)))) == 1


def test_a_marker_is_reported_once():
    """A misread marker far away neither shifts the estimate nor is it reported."""
    stage = configured(ClusterEstimation(), {'min_sightings': 1})
    for _ in range(3):
        stage.process(sightings((5.0, 5.0)))
    (target,) = targets_after(stage, sightings((90.0, 5.0)))
    assert target['x'] == pytest.approx(5.0)


def test_a_position_has_one_target_only():
    """A misread marker that is seen nowhere else is not reported either."""
    stage = configured(ClusterEstimation(), {'min_sightings': 2})
    for _ in range(5):
        stage.process(sightings((5.0, 5.0), label=7))
    stage.process(sightings((5.3, 5.0), label=1))
    assert targets_after(stage, sightings((5.3, 5.0), label=1))['label'].tolist() == [7]


def test_a_non_finite_sighting_is_left_out():
    stage = configured(ClusterEstimation(), {'min_sightings': 1})
    answer = targets_after(stage, sightings((np.nan, 1.0), (2.0, 1.0)))
    assert answer['x'].tolist() == [2.0]
    assert stage.status.values['unusable_locations'] == '1'


@pytest.mark.parametrize('covariance', [(0, 0, 0), (-1, 1, 0), (1, 1, 2), (np.nan, 1, 0)])
def test_a_sighting_without_a_covariance_uses_the_configured_deviation(covariance):
    stage = configured(ClusterEstimation(), {'min_sightings': 1, 'deviation': 3.0})
    message = sightings((1.0, 1.0))
    records = point_cloud.from_message(message).copy()
    records['var_east'], records['var_north'], records['cov_east_north'] = covariance
    message.data = records.tobytes()
    (target,) = targets_after(stage, message)
    assert target['var_east'] == pytest.approx(9.0)
    assert stage.status.values['without_covariance'] == '1'


def test_records_without_the_fields_are_rejected():
    stage = configured(ClusterEstimation())
    message = point_cloud.to_message(np.zeros(1, [('x', 'f4'), ('label', 'i4')]), 'map')
    with pytest.raises(ValueError, match=r"fields: found \['x', 'label'\]; allowed"):
        stage.process(message)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), max_size=60))
def test_memory_is_bounded(places):
    stage = configured(ClusterEstimation(), {'max_targets': 8, 'min_sightings': 1})
    for place in places:
        assert len(targets_after(stage, sightings(place, label=NO_LABEL))) <= 8
        assert len(stage.save_state()) <= 10 + 8 * 256


def test_a_replacement_restores_the_state_of_the_dead_worker():
    first, second = configured(ClusterEstimation()), configured(ClusterEstimation())
    for step in range(5):
        places = (0.1 * step, 7.0), (30.0, 0.2 * step)
        first.process(sightings(*places, label=NO_LABEL, seconds=step))
        first.process(sightings((12.0, 0.1 * step), seconds=step))
    second.restore_state(first.save_state())
    more = sightings((0.3, 7.1), label=NO_LABEL, seconds=9.0)
    np.testing.assert_array_equal(targets_after(second, more), targets_after(first, more))
    assert len(targets_after(second, sightings())) == 3


def test_an_empty_state_is_a_fresh_start_and_an_invalid_one_is_rejected():
    stage = configured(ClusterEstimation(), {'min_sightings': 1})
    stage.restore_state(b'')
    assert len(targets_after(stage, sightings())) == 0
    whole = stage.save_state()
    for broken in (b'[{"label": 1}]', b'no json', whole + b'.'):
        with pytest.raises(ValueError, match='state: found'):
            stage.restore_state(broken)


@pytest.mark.slow
def test_the_stated_errors_match_the_actual_ones():
    """Per pad over 20 flights: the normalised squared errors are in their 95% band.

    With independent errors assumed they are far from it, which is why the slow error is modelled.
    """
    views = SurveyViews(CAMERA, MOUNTED, times=2, period=0.4)
    honest, naive = np.zeros(len(PADS)), np.zeros(len(PADS))
    invented = 0
    for seed in range(20):
        flight = [each for each in simulated(views, SightingErrors(), seed) if len(each[1])]
        for share, normalised in ((0.0, naive), (0.6, honest)):
            estimates = configured(ClusterEstimation(), {'correlated_share': share}).estimates
            for seconds, located in flight:
                estimates.add(located, round(seconds * 1e9))
            targets = estimates.records()
            normalised += [error_of(pad, targets) for pad in PADS]
        invented += len(targets) - len(PADS)
    # Chi-square with 40 degrees of freedom. Of 12 pads, which share their flights, one may be
    # outside.
    inside = (honest > 24.43) & (honest < 59.34)
    assert inside.sum() >= 11, honest
    assert 24.43 < honest.mean() < 59.34
    assert naive.mean() > 3 * 59.34
    assert invented <= 5


def error_of(pad, targets):
    """Return the normalised squared error of a pad's target, which must exist."""
    alike = targets[targets['label'] == pad.label]
    offsets = np.column_stack([alike['x'] - pad.east, alike['y'] - pad.north])
    nearest = np.argmin(np.hypot(*offsets.T))
    assert np.hypot(*offsets[nearest]) < 4.0
    target, offset = alike[nearest], offsets[nearest]
    both = target['cov_east_north']
    covariance = np.array([[target['var_east'], both], [both, target['var_north']]], float)
    return offset @ np.linalg.solve(covariance, offset)
