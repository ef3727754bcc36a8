"""Sightings gathered into targets."""

from __future__ import annotations

import numpy as np
import pytest
from flown import CAMERA, MOUNTED, ready, stamp_at
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.records import LOCATION, NO_LABEL
from worker_pipeline.simulation.sightings import PADS, Errors, SurveyViews
from worker_pipeline.simulation.sightings import sightings as simulated


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


def told(stage, message):
    return point_cloud.from_message(stage.process(message))


def test_an_estimate_is_the_mean_of_its_sightings():
    stage = ready(ClusterEstimation())
    stage.process(sightings((10.0, 20.0)))
    stage.process(sightings((10.2, 20.4)))
    (target,) = told(stage, sightings((10.4, 20.2)))
    assert (target['label'], target['count']) == (3, 3)
    assert target['x'] == pytest.approx(10.2)
    assert target['y'] == pytest.approx(20.2)
    assert target['latitude'] == pytest.approx(45.000202)
    assert target['variance'] == pytest.approx(np.var([10.0, 10.2, 10.4]), rel=1e-3)
    # Of one pass: what the sightings have in common stays.
    assert target['var_east'] == pytest.approx(0.6 + 0.4 / 3, rel=0.01)


def test_sightings_weigh_as_much_as_they_are_sure():
    stage = ready(ClusterEstimation(), {'min_sightings': 1, 'correlated_share': 0.0})
    stage.process(sightings((0.0, 0.0), deviation=1.0))
    (target,) = told(stage, sightings((1.0, 0.0), deviation=2.0))
    assert target['x'] == pytest.approx(0.2, abs=0.001)
    # The place in degrees is that of the estimate, not the mean of what was seen.
    stage.process(sightings((9.0, 0.0), label=5, deviation=1.0))
    (_, moved) = told(stage, sightings((9.0, 1.0), label=5, deviation=2.0))
    assert moved['latitude'] == pytest.approx(45.0 + 0.5e-5 - 0.3 / 111_132, abs=1e-8)


def test_all_targets_are_told_for_every_item():
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    stage.process(sightings((0.0, 0.0), label=9))
    stage.process(sightings((50.0, 0.0), label=4))
    assert told(stage, sightings())['label'].tolist() == [4, 9]


def test_pads_without_a_marker_are_told_apart_by_their_distance():
    stage = ready(ClusterEstimation())
    for step in range(3):
        answer = told(stage, sightings((0.1 * step, 0.0), (30.0, 0.1 * step), label=NO_LABEL))
    assert answer['count'].tolist() == [3, 3]
    np.testing.assert_allclose(answer['x'], [0.1, 30.0], atol=1e-6)


def test_two_pads_close_together_stay_two_though_both_are_seen_off():
    """The first is then seen where the second one was: but they were seen together."""
    stage = ready(ClusterEstimation())
    for seconds, off in enumerate((0.0, 0.0, 2.0, 2.0, 0.5)):
        places = (off, 0.0), (off + 3.0, 0.0)
        answer = told(stage, sightings(*places, label=NO_LABEL, seconds=1000.0 * seconds))
    assert answer['count'].tolist() == [5, 5]
    assert answer['x'][1] - answer['x'][0] == pytest.approx(3.0, abs=1e-3)


def test_what_was_seen_once_beside_a_target_does_not_draw_its_sightings_away():
    stage = ready(ClusterEstimation())
    for _ in range(20):
        stage.process(sightings((0.0, 0.0), label=NO_LABEL))
    stage.process(sightings((6.0, 0.0), label=NO_LABEL, seconds=1000.0))
    (target,) = told(stage, sightings((3.1, 0.0), label=NO_LABEL, seconds=2000.0))
    assert target['count'] == 21


def test_what_is_seen_once_is_not_told():
    stage = ready(ClusterEstimation(), {'min_sightings': 2})
    assert len(told(stage, sightings((0.0, 0.0)))) == 0
    assert len(told(stage, sightings((0.0, 0.0)))) == 1


def test_a_marker_is_in_one_place_only():
    """A misread marker far away neither shifts the estimate nor is it told of."""
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    for _ in range(3):
        stage.process(sightings((5.0, 5.0)))
    (target,) = told(stage, sightings((90.0, 5.0)))
    assert target['x'] == pytest.approx(5.0)


def test_a_place_has_one_target_only():
    """Also a misread marker that is nowhere else is not told of."""
    stage = ready(ClusterEstimation(), {'min_sightings': 2})
    for _ in range(5):
        stage.process(sightings((5.0, 5.0), label=7))
    stage.process(sightings((5.3, 5.0), label=1))
    assert told(stage, sightings((5.3, 5.0), label=1))['label'].tolist() == [7]


