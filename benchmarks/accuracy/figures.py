# SPDX-License-Identifier: Apache-2.0
"""The errors of targets, and the consistency of their stated covariances."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from benchmarks.accuracy.flight import PLACES
from worker_pipeline.airside.geometry.rotations import Matrix, Vector
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS

# A pad counts as found with a target within this distance, m: five times the GPS's deviation, and a
# sixth of the way to the next pad.
FOUND = 4.0
# The common error of a flight's pads is the mean of at least this many.
FEWEST = 3


@attrs.frozen(eq=False)
class Errors:
    """Errors of one method in F flights over P pads. ``offsets`` (F, P, 2): m, infinite if missed.

    ``false``: number of targets near no pad.
    """

    offsets: Vector
    false: int = 0

    @property
    def distances(self) -> Vector:
        """Distances (F, P), m."""
        return np.asarray(np.hypot(*np.moveaxis(self.offsets, 2, 0)))

    @property
    def found(self) -> int:
        """The number of pads with a target."""
        return int(np.sum(self.distances <= FOUND))

    @property
    def unshared(self) -> Vector:
        """Errors (K,), m, of the pads found, without the common error of their flight."""
        left = []
        for offsets, distances in zip(self.offsets, self.distances, strict=True):
            near = offsets[distances <= FOUND]
            if len(near) >= FEWEST:
                left.extend(np.hypot(*(near - np.median(near, axis=0)).T))
        return np.array(left)

    def of(self, pad: int) -> Errors:
        """Return the errors of one pad."""
        return Errors(self.offsets[:, pad : pad + 1])


def median(distances: Vector) -> float:
    """Median, m."""
    return float(np.median(distances))


def rms(distances: Vector) -> float:
    """Root mean square, m."""
    return float(np.sqrt(np.mean(np.square(distances))))


def nearest(targets: Vector) -> Vector:
    """Return the offset (P, 2), m, of the target nearest to each pad, whatever its label."""
    return np.array([_nearest(targets, place) for place in PLACES])


def nearest_alike(targets: Records) -> Vector:
    """Return the offset (P, 2), m, of the target with the same label nearest to each pad."""
    rows = []
    for pad, place in zip(REFERENCE_PADS, PLACES, strict=True):
        rows.append(_nearest(places_of(targets[targets['label'] == pad.label]), place))
    return np.array(rows)


def invented(targets: Vector) -> int:
    """Return the number of targets (K, 2) near no pad."""
    if not len(targets):
        return 0
    distances = np.linalg.norm(targets[:, None] - PLACES, axis=2)
    return int(np.sum(distances.min(axis=1) > FOUND))


def places_of(targets: Records) -> Vector:
    """Return the positions (K, 2), m."""
    return np.column_stack([targets['x'], targets['y']]).astype(float)


def normalised(targets: Records) -> Vector:
    """Return the squared error (P,) of each pad's target in units of its covariance, per axis.

    1 on average if the covariance is consistent; NaN for a pad without a target.
    """
    found = np.full(len(REFERENCE_PADS), np.nan)
    for number, offset in enumerate(nearest_alike(targets)):
        if np.isfinite(offset).all():
            alike = targets[targets['label'] == REFERENCE_PADS[number].label]
            at = np.argmin(np.linalg.norm(places_of(alike) - (PLACES[number] + offset), axis=1))
            found[number] = offset @ np.linalg.solve(_covariance(alike[at]), offset) / 2
    return found


def band(axes: float) -> tuple[float, float]:
    """Return the 95% band of the mean of ``axes`` normalised squared errors (chi-square)."""
    # Imported here: it takes a second, and is not needed for matching alone.
    from scipy.stats import chi2

    low, high = chi2.ppf([0.025, 0.975], axes) / axes
    return float(low), float(high)


def outside(values: Sequence[float], limits: tuple[float, float]) -> int:
    """Return the number of values outside the band."""
    return sum(not limits[0] <= each <= limits[1] for each in values)


def _nearest(places: Vector, place: Vector) -> Vector:
    if not len(places):
        return np.full(2, np.inf)
    offsets = places - place
    return np.asarray(offsets[np.argmin(np.hypot(*offsets.T))])


def _covariance(target: np.void) -> Matrix:
    both = target['cov_east_north']
    return np.array([[target['var_east'], both], [both, target['var_north']]], dtype=float)
