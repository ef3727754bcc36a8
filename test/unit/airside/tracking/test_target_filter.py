# SPDX-License-Identifier: Apache-2.0
"""The filter of one target."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.tracking.target_filter import Sighting, TargetFilter

SECOND = 10**9
METRE = np.eye(2)


def seen(east, north=0.0, seconds=0.0, covariance=METRE, longitude=0.0):
    values = np.array([east, north, 0.0, 45.0, longitude, 1.0])
    return Sighting(values, np.asarray(covariance, float), round(seconds * SECOND))


def after(target_filter, *sightings):
    track = target_filter.new_track(7, sightings[0])
    for sighting in sightings[1:]:
        track = target_filter.update(track, sighting)
    return track


def variance(track):
    return track['covariance'][0, 0, 0]


def test_without_correlation_the_estimate_is_the_weighted_mean():
    plain = TargetFilter(0.0, 100.0)
    track = after(plain, seen(0.0), seen(3.0, covariance=METRE / 2))
    assert track['state'][0, 0] == pytest.approx(2.0)
    assert variance(track) == pytest.approx(1 / 3)


def test_the_common_error_of_a_pass_is_not_averaged_away():
    """For any number of sightings; a plain mean would claim a hundredth."""
    track = after(TargetFilter(0.6, 1e9), *(seen(0.0, seconds=0.1 * i) for i in range(100)))
    assert variance(track) == pytest.approx(0.6 + 0.4 / 100, rel=1e-3)


def test_a_later_pass_adds_information():
    passes = [seen(0.0, seconds=10_000.0 * n + 0.1 * i) for n in range(4) for i in range(100)]
    track = after(TargetFilter(0.6, 100.0), *passes)
    assert variance(track) == pytest.approx(0.6 / 4, rel=0.05)


def test_the_filter_agrees_with_the_batch_solution():
    """The recursion against generalised least squares over the same model."""
    share, correlation_time = 0.7, 20.0
    random = np.random.default_rng(3)
    times = np.sort(random.uniform(0.0, 60.0, 15))
    places = random.normal(0.0, 1.0, 15)
    track = after(
        TargetFilter(share, correlation_time),
        *(seen(place, seconds=time) for place, time in zip(places, times, strict=True)),
    )
    apart = np.abs(times[:, None] - times[None]) / correlation_time
    inverse = np.linalg.inv(share * np.exp(-apart) + (1 - share) * np.eye(15))
    assert variance(track) == pytest.approx(1 / inverse.sum(), rel=1e-6)
    assert track['state'][0, 0] == pytest.approx(inverse.sum(axis=0) @ places / inverse.sum())


def test_a_changing_covariance_reveals_nothing_of_the_common_error():
    """The second sighting is less certain, with the same error: the estimate stays between both."""
    track = after(TargetFilter(0.95, 1e9), seen(0.0), seen(0.5, covariance=2 * METRE, seconds=0.1))
    assert 0.0 <= track['state'][0, 0] <= 0.5


def test_a_clock_that_jumps_back_adds_no_certainty():
    steady = TargetFilter(0.6, 10.0)
    forth = after(steady, seen(0.0, seconds=5000.0), seen(0.0, seconds=5000.0))
    back = after(steady, seen(0.0, seconds=5000.0), seen(0.0, seconds=1.0))
    assert variance(back) == variance(forth)


@given(
    st.lists(
        st.tuples(
            st.floats(-1e3, 1e3),
            st.floats(-1e3, 1e3),
            st.floats(-10.0, 1e4),
            st.floats(0.05, 10.0),
            st.floats(0.05, 10.0),
            st.floats(-0.99, 0.99),
        ),
        min_size=2,
        max_size=40,
    ),
    st.sampled_from([0.0, 0.6, 0.99]),
)
def test_the_covariance_stays_positive_and_never_grows(given_sightings, share):
    target_filter = TargetFilter(share, 100.0)
    track, before = None, np.inf
    for east, north, seconds, first, second, correlation in given_sightings:
        both = correlation * first * second
        sighting = seen(east, north, seconds, [[first**2, both], [both, second**2]])
        if track is None:
            track = target_filter.new_track(1, sighting)
        else:
            track = target_filter.update(track, sighting)
        place = track['covariance'][0, :2, :2]
        assert np.linalg.eigvalsh(place).min() > 0
        assert np.trace(place) <= before * (1 + 1e-9)
        before = np.trace(place)


@pytest.mark.parametrize('share', [0.0, 0.6])
def test_fusing_two_tracks_is_not_overconfident(share):
    """Their correlation is unknown: the same sightings twice add no information."""
    target_filter = TargetFilter(share, 100.0)
    track = after(target_filter, seen(1.0), seen(2.0, seconds=1.0))
    fused = target_filter.fuse(track, track)
    np.testing.assert_allclose(fused['state'], track['state'])
    np.testing.assert_allclose(fused['covariance'], track['covariance'], atol=1e-12)
    assert fused['count'] == 4


def test_the_mean_longitude_is_correct_across_the_date_line():
    track = after(
        TargetFilter(0.6, 100.0), seen(0.0, longitude=179.9999), seen(0.0, longitude=-179.9999)
    )
    assert abs(track['mean'][0, 4]) == pytest.approx(180.0, abs=1e-9)
