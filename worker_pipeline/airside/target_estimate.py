"""Running estimates of where targets are, in memory that does not grow with the flight."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from worker_pipeline.airside.geometry import Vector
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import NO_LABEL, TARGET

# The means kept of every target; the first two, in metres, also have their spread.
_AVERAGED = ('x', 'y', 'z', 'latitude', 'longitude', 'confidence')


@attrs.define(eq=False)
class Target:
    """One target: weighted means of its sightings, by the recurrence of West (1979)."""

    label: int
    count: int = 0
    weight: float = 0.0
    means: Vector = attrs.field(factory=lambda: np.zeros(len(_AVERAGED)))
    squares: Vector = attrs.field(factory=lambda: np.zeros(2))  # m^2, east and north

    def add(self, values: Vector, weight: float) -> None:
        """Take in one sighting: the values of ``_AVERAGED``, and how much they weigh."""
        self.count += 1
        self.weight += weight
        offset = values - self.means
        self.means = self.means + offset * (weight / self.weight)
        self.squares = self.squares + weight * offset[:2] * (values - self.means)[:2]

    def distance(self, values: Vector) -> float:
        """Of a sighting from the estimate, m, over the ground."""
        return float(np.linalg.norm(values[:2] - self.means[:2]))

    @property
    def variance(self) -> float:
        """Of one sighting about the estimate, m^2: the mean of east and north."""
        return float(self.squares.mean() / self.weight) if self.weight else 0.0


class TargetEstimates:
    """The targets known so far.

    A sighting belongs to the nearest target of its label within ``merge_distance`` (m), or begins
    one of its own. At most ``capacity`` are kept: past it the least seen goes. Of several with one
    marker the one seen most counts, for a marker is in one place: the others are misreadings.
    Those seen less than ``min_sightings`` times are not told of.
    """

    def __init__(self, merge_distance: float, min_sightings: int, capacity: int) -> None:
        self._merge_distance = merge_distance
        self._min_sightings = min_sightings
        self._capacity = capacity
        self._targets: list[Target] = []

    def __len__(self) -> int:
        return len(self._targets)

    def add(self, sightings: Records) -> None:
        """Take in records of ``records.LOCATION``; one that is no number is left out."""
        for sighting in sightings:
            values = np.array([float(sighting[name]) for name in _AVERAGED])
            weight = values[-1]
            if np.isfinite(values).all() and weight > 0:
                self._target_of(int(sighting['label']), values).add(values, weight)

    def records(self) -> Records:
        """The targets as ``records.TARGET``, by label, and in the order they were first seen."""
        told = [each for each in self._targets if each.count >= self._min_sightings]
        told = [each for each in told if each.label == NO_LABEL or each is self._most_seen(each)]
        told.sort(key=lambda each: each.label)
        records = np.zeros(len(told), TARGET)
        for record, target in zip(records, told, strict=True):
            for name, mean in zip(_AVERAGED, target.means, strict=True):
                record[name] = mean
            record['label'] = target.label
            record['variance'] = target.variance
            record['count'] = target.count
        return records

    def dump(self) -> bytes:
        """Everything known, for :meth:`load` in another process."""
        fields: Sequence[dict[str, Any]] = [
            {**attrs.asdict(each), 'means': list(each.means), 'squares': list(each.squares)}
            for each in self._targets
        ]
        return json.dumps(fields).encode()

    def load(self, state: bytes) -> None:
        """Know what :meth:`dump` told, and only that. ValueError if it is not such a state."""
        try:
            self._targets = [
                Target(
                    int(each['label']),
                    int(each['count']),
                    float(each['weight']),
                    np.array(each['means'], dtype=float).reshape(len(_AVERAGED)),
                    np.array(each['squares'], dtype=float).reshape(2),
                )
                for each in json.loads(state)
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(f'not a state of target estimates: {error!r}') from error

    def _target_of(self, label: int, values: Vector) -> Target:
        alike = [each for each in self._targets if each.label == label]
        if alike:
            closest = min(alike, key=lambda each: each.distance(values))
            if closest.distance(values) <= self._merge_distance:
                return closest
        if len(self._targets) >= self._capacity:
            self._targets.remove(min(self._targets, key=lambda each: each.count))
        target = Target(label)
        self._targets.append(target)
        return target

    def _most_seen(self, target: Target) -> Target:
        alike = [each for each in self._targets if each.label == target.label]
        return max(alike, key=lambda each: each.count)
