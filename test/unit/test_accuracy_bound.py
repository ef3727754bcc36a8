# SPDX-License-Identifier: Apache-2.0
"""The bound of accuracy: the error model, and the best estimate under it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.accuracy.bound import (
    Best,
    Sightings,
    best_alone,
    best_together,
    covariance,
    expected_quantile,
    expected_rms,
    independent_axes,
    sightings_of,
)
from benchmarks.accuracy.chain import Chain
from benchmarks.accuracy.figures import places_of
from benchmarks.accuracy.flight import PLACES, Flight, PixelNoise, projected
from worker_pipeline.airside.simulation.sensors import ErrorModel, SensorNoise

NONE = ErrorModel((0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0))
PIXELS = PixelNoise(marker=0.1, disc=0.15)


def alike(pads, times, pixel=0.0):
    """Return sightings that depend only on the vehicle's position, and move a metre per pixel."""
    count = len(pads)
    jacobians = np.zeros((count, 2, 12))
    jacobians[:, :, 0:2] = jacobians[:, :, 2:4] = np.eye(2)
    return Sightings(
        pads=pads,
        jacobians=jacobians,
        times=np.column_stack([times, times]).astype(float),
        shares=np.tile([1.0, 0.0], (count, 1)),
        pixel=np.full(count, pixel),
    )


def noise(wander=0.0, correlation_time=1.0, white=0.0):
    position = ErrorModel((wander, wander, 0.0), correlation_time, (white, white, 0.0))
    return SensorNoise(position, NONE, NONE, NONE)


def test_independent_errors_are_averaged_away():
    seen = alike([0] * 4, [0.0, 1.0, 2.0, 3.0])
    best = best_alone(seen, covariance(seen, noise(white=2.0)))
    np.testing.assert_allclose(best.covariance, np.eye(2))


def test_pixel_noise_is_averaged_away_and_slow_drift_is_not():
    seen = alike([0] * 4, [0.0, 1.0, 2.0, 3.0], pixel=2.0)
    best = best_alone(seen, covariance(seen, noise(wander=3.0, correlation_time=1e12)))
    np.testing.assert_allclose(best.covariance, (9.0 + 1.0) * np.eye(2), rtol=1e-6)


def test_two_images_of_one_measurement_share_its_white_error():
    """The vehicle measures every 0.02 s."""
    seen = alike([0, 0], [0.101, 0.119])
    best = best_alone(seen, covariance(seen, noise(white=1.0)) + 1e-9 * np.eye(4))
    np.testing.assert_allclose(best.covariance, np.eye(2), rtol=1e-6)


def test_a_pad_seen_beside_a_revisited_one_is_known_better():
    seen = alike([0, 1, 1], [0.0, 0.0, 500.0], pixel=0.01)
    errors = covariance(seen, noise(wander=1.0, correlation_time=10.0))
    alone, together = best_alone(seen, errors), best_together(seen, errors)
    np.testing.assert_allclose(alone.covariances()[0], np.eye(2), rtol=1e-3)
    np.testing.assert_allclose(together.covariances(), [np.eye(2) / 2] * 2, rtol=1e-3)
    # The second was off by 1 m when both were seen: half of it for both.
    locations = np.array([[5.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(together.of(locations)[:, 0], [4.5, 0.5], atol=1e-3)


@pytest.mark.slow
def test_the_errors_of_simulated_flights_match_the_bound():
    """Of the stages' own locations: each with each, over two flights (chi-square, 99.9%)."""
    total, axes = 0.0, 0
    for seed in range(1, 3):
        flight = Flight(seed)
        chain = Chain(flight.odometry)
        seen, located = [], []
        for frame in projected(flight, PIXELS, period=0.5):
            if frame.pads:
                located.append(places_of(chain.add(frame.detections, frame.time)))
                seen += [(frame.time, pad) for pad in frame.pads]
        errors = covariance(sightings_of(flight, seen, PIXELS), flight.noise)
        offsets = np.concatenate(located) - PLACES[[pad for _, pad in seen]]
        total += offsets.ravel() @ np.linalg.solve(errors, offsets.ravel())
        axes += offsets.size
    # Enough to be nearly Gaussian.
    assert total / axes == pytest.approx(1.0, abs=3.3 * math.sqrt(2 / axes))


@pytest.mark.parametrize(('shared', 'axes'), [(0.0, 6.0), (1.0 - 1e-12, 2.0)])
def test_pads_with_common_errors_count_as_fewer(shared, axes):
    between = (1 - shared) * np.eye(3) + shared * np.ones((3, 3))
    best = Best([0, 1, 2], np.zeros((6, 0)), np.kron(between, np.diag([1.0, 4.0])))
    assert independent_axes(best) == pytest.approx(axes)


def test_the_expected_error_follows_from_a_covariance():
    circle = np.array([np.eye(2)])
    assert expected_quantile(circle, 0.5) == pytest.approx(math.sqrt(2 * math.log(2)), rel=1e-6)
    assert expected_rms(circle) == pytest.approx(math.sqrt(2))
    ellipses = np.array([[[4.0, 1.0], [1.0, 1.0]], [[0.5, 0.0], [0.0, 0.1]]])
    random = np.random.default_rng(5)
    drawn = np.concatenate([random.multivariate_normal([0, 0], c, 40_000) for c in ellipses])
    lengths = np.hypot(*drawn.T)
    assert expected_quantile(ellipses, 0.9) == pytest.approx(np.quantile(lengths, 0.9), rel=0.02)
