# SPDX-License-Identifier: Apache-2.0
"""Targets from the pipeline, and their assignment to pads."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from targets import cloud

from worker_pipeline.airside.geometry.plane_error import chi_square
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.mission.estimate import Finding, match_pads, to_estimates
from worker_pipeline.airside.simulation.pads import Pad


def estimate(var_east=0.25, var_north=0.25, cov_east_north=0.0, label=4):
    """Return an estimate at 10 m east, 20 m north."""
    records = cloud((label, 10.0, 20.0))
    records['var_east'], records['var_north'] = var_east, var_north
    records['cov_east_north'] = cov_east_north
    return to_estimates(records)[0]


def test_without_targets_there_are_no_estimates():
    assert to_estimates(None) == []
    assert to_estimates(cloud()) == []


def test_an_estimate_has_the_values_of_its_target():
    records = cloud((4, 10.0, 20.5), count=7, deviation=0.5)
    records['variance'], records['cov_east_north'] = 0.0625, 0.125
    [target] = to_estimates(records)
    assert (target.label, target.name, target.sightings) == (4, 'marker 4', 7)
    assert (target.east, target.north, target.scatter) == (10.0, 20.5, 0.25)
    assert target.covariance.tolist() == [[0.25, 0.125], [0.125, 0.25]]
    assert target.latitude == records[0]['latitude']
    assert target.longitude == records[0]['longitude']


def test_the_deviation_is_that_of_the_worst_direction():
    assert estimate(0.04, 0.09).deviation == pytest.approx(0.3)
    # Along the diagonal 0.25 + 0.11, across it 0.25 - 0.11.
    assert estimate(0.25, 0.25, -0.11).deviation == pytest.approx(0.6)


def test_an_error_is_measured_by_its_own_covariance():
    target = estimate(0.04, 1.0)
    assert target.normalised_square(10.4, 20.0) == pytest.approx(4.0)
    assert target.normalised_square(10.0, 20.4) == pytest.approx(0.16)
    target = estimate(0.3, 0.2, 0.15)
    off = np.array([0.5, -0.7])
    assert target.normalised_square(10.5, 19.3) == pytest.approx(
        off @ np.linalg.inv(target.covariance) @ off
    )


def test_normalised_squares_of_consistent_estimates_are_chi_square():
    random = np.random.default_rng(3)
    target = estimate(0.3, 0.2, 0.15)
    places = random.multivariate_normal([target.east, target.north], target.covariance, 4000)
    squares = np.array([target.normalised_square(*place) for place in places])
    assert squares.mean() == pytest.approx(2.0, abs=0.15)
    for probability in (0.5, 0.95):
        share = (squares < chi_square(probability)).mean()
        assert share == pytest.approx(probability, abs=0.025)


def test_the_quantiles_match_published_tables():
    assert chi_square(0.95) == pytest.approx(5.991, abs=1e-3)
    assert chi_square(0.999) == pytest.approx(13.816, abs=1e-3)


def test_every_corner_of_the_ellipse_is_equally_likely():
    target = estimate(0.3, 0.2, 0.15)
    corners = target.ellipse(0.95)
    squares = [target.normalised_square(*corner) for corner in corners]
    assert np.allclose(squares, chi_square(0.95))
    reach = np.linalg.norm(corners - [target.east, target.north], axis=1).max()
    assert reach == pytest.approx(target.deviation * math.sqrt(chi_square(0.95)), rel=0.01)


@pytest.mark.parametrize(
    'covariance',
    [(0.0, 0.0, 0.0), (-1.0, -1.0, 0.0), (0.1, 0.1, 0.2), (math.nan, 0.1, 0.0), (math.inf, 1, 0)],
)
def test_an_invalid_covariance_allows_no_error(covariance):
    target = estimate(*covariance)
    assert not target.has_covariance
    assert math.isnan(target.deviation)
    assert target.normalised_square(10.0, 20.0) == math.inf
    with pytest.raises(ValueError, match='allowed: finite and positive definite'):
        target.ellipse(0.95)


def test_the_error_of_a_finding_is_the_distance_to_its_target():
    finding = Finding(Pad(4, 10.3, 20.4), estimate())
    assert finding.error == pytest.approx(0.5)
    assert finding.normalised_square == pytest.approx(1.0)
    missed = attrs.evolve(finding, estimate=None)
    assert (missed.error, missed.normalised_square) == (None, None)


def test_pads_without_a_marker_are_matched_to_the_nearest_target():
    pads = [Pad(NO_LABEL, 0.0, 0.0), Pad(NO_LABEL, 30.0, 0.0)]
    targets = cloud((NO_LABEL, 29.0, 0.0), (NO_LABEL, 16.0, 0.0))
    findings, left = match_pads(pads, to_estimates(targets))
    assert [finding.error for finding in findings] == [16.0, 1.0]
    assert not left


def test_a_target_with_another_label_is_not_matched():
    findings, left = match_pads([Pad(4, 0.0, 0.0)], to_estimates(cloud((5, 0.0, 0.0))))
    assert findings[0].estimate is None
    assert [each.label for each in left] == [5]


def test_a_target_without_a_position_is_not_matched():
    nowhere, there = cloud((4, math.nan, 0.0)), cloud((4, 9.0, 0.0))
    findings, left = match_pads([Pad(4, 0.0, 0.0)], to_estimates(np.concatenate([nowhere, there])))
    assert findings[0].error == 9.0
    assert [each.has_place for each in left] == [False]
