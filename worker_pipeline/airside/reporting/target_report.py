# SPDX-License-Identifier: Apache-2.0
"""The report of each target to the ground, with a number that the target keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from worker_pipeline.airside.geometry.plane_error import chi_square, worst_deviation
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import NO_LABEL, TARGET

_MAX_WITHDRAWN = 100
# Semi-axes of an ellipse with 95% of a normal distribution in the plane, in deviations.
_ELLIPSE_95 = math.sqrt(chi_square(0.95))


@attrs.frozen
class Ellipse:
    """A 95% confidence ellipse. Semi-axes: m; ``azimuth`` of the major one: rad, from north."""

    major: float
    minor: float
    azimuth: float


@attrs.frozen
class Report:
    """One target. Degrees (WGS 84); m and m^2 (ENU); stamps in ns, of the images.

    ``withdrawn``: it was reported, but is not a target after all.
    """

    number: int
    label: int
    latitude: float
    longitude: float
    east: float
    north: float
    up: float
    var_east: float
    var_north: float
    cov_east_north: float
    count: int
    first_stamp: int
    last_stamp: int
    withdrawn: bool = False

    @property
    def name(self) -> str:
        """Return the name of the target for people."""
        return f'unmarked {self.number}' if self.label == NO_LABEL else f'marker {self.label}'

    @property
    def deviation(self) -> float:
        """Return the standard deviation of the position in the worst direction, m."""
        return worst_deviation(self.var_east, self.var_north, self.cov_east_north)

    @property
    def ellipse(self) -> Ellipse:
        """Return the 95% confidence ellipse of the position."""
        both = self.cov_east_north
        values, axes = np.linalg.eigh([[self.var_east, both], [both, self.var_north]])
        minor, major = np.sqrt(np.maximum(values, 0.0)) * _ELLIPSE_95
        east, north = axes[:, 1]
        return Ellipse(float(major), float(minor), math.atan2(east, north) % math.pi)

    def distance(self, other: Report) -> float:
        """Return the horizontal distance to another target, m."""
        return math.hypot(self.east - other.east, self.north - other.north)


_FIELDS = [each.name for each in attrs.fields(Report)]


def to_row(report: Report) -> list[Any]:
    """Return the values of a report, for JSON, in the order of its fields."""
    return [getattr(report, name) for name in _FIELDS]


class ReportStore:
    """All reports. A marker is identified by its number, other targets by their position.

    ``reach``: m; how far a target without a marker may move between two clouds. The most recent
    withdrawn reports are kept: the ground must be informed, and the target may come back.
    """

    def __init__(self, reach: float) -> None:
        self._reach = reach
        self._next_number = 1
        self.reports: list[Report] = []

    def update(self, targets: Records, stamp: int) -> int:
        """Replace the targets with a cloud of ``records.TARGET``.

        Returns how many were left out: not finite, or not on earth. ValueError if fields are
        missing (allowed in an empty cloud).
        """
        missing = sorted(set(TARGET.names or ()) - set(targets.dtype.names or ()))
        if missing and len(targets):
            raise ValueError(
                f'fields: found {list(targets.dtype.names or ())}; '
                f'allowed: with {", ".join(missing)}'
            )
        earlier: dict[int, list[Report]] = {}
        for each in self.reports:
            earlier.setdefault(each.label, []).append(each)
        kept = []
        refused = 0
        for record in targets:
            fresh = _report_of(record, stamp)
            if fresh is None:
                refused += 1
                continue
            alike = earlier.get(fresh.label, [])
            at = self._same(fresh, alike)
            if at is None:
                kept.append(attrs.evolve(fresh, number=self._next_number))
                self._next_number += 1
                continue
            old = alike.pop(at)
            kept.append(
                attrs.evolve(
                    fresh,
                    number=old.number,
                    first_stamp=old.first_stamp,
                    last_stamp=stamp if fresh.count != old.count else old.last_stamp,
                )
            )
        withdrawn = [
            each if each.withdrawn else attrs.evolve(each, withdrawn=True, last_stamp=stamp)
            for alike in earlier.values()
            for each in alike
        ]
        withdrawn.sort(key=lambda each: each.last_stamp)
        self.reports = sorted([*kept, *withdrawn[-_MAX_WITHDRAWN:]], key=lambda each: each.number)
        return refused

    def remove(self, number: int) -> None:
        """Remove the report of a target."""
        self.reports = [each for each in self.reports if each.number != number]

    def snapshot(self) -> Mapping[str, Any]:
        """Return the state as JSON values."""
        return {
            'next_number': self._next_number,
            'reports': [to_row(each) for each in self.reports],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state from :meth:`snapshot`. KeyError or TypeError if it is invalid."""
        self.reports = [Report(*each) for each in state['reports']]
        self._next_number = int(state['next_number'])

    def _same(self, fresh: Report, alike: list[Report]) -> int | None:
        """Return the index of the same target among those of its label; None if there is none."""
        at = min(range(len(alike)), key=lambda each: fresh.distance(alike[each]), default=None)
        if at is None or fresh.label != NO_LABEL or fresh.distance(alike[at]) <= self._reach:
            return at
        return None


def _report_of(record: np.void, stamp: int) -> Report | None:
    """Return a target's report without a number; None if its values are invalid."""
    if not np.isfinite([record['label'], record['count']]).all():
        return None
    report = Report(
        number=0,
        label=int(record['label']),
        latitude=float(record['latitude']),
        longitude=float(record['longitude']),
        east=float(record['x']),
        north=float(record['y']),
        up=float(record['z']),
        var_east=float(record['var_east']),
        var_north=float(record['var_north']),
        cov_east_north=float(record['cov_east_north']),
        count=int(record['count']),
        first_stamp=stamp,
        last_stamp=stamp,
    )
    numbers = [value for value in to_row(report) if isinstance(value, float)]
    is_on_earth = abs(report.latitude) <= 90 and abs(report.longitude) <= 180
    return report if all(map(math.isfinite, numbers)) and is_on_earth else None
