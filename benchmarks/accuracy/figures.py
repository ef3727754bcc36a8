"""How far off targets are, and whether what is said of them is so."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from benchmarks.accuracy.flight import PLACES
from worker_pipeline.airside.geometry import Matrix, Vector
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.simulation.pads import REFERENCE_PADS

# A pad has been found where a target is no farther from it, m: five times the GPS's deviation, and
# a sixth of the way to the next pad.
FOUND = 4.0
# Of a flight's pads, what they are off by in common is the middle of so many at least.
FEWEST = 3


@attrs.frozen(eq=False)
class Errors:
    """Of one method in F flights over P pads. ``offsets`` (F, P, 2): m, infinite without a target.

    ``false``: how many targets are near no pad.
    """

    offsets: Vector
    false: int = 0

    @property
    def distances(self) -> Vector:
        """(F, P), m."""
        return np.asarray(np.hypot(*np.moveaxis(self.offsets, 2, 0)))

    @property
    def found(self) -> int:
        """How many pads there is a target for."""
        return int(np.sum(self.distances <= FOUND))

    @property
    def unshared(self) -> Vector:
        """(K,), m: of the pads found, without what all of their flight are off by in common."""
        left = []
        for offsets, distances in zip(self.offsets, self.distances, strict=True):
            near = offsets[distances <= FOUND]
            if len(near) >= FEWEST:
                left.extend(np.hypot(*(near - np.median(near, axis=0)).T))
        return np.array(left)

    def of(self, pad: int) -> Errors:
        """Of one pad alone."""
        return Errors(self.offsets[:, pad : pad + 1])


def median(distances: Vector) -> float:
    """m."""
    return float(np.median(distances))


def rms(distances: Vector) -> float:
    """m."""
    return float(np.sqrt(np.mean(np.square(distances))))


def nearest(targets: Vector) -> Vector:
    """(P, 2), m: how far off the target is that is nearest to each pad, whatever it is."""
    return np.array([_nearest(targets, place) for place in PLACES])


def nearest_alike(targets: Records) -> Vector:
    """(P, 2), m: of each pad the nearest target with its label."""
    rows = []
    for pad, place in zip(REFERENCE_PADS, PLACES, strict=True):
        rows.append(_nearest(places_of(targets[targets['label'] == pad.label]), place))
    return np.array(rows)


def invented(targets: Vector) -> int:
    """How many of the targets (K, 2) are near no pad."""
    if not len(targets):
        return 0
    distances = np.linalg.norm(targets[:, None] - PLACES, axis=2)
    return int(np.sum(distances.min(axis=1) > FOUND))


def places_of(targets: Records) -> Vector:
    """(K, 2), m."""
    return np.column_stack([targets['x'], targets['y']]).astype(float)


def normalised(targets: Records) -> Vector:
    """(P,): of the target of each pad the squared error, as a share of what it says, per axis.

    1 on average where what they say is so; NaN for a pad without one.
    """
    found = np.full(len(REFERENCE_PADS), np.nan)
    for number, offset in enumerate(nearest_alike(targets)):
        if np.isfinite(offset).all():
            alike = targets[targets['label'] == REFERENCE_PADS[number].label]
            at = np.argmin(np.linalg.norm(places_of(alike) - (PLACES[number] + offset), axis=1))
            found[number] = offset @ np.linalg.solve(_covariance(alike[at]), offset) / 2
    return found


def band(axes: float) -> tuple[float, float]:
    """Where 95% of the means of ``axes`` normalised squared errors are (chi-square)."""
    # Imported here: it takes a second, and who only matches does not need it.
    from scipy.stats import chi2

    low, high = chi2.ppf([0.025, 0.975], axes) / axes
    return float(low), float(high)


def outside(values: Sequence[float], limits: tuple[float, float]) -> int:
    """How many are not in the band."""
    return sum(not limits[0] <= each <= limits[1] for each in values)


def _nearest(places: Vector, place: Vector) -> Vector:
    if not len(places):
        return np.full(2, np.inf)
    offsets = places - place
    return np.asarray(offsets[np.argmin(np.hypot(*offsets.T))])


def _covariance(target: np.void) -> Matrix:
    both = target['cov_east_north']
    return np.array([[target['var_east'], both], [both, target['var_north']]], dtype=float)