def test_a_sighting_that_is_no_number_is_left_out():
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    answer = told(stage, sightings((np.nan, 1.0), (2.0, 1.0)))
    assert answer['x'].tolist() == [2.0]
    assert stage.status.values['refused'] == '1'


@pytest.mark.parametrize('covariance', [(0, 0, 0), (-1, 1, 0), (1, 1, 2), (np.nan, 1, 0)])
def test_a_sighting_without_a_covariance_has_the_deviation_that_is_set(covariance):
    stage = ready(ClusterEstimation(), {'min_sightings': 1, 'deviation': 3.0})
    message = sightings((1.0, 1.0))
    records = point_cloud.from_message(message).copy()
    records['var_east'], records['var_north'], records['cov_east_north'] = covariance
    message.data = records.tobytes()
    (target,) = told(stage, message)
    assert target['var_east'] == pytest.approx(9.0)
    assert stage.status.values['without_covariance'] == '1'


def test_what_is_no_location_is_refused_by_name():
    stage = ready(ClusterEstimation())
    message = point_cloud.to_message(np.zeros(1, [('x', 'f4'), ('label', 'i4')]), 'map')
    with pytest.raises(ValueError, match=r"fields: found \['x', 'label'\]; allowed"):
        stage.process(message)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), max_size=60))
def test_memory_is_bounded(places):
    stage = ready(ClusterEstimation(), {'max_targets': 8, 'min_sightings': 1})
    for place in places:
        assert len(told(stage, sightings(place, label=NO_LABEL))) <= 8
        assert len(stage.save_state()) <= 10 + 8 * 256


def test_a_replacement_knows_what_the_dead_one_knew():
    first, second = ready(ClusterEstimation()), ready(ClusterEstimation())
    for step in range(5):
        places = (0.1 * step, 7.0), (30.0, 0.2 * step)
        first.process(sightings(*places, label=NO_LABEL, seconds=step))
        first.process(sightings((12.0, 0.1 * step), seconds=step))
    second.restore_state(first.save_state())
    more = sightings((0.3, 7.1), label=NO_LABEL, seconds=9.0)
    np.testing.assert_array_equal(told(second, more), told(first, more))
    assert len(told(second, sightings())) == 3


def test_no_state_is_a_beginning_and_a_broken_one_is_refused():
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    stage.restore_state(b'')
    assert len(told(stage, sightings())) == 0
    whole = stage.save_state()
    for broken in (b'[{"label": 1}]', b'no json', whole + b'.'):
        with pytest.raises(ValueError, match='state: found'):
            stage.restore_state(broken)


def test_what_it_says_of_its_errors_is_so():
    """Of each pad over 20 flights: the normalised squared errors are in their 95% band.

    With every sighting as news they are far from it: that is what the slow error is modelled for.
    """
    views = SurveyViews(CAMERA, MOUNTED, times=2, period=0.4)
    honest, naive = np.zeros(len(PADS)), np.zeros(len(PADS))
    invented = 0
    for seed in range(20):
        flight = [each for each in simulated(views, Errors(), seed) if len(each[1])]
        for share, normalised in ((0.0, naive), (0.6, honest)):
            estimates = ready(ClusterEstimation(), {'correlated_share': share}).estimates
            for seconds, located in flight:
                estimates.add(located, round(seconds * 1e9))
            targets = estimates.records()
            normalised += [error_of(pad, targets) for pad in PADS]
        invented += len(targets) - len(PADS)
    # Chi-square with 40 degrees of freedom. Of 12 pads, which share their flights, one may well be
    # outside.
    inside = (honest > 24.43) & (honest < 59.34)
    assert inside.sum() >= 11, honest
    assert 24.43 < honest.mean() < 59.34
    assert naive.mean() > 3 * 59.34
    assert invented <= 5


def error_of(pad, targets):
    """The normalised squared error of a pad's target, which is to be there."""
    alike = targets[targets['label'] == pad.label]
    offsets = np.column_stack([alike['x'] - pad.east, alike['y'] - pad.north])
    nearest = np.argmin(np.hypot(*offsets.T))
    assert np.hypot(*offsets[nearest]) < 4.0
    target, offset = alike[nearest], offsets[nearest]
    both = target['cov_east_north']
    covariance = np.array([[target['var_east'], both], [both, target['var_north']]], float)
    return offset @ np.linalg.solve(covariance, offset)
