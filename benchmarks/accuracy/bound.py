# SPDX-License-Identifier: Apache-2.0
"""The bound of accuracy, given the errors of the measurements.

The errors of the sensors follow a known model: the wandering part is a Gauss-Markov process, the
rest is white. So the covariance of all sightings of a flight is known to first order; and with it
the best linear unbiased estimate (generalised least squares), which for Gaussian errors is the best
unbiased one (its covariance is the Cramer-Rao bound).

It knows the model and the assignment of the sightings, which is unknown in flight. It uses the pose
of each image, like data_merge, but neither velocities nor the dynamics of a vehicle.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import attrs
import numpy as np

from benchmarks.accuracy.flight import PLACES, Flight, PixelNoise
from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.geometry.rotations import Matrix, Vector, rotation_matrix
from worker_pipeline.airside.projection.location_covariance import (
    GroundIntersection,
    location_jacobian,
)
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS
from worker_pipeline.airside.simulation.sensors import ErrorModel, SensorNoise

_PIXEL, _POSITION, _ATTITUDE = slice(0, 2), slice(2, 5), slice(5, 8)
_UP = np.array([0.0, 0.0, 1.0])


@attrs.frozen(eq=False)
class Sightings:
    """N sightings with known errors.

    ``pads`` (N): the pad of each. ``jacobians`` (N, 2, 12): as in ``location_jacobian``. ``times``
    (N, 2), s, and ``shares`` (N, 2): of the two odometry messages around the image. ``pixel`` (N):
    standard deviations, pixels.
    """

    pads: Sequence[int]
    jacobians: Matrix
    times: Vector
    shares: Vector
    pixel: Vector


@attrs.frozen(eq=False)
class Best:
    """The best estimate of some pads.

    ``pads`` (P): their indices. ``weights`` (2P, 2N): of the sightings. ``covariance``: (2P, 2P),
    m^2. East and north alternate.
    """

    pads: Sequence[int]
    weights: Matrix
    covariance: Matrix

    def of(self, locations: Vector) -> Vector:
        """Return the positions (P, 2) from the sightings' locations (N, 2), m."""
        return np.asarray((self.weights @ locations.ravel()).reshape(-1, 2))

    def covariances(self) -> Matrix:
        """The covariance of each pad, (P, 2, 2), m^2."""
        blocks = self.covariance.reshape(len(self.pads), 2, len(self.pads), 2)
        return np.array([blocks[pad, :, pad] for pad in range(len(self.pads))])


def sightings_of(flight: Flight, seen: Sequence[tuple[float, int]], noise: PixelNoise) -> Sightings:
    """Return the sightings of a flight from the time (s) and the pad of each."""
    odometry_times = [time for time, _ in flight.odometry]
    times, shares, jacobians = [], [], []
    for time, pad in seen:
        after = min(max(1, bisect.bisect_left(odometry_times, time)), len(odometry_times) - 1)
        early, late = odometry_times[after - 1], odometry_times[after]
        share = (time - early) / (late - early)
        times.append([early, late])
        shares.append([1 - share, share])
        jacobians.append(_jacobian(flight, time, pad))
    return Sightings(
        pads=[pad for _, pad in seen],
        jacobians=np.array(jacobians),
        times=np.array(times),
        shares=np.array(shares),
        pixel=np.array([noise.of(REFERENCE_PADS[pad]) for _, pad in seen]),
    )


def covariance(sightings: Sightings, noise: SensorNoise) -> Matrix:
    """Return the covariance (2N, 2N), m^2, of all locations; east and north alternate."""
    count = len(sightings.pads)
    whole = np.zeros((count, 2, count, 2))
    for part, error in ((_POSITION, noise.position), (_ATTITUDE, noise.attitude)):
        jacobians = sightings.jacobians[:, :, part]
        wander, white = (
            jacobians * np.asarray(deviation) for deviation in (error.wander, error.white)
        )
        slow, quick = _correlations(sightings, error, noise.period)
        whole += np.einsum('iak,jbk,ij->iajb', wander, wander, slow)
        whole += np.einsum('iak,jbk,ij->iajb', white, white, quick)
    pixels = sightings.jacobians[:, :, _PIXEL] * sightings.pixel[:, None, None]
    for each in range(count):
        whole[each, :, each] += pixels[each] @ pixels[each].T
    return whole.reshape(2 * count, 2 * count)


