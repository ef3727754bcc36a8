# SPDX-License-Identifier: Apache-2.0
"""The targets from the pipeline with their uncertainty, and their assignment to the pads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.geometry.plane_error import chi_square, worst_deviation
from worker_pipeline.airside.geometry.rotations import Matrix, Vector
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation.pads import Pad

USABLE = 'finite and positive definite'  # requirement for a covariance


@attrs.frozen
class Estimate:
    """One target from the pipeline. m, ENU; degrees, WGS 84.

    ``var_east``, ``var_north``, ``cov_east_north``: m^2, of the position. ``scatter``: m, standard
    deviation of one sighting about it.
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
        """Return the name of the target for people."""
        return pad_name(self.label)

    @property
    def place(self) -> tuple[float, float]:
        """Return the position, east and north, m."""
        return self.east, self.north

    @property
    def has_place(self) -> bool:
        """Return whether the position is finite."""
        return math.isfinite(self.east) and math.isfinite(self.north)

    @property
    def covariance(self) -> Matrix:
        """Return the covariance of the position, 2x2, m^2, east and north."""
        both = self.cov_east_north
        return np.array([[self.var_east, both], [both, self.var_north]])

    @property
    def has_covariance(self) -> bool:
        """Return whether the covariance is finite and positive definite."""
        return self.var_east > 0 and 0 < self._determinant < math.inf

    @property
    def deviation(self) -> float:
        """Return the position's standard deviation in the worst direction, m; NaN if none."""
        if not self.has_covariance:
            return math.nan
        return worst_deviation(self.var_east, self.var_north, self.cov_east_north)

    def normalised_square(self, east: float, north: float) -> float:
        """Return the squared Mahalanobis distance to a position (m).

        It is chi-square distributed with two degrees of freedom if the covariance is consistent.
        Infinite without a covariance.
        """
        if not self.has_covariance:
            return math.inf
        off_east, off_north = east - self.east, north - self.north
        square = self.var_north * off_east**2 + self.var_east * off_north**2
        return (square - 2 * self.cov_east_north * off_east * off_north) / self._determinant

    def ellipse(self, probability: float, corners: int = 60) -> Vector:
        """Return the confidence ellipse of the position: (corners, 2), m, east and north.

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
    """One pad, and its target, if it was found."""

    pad: Pad
    estimate: Estimate | None

    @property
    def error(self) -> float | None:
        """Return the horizontal error, m; None if the pad was not found."""
        if self.estimate is None:
            return None
        return _distance(self.pad, self.estimate)

    @property
    def normalised_square(self) -> float | None:
        """Return the squared error in units of the estimate's covariance; None if not found."""
        if self.estimate is None:
            return None
        return self.estimate.normalised_square(self.pad.east, self.pad.north)


def pad_name(label: int) -> str:
    """Return the name of a pad with this label."""
    return 'unmarked' if label == NO_LABEL else f'marker {label}'


def to_estimates(targets: Records | None) -> list[Estimate]:
    """Return the targets (``records.TARGET``) as estimates; without targets an empty list."""
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


def match_pads(
    pads: Sequence[Pad], estimates: Sequence[Estimate]
) -> tuple[list[Finding], list[Estimate]]:
    """Return each pad with its target, the nearest of its label, and the remaining targets.

    A target without a finite position is assigned to no pad.
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
    unmatched = [each for column, each in enumerate(estimates) if column not in chosen.values()]
    return findings, unmatched


def _distance(pad: Pad, estimate: Estimate) -> float:
    return math.hypot(pad.east - estimate.east, pad.north - estimate.north)
