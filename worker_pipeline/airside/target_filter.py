"""One target's filter: an estimate that knows that errors close in time are alike.

The error of a sighting has two parts. One is its own: pixels, and what is new in each attitude. The
other wanders slowly, above all the vehicle's own position: sightings of one pass share it, and a
thousand of them do not average it away. So the filter's state has, beside the target's place, that
slow error at the time of the last sighting, as a Gauss-Markov process of first order; how large it
is follows from each sighting's own covariance. See Bar-Shalom, Li, Kirubarajan, "Estimation with
Applications to Tracking and Navigation" (2001), on autocorrelated noise and state augmentation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry import Matrix, Vector

# What is known of one target. state: east, north (m), and the slow error in units of its own
# deviation, in two axes; covariance: the state's; time: ns, of the last sighting; mean: of all
# sightings, as in AVERAGED; squares: m^2, the sum of their squared distances from it.
TRACK = np.dtype(
    [
        ('label', 'i4'),
        ('count', 'u4'),
        ('time', 'i8'),
        ('state', 'f8', 4),
        ('covariance', 'f8', (4, 4)),
        ('mean', 'f8', 6),
        ('squares', 'f8', 2),
    ]
)
AVERAGED = ('x', 'y', 'z', 'latitude', 'longitude', 'confidence')

Tracks = npt.NDArray[np.void]
_LONGITUDE = AVERAGED.index('longitude')


class Sighting(NamedTuple):
    """One location. ``values`` as in AVERAGED; ``covariance``: m^2 (2, 2); ``time``: ns."""

    values: Vector
    covariance: Matrix
    time: int


class Innovations(NamedTuple):
    """How a sighting fits each of K tracks: the residuals (K, 2), m, and their covariances."""

    residuals: Vector
    covariances: Matrix
    distances: Vector  # squared, normalised (Mahalanobis)


@attrs.frozen
class TargetFilter:
    """``correlated_share`` (0 to below 1) of a sighting's covariance is the slow error's.

    That decays with ``correlation_time`` (s). With a share of 0 every sighting is news, as in a
    plain Kalman filter.
    """

    correlated_share: float
    correlation_time: float

    def begun(self, label: int, sighting: Sighting) -> Tracks:
        """The track (1,) of a target that was seen once."""
        track = np.zeros(1, TRACK)
        slow = self._slow(sighting)
        track['label'], track['count'], track['time'] = label, 1, sighting.time
        track['state'][0, :2] = sighting.values[:2]
        track['covariance'][0] = np.block([[sighting.covariance, -slow], [-slow.T, np.eye(2)]])
        track['mean'][0] = sighting.values
        return track

    def innovations(self, tracks: Tracks, sighting: Sighting) -> Innovations:
        """How a sighting fits each of the tracks (K,)."""
        states, covariances = self._predicted(tracks, sighting.time)
        observed = self._observed(sighting)
        residuals = sighting.values[:2] - states @ observed.T
        spread = observed @ covariances @ observed.T + self._own(sighting)
        solved = np.linalg.solve(spread, residuals[..., None])[..., 0]
        return Innovations(residuals, spread, np.sum(residuals * solved, axis=1))

    def updated(self, track: Tracks, sighting: Sighting) -> Tracks:
        """The track (1,) with one sighting more."""
        (state,), (covariance,) = self._predicted(track, sighting.time)
        observed, own = self._observed(sighting), self._own(sighting)
        spread = observed @ covariance @ observed.T + own
        gain = np.linalg.solve(spread, observed @ covariance).T
        kept = np.eye(4) - gain @ observed
        fresh = track.copy()
        fresh['state'][0] = state + gain @ (sighting.values[:2] - observed @ state)
        # In Joseph's form it stays symmetric and positive, however often.
        fresh['covariance'][0] = kept @ covariance @ kept.T + gain @ own @ gain.T
        fresh['time'] = sighting.time
        seen = np.zeros(1, TRACK)
        seen['count'], seen['mean'][0] = 1, sighting.values
        return _with_sightings(fresh, seen)

    def fused(self, first: Tracks, second: Tracks) -> Tracks:
        """Two tracks (1,) of one target as one.

        How much of their errors they have in common is not known: covariance intersection, which
        is right whatever it is.
        """
        time = max(int(first['time'][0]), int(second['time'][0]))
        parts = [self._predicted(each, time) for each in (first, second)]
        traces = np.array([np.trace(covariances[0, :2, :2]) for _, covariances in parts])
        information, weighted = np.zeros((4, 4)), np.zeros(4)
        for (states, covariances), weight in zip(parts, traces[::-1] / traces.sum(), strict=True):
            inverse = weight * np.linalg.inv(covariances[0])
            information += inverse
            weighted += inverse @ states[0]
        fresh = first.copy()
        covariance = np.linalg.inv(information)
        fresh['covariance'][0] = (covariance + covariance.T) / 2
        fresh['state'][0] = covariance @ weighted
        fresh['time'] = time
        return _with_sightings(fresh, second)

    def _predicted(self, tracks: Tracks, time: int) -> tuple[Vector, Matrix]:
        """States (K, 4) and covariances (K, 4, 4) at a time; not earlier than the last sighting.

        A clock that jumps back tells nothing of how much the slow error has changed: not at all.
        """
        passed = np.maximum(0, time - tracks['time']) * 1e-9
        with np.errstate(divide='ignore', invalid='ignore'):
            decay = np.where(passed > 0, np.exp(-passed / self.correlation_time), 1.0)
        states, covariances = tracks['state'].copy(), tracks['covariance'].copy()
        states[:, 2:] *= decay[:, None]
        covariances[:, 2:, :] *= decay[:, None, None]
        covariances[:, :, 2:] *= decay[:, None, None]
        covariances[:, 2:, 2:] += (1 - decay**2)[:, None, None] * np.eye(2)
        return states, covariances

    def _slow(self, sighting: Sighting) -> Matrix:
        """2x2: the slow error in m, of that in units of its deviation."""
        return np.asarray(
            math.sqrt(self.correlated_share) * np.linalg.cholesky(sighting.covariance), np.float64
        )

    def _own(self, sighting: Sighting) -> Matrix:
        return (1 - self.correlated_share) * sighting.covariance

    def _observed(self, sighting: Sighting) -> Matrix:
        return np.hstack([np.eye(2), self._slow(sighting)])


def _with_sightings(track: Tracks, more: Tracks) -> Tracks:
    """The track (1,) with the count, mean and squares of another's sightings added."""
    fresh: Tracks = track.copy()
    counts = float(track['count'][0]), float(more['count'][0])
    total = sum(counts)
    offset = more['mean'][0] - track['mean'][0]
    offset[_LONGITUDE] = (offset[_LONGITUDE] + 180) % 360 - 180
    mean = track['mean'][0] + offset * counts[1] / total
    mean[_LONGITUDE] = (mean[_LONGITUDE] + 180) % 360 - 180
    fresh['mean'][0] = mean
    fresh['squares'][0] += more['squares'][0] + offset[:2] ** 2 * counts[0] * counts[1] / total
    fresh['count'] = round(total)
    return fresh
