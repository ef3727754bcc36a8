"""How accurate anybody could be, given the errors of what is measured.

What the sensors are wrong by is known as a model: what wanders is a Gauss-Markov process, the rest
is new each time. So the covariance of all sightings of a flight is known, each with each, to the
first order; and with it the best linear estimate that is right on average, which for Gaussian
errors no other such estimate is better than (generalised least squares; its covariance is the
Cramer-Rao bound).

It knows the model and which sighting is whose, which nobody does in the air. It makes use of the
pose of each image, as data_merge has it, and not of velocities or of how a vehicle can move.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import attrs
import numpy as np

from benchmarks.accuracy.flight import PLACES, Flight, PixelNoise
from worker_pipeline.airside.geometry import Matrix, Vector, rotation_matrix
from worker_pipeline.airside.pinhole import CameraPose
from worker_pipeline.airside.placing.location_covariance import Sighting, location_jacobian
from worker_pipeline.simulation.pads import REFERENCE_PADS
from worker_pipeline.simulation.sensors import Error, SensorNoise

_PIXEL, _POSITION, _ATTITUDE = slice(0, 2), slice(2, 5), slice(5, 8)
_UP = np.array([0.0, 0.0, 1.0])


@attrs.frozen(eq=False)
class Sightings:
    """N sightings, the errors of which are known.

    ``pads`` (N): which pad each is of. ``jacobians`` (N, 2, 12): as ``location_jacobian`` has them.
    ``times`` (N, 2), s, and ``shares`` (N, 2): of the two odometry messages that the image lies
    between. ``pixel`` (N): standard deviations, pixels.
    """

    pads: Sequence[int]
    jacobians: Matrix
    times: Vector
    shares: Vector
    pixel: Vector


@attrs.frozen(eq=False)
class Best:
    """The best estimate of some pads.

    ``pads`` (P): of which. ``weights`` (2P, 2N): of the sightings. ``covariance``: (2P, 2P), m^2.
    East and north in turn.
    """

    pads: Sequence[int]
    weights: Matrix
    covariance: Matrix

    def of(self, locations: Vector) -> Vector:
        """The places (P, 2) that the sightings' locations (N, 2) give, m."""
        return np.asarray((self.weights @ locations.ravel()).reshape(-1, 2))

    def covariances(self) -> Matrix:
        """(P, 2, 2), m^2: of each pad by itself."""
        blocks = self.covariance.reshape(len(self.pads), 2, len(self.pads), 2)
        return np.array([blocks[pad, :, pad] for pad in range(len(self.pads))])


def sightings_of(flight: Flight, seen: Sequence[tuple[float, int]], noise: PixelNoise) -> Sightings:
    """Those of a flight: the time (s) of each and the pad that it is of."""
    told = [time for time, _ in flight.odometry]
    times, shares, jacobians = [], [], []
    for time, pad in seen:
        after = min(max(1, bisect.bisect_left(told, time)), len(told) - 1)
        early, late = told[after - 1], told[after]
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
    """(2N, 2N), m^2: of the locations, each with each; east and north in turn."""
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
    """All pads from all sightings: what two pads have in common tells of both."""
    pads = sorted(set(sightings.pads))
    design = np.zeros((len(sightings.pads), 2, len(pads), 2))
    for row, pad in enumerate(sightings.pads):
        design[row, :, pads.index(pad)] = np.eye(2)
    flat = design.reshape(2 * len(sightings.pads), 2 * len(pads))
    solved = np.linalg.solve(errors, flat)
    found = np.linalg.inv(flat.T @ solved)
    return Best(pads, found @ solved.T, found)


def best_alone(sightings: Sightings, errors: Matrix) -> Best:
    """Each pad from its own sightings alone, as a filter for each target has it."""
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
    """How many independent axes tell as much of the estimates' honesty as all of them do.

    The pads of a flight share its errors. The mean of their normalised squared errors varies as
    that of so many independent ones would (Satterthwaite).
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
    """The distance (m) that ``share`` of the errors of all those covariances (N, 2, 2) stay below.

    The length of a Gaussian vector towards each angle is Rayleigh's: so the mean over the angles.
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
    """m, of the lengths of the errors of all those covariances (N, 2, 2)."""
    return float(np.sqrt(np.mean(np.trace(covariances, axis1=1, axis2=2))))


def _correlations(sightings: Sightings, error: Error, period: float) -> tuple[Matrix, Matrix]:
    """(N, N) each: of what wanders, and of what is new in each measurement of the vehicle's."""
    count = len(sightings.pads)
    slow, quick = np.zeros((count, count)), np.zeros((count, count))
    for one in (0, 1):
        for other in (0, 1):
            shares = np.outer(sightings.shares[:, one], sightings.shares[:, other])
            first, second = sightings.times[:, one, None], sightings.times[None, :, other]
            slow += shares * np.exp(-np.abs(first - second) / error.remembered)
            # As the vehicle's own measurements go: what is white stays for their period.
            quick += shares * (_measurement(first, period) == _measurement(second, period))
    return slow, quick


def _measurement(times: Vector, period: float) -> Vector:
    return np.floor(times / period + 1e-6)


def _jacobian(flight: Flight, time: float, pad: int) -> Matrix:
    body = flight.truth.state(time).pose
    pose = CameraPose.of(body, flight.mounting)
    place = np.append(PLACES[pad], 0.0)
    rays = flight.camera.rays(pose.pixels_of(flight.camera, place))
    return location_jacobian(
        Sighting(
            ray=rays[0],
            ray_jacobian=flight.camera.ray_jacobians(rays)[0],
            world_from_body=rotation_matrix(body.orientation),
            reach=float(np.linalg.norm(place - pose.position) / np.linalg.norm(rays[0])),
            normal=_UP,
        ),
        flight.mounting,
    )
