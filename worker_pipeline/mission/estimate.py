"""Targets as the pipeline tells them, how sure it is of each, and which pad each of them is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.geometry import Matrix, Vector
from worker_pipeline.airside.plane_error import chi_square, worst_deviation
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.simulation.pads import Pad

USABLE = 'finite and positive definite'  # what a covariance has to be


@attrs.frozen
class Estimate:
    """One target as the pipeline told it. m, ENU; degrees, WGS 84.

    ``var_east``, ``var_north``, ``cov_east_north``: m^2, how sure it is of the place. ``scatter``:
    m, standard deviation of one sighting about it.
    """

    label: int
    east: float
    north: float
    latitude: float
    longitude: float
    var_east: float
    var_north: float
    cov_east_north: float
    scatter: float
    sightings: int

    @property
    def name(self) -> str:
        """What to call it."""
        return name_of(self.label)

    @property
    def place(self) -> tuple[float, float]:
        """m, east and north."""
        return self.east, self.north

    @property
    def has_place(self) -> bool:
        """Whether the place is a number."""
        return math.isfinite(self.east) and math.isfinite(self.north)

    @property
    def covariance(self) -> Matrix:
        """2x2, m^2, east and north, of the place."""
        both = self.cov_east_north
        return np.array([[self.var_east, both], [both, self.var_north]])

    @property
    def has_covariance(self) -> bool:
        """Whether the covariance is one: finite, and positive definite."""
        return self.var_east > 0 and 0 < self._determinant < math.inf

    @property
    def deviation(self) -> float:
        """Standard deviation of the place in the worst direction, m; NaN if there is none."""
        if not self.has_covariance:
            return math.nan
        return worst_deviation(self.var_east, self.var_north, self.cov_east_north)

    def normalised_square(self, east: float, north: float) -> float:
        """The squared distance to a place (m) in units of the covariance (Mahalanobis).

        Chi-square distributed, with two degrees of freedom, if the covariance is honest. Infinite
        if there is none.
        """
        if not self.has_covariance:
            return math.inf
        off_east, off_north = east - self.east, north - self.north
        square = self.var_north * off_east**2 + self.var_east * off_north**2
        return (square - 2 * self.cov_east_north * off_east * off_north) / self._determinant

    def ellipse(self, probability: float, corners: int = 60) -> Vector:
        """The ellipse that the place is in with this probability: (corners, 2), m, east and north.

        ValueError if there is no covariance.
        """
        if not self.has_covariance:
            raise ValueError(f'covariance: found {self.covariance.tolist()}; allowed: {USABLE}')
        angles = np.linspace(0.0, 2 * np.pi, corners, endpoint=False)
        circle = np.column_stack([np.cos(angles), np.sin(angles)])
        shape = math.sqrt(chi_square(probability)) * np.linalg.cholesky(self.covariance)
        around: Vector = circle @ shape.T + [self.east, self.north]
        return around

    @property
    def _determinant(self) -> float:
        return self.var_east * self.var_north - self.cov_east_north**2


@attrs.frozen
class Finding:
    """One pad, and the target that is it, if any."""

    pad: Pad
    estimate: Estimate | None

    @property
    def error(self) -> float | None:
        """m, over the ground; None if the pad was not found."""
        if self.estimate is None:
            return None
        return _distance(self.pad, self.estimate)

    @property
    def normalised_square(self) -> float | None:
        """The squared error in units of the estimate's own covariance; None if not found."""
        if self.estimate is None:
            return None
        return self.estimate.normalised_square(self.pad.east, self.pad.north)


def name_of(label: int) -> str:
    """What to call a pad of this label."""
    return 'unmarked' if label == NO_LABEL else f'marker {label}'


def estimates_of(targets: Records | None) -> list[Estimate]:
    """The targets (``records.TARGET``) as estimates; none if there is no set of them."""
    if targets is None:
        return []
    return [
        Estimate(
            label=int(each['label']),
            east=float(each['x']),
            north=float(each['y']),
            latitude=float(each['latitude']),
            longitude=float(each['longitude']),
            var_east=float(each['var_east']),
            var_north=float(each['var_north']),
            cov_east_north=float(each['cov_east_north']),
            scatter=math.sqrt(float(each['variance'])),
            sightings=int(each['count']),
        )
        for each in targets
    ]


def matched(
    pads: Sequence[Pad], estimates: Sequence[Estimate]
) -> tuple[list[Finding], list[Estimate]]:
    """Each pad with its target: the nearest of its label; and the targets that are no pad's.

    One whose place is no number is no pad's.
    """
    pairs = sorted(
        (_distance(pad, estimate), row, column)
        for row, pad in enumerate(pads)
        for column, estimate in enumerate(estimates)
        if pad.label == estimate.label and estimate.has_place
    )
    chosen: dict[int, int] = {}
    for _, row, column in pairs:
        if row not in chosen and column not in chosen.values():
            chosen[row] = column
    findings = [
        Finding(pad, estimates[chosen[row]] if row in chosen else None)
        for row, pad in enumerate(pads)
    ]
    left = [each for column, each in enumerate(estimates) if column not in chosen.values()]
    return findings, left


def _distance(pad: Pad, estimate: Estimate) -> float:
    return math.hypot(pad.east - estimate.east, pad.north - estimate.north)
