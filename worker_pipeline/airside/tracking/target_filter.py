# SPDX-License-Identifier: Apache-2.0
"""The filter of one target, which models errors that are correlated in time.

The error of a sighting has two parts. One is independent: pixels, and attitude noise. The other
drifts slowly, above all the vehicle's own position: the sightings of one pass share it, and
averaging a thousand of them does not remove it. So the state holds, besides the target's position,
this slow error at the last sighting, a first-order Gauss-Markov process, whose variance follows
from each sighting's covariance. It is kept in metres: in units of each sighting's deviation, a
change of the deviation between images would look like information about the error. See Bar-Shalom,
Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), on autocorrelated
noise and state augmentation.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry.rotations import Matrix, Vector

# The state of one target. state: east, north, and the slow error towards east and north, m;
# covariance: of the state; time: ns, of the last sighting; mean: of all sightings, as in AVERAGED;
# squares: m^2, the sum of their squared distances from the mean.
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
_OBSERVED = np.hstack([np.eye(2), np.eye(2)])  # measured is the position plus the slow error


class Sighting(NamedTuple):
    """One location. ``values`` as in AVERAGED; ``covariance``: m^2 (2, 2); ``time``: ns."""

    values: Vector
    covariance: Matrix
    time: int


class Innovations(NamedTuple):
    """The fit of a sighting to K tracks: residuals (K, 2), m, and their covariances (K, 2, 2)."""

    residuals: Vector
    covariances: Matrix
    distances: Vector  # (K,), squared, normalised (Mahalanobis)


@attrs.frozen
class TargetFilter:
    """A Kalman filter augmented with the slow error.

    ``correlated_share`` (0 to below 1): the slow error's share of a sighting's covariance.
    ``correlation_time``: s, of its decay. A share of 0 gives a plain Kalman filter.
    """

    correlated_share: float
    correlation_time: float

    def new_track(self, label: int, sighting: Sighting) -> Tracks:
        """Return the track (1,) of a target that was seen once."""
        track = np.zeros(1, TRACK)
        slow = self._slow(sighting)
        track['label'], track['count'], track['time'] = label, 1, sighting.time
        track['state'][0, :2] = sighting.values[:2]
        track['covariance'][0] = np.block([[sighting.covariance, -slow], [-slow, slow]])
        track['mean'][0] = sighting.values
        return track

    def innovations(self, tracks: Tracks, sighting: Sighting) -> Innovations:
        """Return the innovations of a sighting for each of the tracks (K,)."""
        states, covariances = self._predicted(tracks, sighting.time, self._slow(sighting))
        residuals = sighting.values[:2] - states @ _OBSERVED.T
        spread = _OBSERVED @ covariances @ _OBSERVED.T + self._own(sighting)
        solved = np.linalg.solve(spread, residuals[..., None])[..., 0]
        return Innovations(residuals, spread, np.sum(residuals * solved, axis=1))

    def update(self, track: Tracks, sighting: Sighting) -> Tracks:
        """Return the track (1,) updated by a sighting."""
        slow, own = self._slow(sighting), self._own(sighting)
        (state,), (covariance,) = self._predicted(track, sighting.time, slow)
        spread = _OBSERVED @ covariance @ _OBSERVED.T + own
        gain = np.linalg.solve(spread, _OBSERVED @ covariance).T
        kept = np.eye(4) - gain @ _OBSERVED
        fresh = track.copy()
        fresh['state'][0] = state + gain @ (sighting.values[:2] - _OBSERVED @ state)
        # Joseph's form stays symmetric and positive definite after any number of updates.
        fresh['covariance'][0] = kept @ covariance @ kept.T + gain @ own @ gain.T
        fresh['time'] = sighting.time
        seen = np.zeros(1, TRACK)
        seen['count'], seen['mean'][0] = 1, sighting.values
        return _with_sightings(fresh, seen)

    def fuse(self, first: Tracks, second: Tracks) -> Tracks:
        """Return two tracks (1,) of one target merged into one.

        The correlation of their errors is unknown, so covariance intersection is used, which is
        consistent for any correlation.
        """
        time = max(int(first['time'][0]), int(second['time'][0]))
        # Over the time between them the slow error changes, but its variance stays the same.
        parts = [
            self._predicted(each, time, each['covariance'][:, 2:, 2:]) for each in (first, second)
        ]
        (state,), (other,) = (states for states, _ in parts)
        traces = np.array([np.trace(covariances[0, :2, :2]) for _, covariances in parts])
        # The more certain one has more weight. The weights make two independent estimates of them.
        weights = traces[::-1] / traces.sum()
        covariance, others = (
            covariances[0] / weight for (_, covariances), weight in zip(parts, weights, strict=True)
        )
        # Without a slow error that part of both is zero and has no inverse.
        gain = covariance @ np.linalg.pinv(covariance + others, hermitian=True)
        fresh = first.copy()
        joint = covariance - gain @ covariance
        fresh['covariance'][0] = (joint + joint.T) / 2
        fresh['state'][0] = state + gain @ (other - state)
        fresh['time'] = time
        return _with_sightings(fresh, second)

    def _predicted(self, tracks: Tracks, time: int, slow: Matrix) -> tuple[Vector, Matrix]:
        """Return states (K, 4) and covariances (K, 4, 4) predicted for ``time``.

        ``slow``: m^2, (2, 2) or (K, 2, 2), the stationary covariance of the slow error.

        If the clock jumps back, the slow error is kept unchanged.
        """
        passed = np.maximum(0, time - tracks['time']) * 1e-9
        with np.errstate(divide='ignore', invalid='ignore'):
            decay = np.where(passed > 0, np.exp(-passed / self.correlation_time), 1.0)
        states, covariances = tracks['state'].copy(), tracks['covariance'].copy()
        states[:, 2:] *= decay[:, None]
        covariances[:, 2:, :] *= decay[:, None, None]
        covariances[:, :, 2:] *= decay[:, None, None]
        covariances[:, 2:, 2:] += (1 - decay**2)[:, None, None] * slow
        return states, covariances

    def _slow(self, sighting: Sighting) -> Matrix:
        return self.correlated_share * sighting.covariance

    def _own(self, sighting: Sighting) -> Matrix:
        return (1 - self.correlated_share) * sighting.covariance


def _with_sightings(track: Tracks, more: Tracks) -> Tracks:
    """Return the track (1,) with the count, mean and squares of another's sightings added."""
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