def best_together(sightings: Sightings, errors: Matrix) -> Best:
    """Estimate all pads from all sightings: correlation between pads carries information."""
    pads = sorted(set(sightings.pads))
    design = np.zeros((len(sightings.pads), 2, len(pads), 2))
    for row, pad in enumerate(sightings.pads):
        design[row, :, pads.index(pad)] = np.eye(2)
    flat = design.reshape(2 * len(sightings.pads), 2 * len(pads))
    solved = np.linalg.solve(errors, flat)
    found = np.linalg.inv(flat.T @ solved)
    return Best(pads, found @ solved.T, found)


def best_alone(sightings: Sightings, errors: Matrix) -> Best:
    """Estimate each pad from its own sightings only, like a filter per target."""
    pads = sorted(set(sightings.pads))
    weights = np.zeros((2 * len(pads), len(errors)))
    of_each = np.repeat(sightings.pads, 2)
    for row, pad in enumerate(pads):
        own = np.flatnonzero(of_each == pad)
        block = errors[np.ix_(own, own)]
        design = np.tile(np.eye(2), (len(own) // 2, 1))
        solved = np.linalg.solve(block, design)
        weights[2 * row : 2 * row + 2, own] = np.linalg.solve(design.T @ solved, solved.T)
    return Best(pads, weights, weights @ errors @ weights.T)


def independent_axes(best: Best) -> float:
    """Return the number of independent axes equivalent to all axes of the estimates.

    The pads of a flight share its errors. The mean of their normalised squared errors varies like
    that of this number of independent ones (Satterthwaite).
    """
    roots = [np.linalg.cholesky(each) for each in best.covariances()]
    count = len(best.pads)
    blocks = best.covariance.reshape(count, 2, count, 2)
    total = 0.0
    for row, first in enumerate(roots):
        for column, second in enumerate(roots):
            half = np.linalg.solve(first, blocks[row, :, column])
            total += float(np.sum(np.linalg.solve(second, half.T) ** 2))
    return (2 * count) ** 2 / total


def expected_quantile(covariances: Matrix, share: float) -> float:
    """Return the ``share`` quantile (m) of the errors with these covariances (N, 2, 2).

    The length of a Gaussian vector in a direction has a Rayleigh distribution: average over the
    directions.
    """
    angles = np.arange(0.0, np.pi, np.pi / 180)
    towards = np.array([np.cos(angles), np.sin(angles)])
    squares = np.concatenate(
        [np.sum((np.linalg.cholesky(each) @ towards) ** 2, axis=0) for each in covariances]
    )
    low, high = 0.0, 20.0 * float(np.sqrt(squares.max()))
    for _ in range(60):
        middle = (low + high) / 2
        if np.mean(1 - np.exp(-(middle**2) / (2 * squares))) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def expected_rms(covariances: Matrix) -> float:
    """Return the rms (m) of the errors with these covariances (N, 2, 2)."""
    return float(np.sqrt(np.mean(np.trace(covariances, axis1=1, axis2=2))))


def _correlations(sightings: Sightings, error: ErrorModel, period: float) -> tuple[Matrix, Matrix]:
    """Return the correlations (N, N) of the wandering and of the white parts of the errors."""
    count = len(sightings.pads)
    slow, quick = np.zeros((count, count)), np.zeros((count, count))
    for one in (0, 1):
        for other in (0, 1):
            shares = np.outer(sightings.shares[:, one], sightings.shares[:, other])
            first, second = sightings.times[:, one, None], sightings.times[None, :, other]
            slow += shares * np.exp(-np.abs(first - second) / error.correlation_time)
            # The white part is constant over the period of the vehicle's measurements.
            quick += shares * (_measurement(first, period) == _measurement(second, period))
    return slow, quick


def _measurement(times: Vector, period: float) -> Vector:
    return np.floor(times / period + 1e-6)


def _jacobian(flight: Flight, time: float, pad: int) -> Matrix:
    body = flight.truth.state(time).pose
    pose = CameraPose.from_body(body, flight.mounting)
    place = np.append(PLACES[pad], 0.0)
    rays = flight.camera.rays(pose.project_points(flight.camera, place))
    return location_jacobian(
        GroundIntersection(
            ray=rays[0],
            ray_jacobian=flight.camera.ray_jacobians(rays)[0],
            world_from_body=rotation_matrix(body.orientation),
            reach=float(np.linalg.norm(place - pose.position) / np.linalg.norm(rays[0])),
            normal=_UP,
        ),
        flight.mounting,
    )
