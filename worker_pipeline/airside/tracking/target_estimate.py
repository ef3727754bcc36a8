# SPDX-License-Identifier: Apache-2.0
"""Running estimates of target positions, in bounded memory."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.geodesy import pymap3d
from worker_pipeline.airside.geometry.plane_error import chi_square
from worker_pipeline.airside.geometry.rotations import Matrix, Vector
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import NO_LABEL, TARGET
from worker_pipeline.airside.tracking.assignment import assign
from worker_pipeline.airside.tracking.target_filter import (
    AVERAGED,
    TRACK,
    Sighting,
    TargetFilter,
    Tracks,
)

_NEEDED = (*AVERAGED, 'label')
_COVARIANCE = ('var_east', 'var_north', 'cov_east_north')
_FORMAT = b'targets 2\n'


@attrs.frozen
class TrackingRules:
    """The rules for what is one target, and which targets are reported.

    ``gate``: the share of a target's own sightings that should be assigned to it.
    ``min_separation``: m; two targets are never closer. ``deviation``: m, of a sighting without a
    covariance; ``min_deviation``: m, added to every covariance.
    """

    gate: float
    min_separation: float
    min_sightings: int
    capacity: int
    deviation: float
    min_deviation: float


@attrs.define
class RejectedSightings:
    """Counts of invalid sightings."""

    sightings: int = 0  # left out: not finite, or not on earth
    covariances: int = 0  # without a covariance: the configured deviation was used


class TargetEstimates:
    """The targets known so far.

    The sightings of one label in one image belong to different targets or start new ones, by the
    most likely assignment. At most ``capacity`` targets are kept; beyond that the least seen is
    dropped. Reported are targets seen ``min_sightings`` times. Of several with the same marker only
    the one seen most is reported, since a marker is in one place; of several closer than
    ``min_separation`` too, since the others are misreadings.
    """

    def __init__(self, rules: TrackingRules, target_filter: TargetFilter) -> None:
        self._rules = rules
        self._filter = target_filter
        self._tracks: Tracks = np.zeros(0, TRACK)
        self._gate = chi_square(rules.gate)

    def __len__(self) -> int:
        return len(self._tracks)

    def add(self, sightings: Records, time: int) -> RejectedSightings:
        """Add the ``records.LOCATION`` of one image, taken at ``time`` (ns).

        ValueError if fields are missing. A sighting that is not finite, or not on earth, is left
        out.
        """
        names = sightings.dtype.names or ()
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise ValueError(f'fields: found {list(names)}; allowed: with {", ".join(missing)}')
        refused = RejectedSightings()
        by_label: dict[int, list[Sighting]] = {}
        for record in sightings:
            values = np.array([float(record[name]) for name in AVERAGED])
            if not (np.isfinite([*values, record['label']]).all() and _is_on_earth(values)):
                refused.sightings += 1
                continue
            covariance = self._covariance_of(record)
            if covariance is None:
                refused.covariances += 1
                covariance = self._rules.deviation**2 * np.eye(2)
            sighting = Sighting(values, covariance, time)
            by_label.setdefault(int(record['label']), []).append(sighting)
        for label, alike in by_label.items():
            self._add_alike(label, alike)
        return refused

    def records(self) -> Records:
        """Return the targets as ``records.TARGET``, by label, then by first sighting."""
        tracks = self._tracks[self._reportable()]
        tracks = tracks[np.argsort(tracks['label'], kind='stable')]
        records = np.zeros(len(tracks), TARGET)
        if not len(tracks):
            return records
        places, means = tracks['state'][:, :2], tracks['mean']
        records['x'], records['y'] = places.T
        for name in ('z', 'confidence'):
            records[name] = means[:, AVERAGED.index(name)]
        # The mean of all sightings is known in both coordinate systems and is close: no origin
        # needed.
        latitude, longitude = (means[:, AVERAGED.index(name)] for name in ('latitude', 'longitude'))
        east, north = (places - means[:, :2]).T
        records['latitude'], records['longitude'], _ = pymap3d.enu2geodetic(
            east, north, np.zeros(len(tracks)), latitude, longitude, 0.0
        )
        covariances = tracks['covariance']
        records['var_east'], records['var_north'] = covariances[:, 0, 0], covariances[:, 1, 1]
        records['cov_east_north'] = covariances[:, 0, 1]
        records['label'], records['count'] = tracks['label'], tracks['count']
        records['variance'] = tracks['squares'].mean(axis=1) / tracks['count']
        return records

    def snapshot(self) -> bytes:
        """Return the state for :meth:`restore` in another process."""
        return _FORMAT + self._tracks.tobytes()

    def restore(self, state: bytes) -> None:
        """Replace all targets with a state from :meth:`snapshot`. ValueError if it is invalid."""
        tracks = state[len(_FORMAT) :]
        if not state.startswith(_FORMAT) or len(tracks) % TRACK.itemsize:
            raise ValueError(
                f'state: found {len(state)} bytes, {state[:20]!r}; allowed: what save_state gave'
            )
        self._tracks = np.frombuffer(tracks, TRACK).copy()

    def _covariance_of(self, record: np.void) -> Matrix | None:
        """Return the covariance of a sighting, m^2; None if it is not positive definite."""
        if not set(_COVARIANCE) <= set(record.dtype.names or ()):
            return None
        east, north, both = (float(record[name]) for name in _COVARIANCE)
        is_finite = math.isfinite(east + north + both)
        if not is_finite or min(east, north) <= 0 or both**2 > east * north:
            return None
        return np.array([[east, both], [both, north]]) + self._rules.min_deviation**2 * np.eye(2)

    def _add_alike(self, label: int, sightings: list[Sighting]) -> None:
        """Add the sightings of one label in one image."""
        places = np.flatnonzero(self._tracks['label'] == label)
        tracks = self._tracks[places]
        costs = np.zeros((len(sightings), len(places) + len(sightings)))
        # A target seen often is more likely to be seen again: a target seen once, by an error, must
        # not attract the sightings of its neighbour.
        rare = -2 * np.log(tracks['count'] / max(1, tracks['count'].sum()))
        for row, sighting in enumerate(sightings):
            fits = self._filter.innovations(tracks, sighting)
            own = 2 * sighting.covariance  # of the innovation of a target that was seen once
            # Minus twice the log-likelihood, up to a constant.
            unlike = self._gate + math.log(np.linalg.det(own))
            costs[row, len(places) :] = unlike
            likely = fits.distances + np.log(np.linalg.det(fits.covariances)) + rare
            # More expensive than a new target for each sighting: never chosen.
            forbidden = 1e9
            costs[row, : len(places)] = np.where(fits.distances < self._gate, likely, forbidden)
        for sighting, column in zip(sightings, assign(costs), strict=True):
            if column < len(places):
                at = int(places[column])
                self._tracks[at : at + 1] = self._filter.update(self._tracks[at : at + 1], sighting)
            else:
                self._begin(self._filter.new_track(label, sighting))
        self._fuse(label)
        self._drop()

    def _begin(self, track: Tracks) -> None:
        self._tracks = np.concatenate([self._tracks, track])

    def _fuse(self, label: int) -> None:
        """Merge targets of a label that are closer to each other than ``min_separation``."""
        while True:
            places = np.flatnonzero(self._tracks['label'] == label)
            close = _closest(self._tracks['state'][places, :2])
            if close is None or close[2] >= self._rules.min_separation:
                break
            first, second = places[close[0]], places[close[1]]
            self._tracks[first : first + 1] = self._filter.fuse(
                self._tracks[first : first + 1], self._tracks[second : second + 1]
            )
            self._tracks = np.delete(self._tracks, second)

    def _drop(self) -> None:
        """Drop targets beyond the capacity."""
        while len(self._tracks) > self._rules.capacity:
            # Among the least seen, the one not seen for the longest time.
            order = np.lexsort([self._tracks['time'], self._tracks['count']])
            self._tracks = np.delete(self._tracks, order[0])

    def _reportable(self) -> npt.NDArray[np.intp]:
        """Return the indices of the reported targets, in the order of first sighting."""
        tracks = self._tracks
        chosen: list[int] = []
        markers: set[int] = set()
        for each in np.argsort(-tracks['count'].astype(np.int64), kind='stable'):
            label, place = int(tracks['label'][each]), tracks['state'][each, :2]
            if tracks['count'][each] < self._rules.min_sightings:
                break
            if label != NO_LABEL and label in markers:
                continue
            others = tracks['state'][chosen, :2]
            if (np.hypot(*(others - place).T) < self._rules.min_separation).any():
                continue
            markers.add(label)
            chosen.append(int(each))
        return np.array(sorted(chosen), dtype=np.intp)


def _is_on_earth(values: Vector) -> bool:
    latitude, longitude = (values[AVERAGED.index(name)] for name in ('latitude', 'longitude'))
    return bool(abs(latitude) <= 90 and abs(longitude) <= 180)


def _closest(places: Any) -> tuple[int, int, float] | None:
    """Return the two closest of the positions (N, 2), in their order, and their distance."""
    if len(places) < 2:
        return None
    distances = np.hypot(*np.moveaxis(places[:, None] - places[None], -1, 0))
    distances[np.tril_indices(len(places))] = np.inf
    first, second = divmod(int(np.argmin(distances)), len(places))
    return first, second, float(distances[first, second])
