"""Sightings gathered into targets."""

from __future__ import annotations

import numpy as np
import pytest
from flown import ready
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.records import LOCATION, NO_LABEL


def sightings(*places, label=3, confidence=1.0):
    records = np.zeros(len(places), LOCATION)
    if places:
        records['x'], records['y'] = np.transpose(places)
    records['label'], records['confidence'] = label, confidence
    records['latitude'] = 45.0 + records['y'] * 1e-5
    return point_cloud.to_message(records, 'map')


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


def test_sightings_weigh_as_much_as_they_are_sure():
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    stage.process(sightings((0.0, 0.0), confidence=1.0))
    (target,) = told(stage, sightings((1.0, 0.0), confidence=0.25))
    assert target['x'] == pytest.approx(0.2)


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


def test_a_sighting_that_is_no_number_is_left_out():
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    answer = told(stage, sightings((np.nan, 1.0), (2.0, 1.0)))
    assert answer['x'].tolist() == [2.0]


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), max_size=60))
def test_memory_is_bounded(places):
    stage = ready(ClusterEstimation(), {'max_targets': 8, 'min_sightings': 1})
    for place in places:
        assert len(told(stage, sightings(place, label=NO_LABEL))) <= 8


def test_a_replacement_knows_what_the_dead_one_knew():
    first, second = ready(ClusterEstimation()), ready(ClusterEstimation())
    for step in range(5):
        first.process(sightings((0.1 * step, 7.0), (30.0, 0.2 * step), label=NO_LABEL))
        first.process(sightings((12.0, 0.1 * step)))
    second.restore_state(first.save_state())
    more = sightings((0.3, 7.1), label=NO_LABEL)
    np.testing.assert_array_equal(told(second, more), told(first, more))


def test_no_state_is_a_beginning_and_a_broken_one_is_refused():
    stage = ready(ClusterEstimation(), {'min_sightings': 1})
    stage.restore_state(b'')
    assert len(told(stage, sightings())) == 0
    for broken in (b'[{"label": 1}]', b'no json', b'[3]'):
        with pytest.raises(ValueError, match=r'.'):
            stage.restore_state(broken)
