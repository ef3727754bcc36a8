"""Running estimates of where targets are, in memory that does not grow with the flight."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pymap3d

from worker_pipeline.airside.geometry import Matrix, Vector
from worker_pipeline.airside.plane_error import chi_square
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import NO_LABEL, TARGET
from worker_pipeline.airside.tracking.assignment import assigned
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
class Rules:
    """What is one target, and what is told of.

    ``gate``: the share of a target's own sightings that are to be taken for its own.
    ``min_separation``: m; two targets are never closer. ``deviation``: m, of a sighting that does
    not say how sure it is; ``min_deviation``: m, added to what it says.
    """

    gate: float
    min_separation: float
    min_sightings: int
    capacity: int
    deviation: float
    min_deviation: float


@attrs.define
class Refused:
    """What of a set of sightings was not as it should be."""

    sightings: int = 0  # left out: no numbers, or no place on earth
    covariances: int = 0  # no covariance: the deviation that is set was taken instead


class TargetEstimates:
    """The targets known so far.

    Of one label's sightings in one image each belongs to another target, or begins one: which, is
    the likeliest assignment of all. At most ``capacity`` targets are kept: past it the least seen
    goes. Told are those seen ``min_sightings`` times; of several with one marker the one seen most,
    for a marker is in one place; and of several closer than ``min_separation`` likewise: the others
    are misreadings.
    """

    def __init__(self, rules: Rules, target_filter: TargetFilter) -> None:
        self._rules = rules
        self._filter = target_filter
        self._tracks: Tracks = np.zeros(0, TRACK)
        self._gate = chi_square(rules.gate)

    def __len__(self) -> int:
        return len(self._tracks)

    def add(self, sightings: Records, time: int) -> Refused:
        """Take in the ``records.LOCATION`` of one image, taken at ``time`` (ns).

        ValueError where fields are missing. A sighting that is no number, or no place on earth, is
        left out.
        """
        names = sightings.dtype.names or ()
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise ValueError(f'fields: found {list(names)}; allowed: with {", ".join(missing)}')
        refused = Refused()
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
        """The targets as ``records.TARGET``, by label, and in the order they were first seen."""
        tracks = self._tracks[self._told()]
        tracks = tracks[np.argsort(tracks['label'], kind='stable')]
        records = np.zeros(len(tracks), TARGET)
        if not len(tracks):
            return records
        places, means = tracks['state'][:, :2], tracks['mean']
        records['x'], records['y'] = places.T
        for name in ('z', 'confidence'):
            records[name] = means[:, AVERAGED.index(name)]
        # The mean of all sightings is known in both ways, and is close by: so no origin is needed.
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

    def dump(self) -> bytes:
        """Everything known, for :meth:`load` in another process."""
        return _FORMAT + self._tracks.tobytes()

    def load(self, state: bytes) -> None:
        """Know what :meth:`dump` told, and only that. ValueError if it is not such a state."""
        tracks = state[len(_FORMAT) :]
        if not state.startswith(_FORMAT) or len(tracks) % TRACK.itemsize:
            raise ValueError(
                f'state: found {len(state)} bytes, {state[:20]!r}; allowed: what save_state gave'
            )
        self._tracks = np.frombuffer(tracks, TRACK).copy()

    def _covariance_of(self, record: np.void) -> Matrix | None:
        """What a sighting says of itself, m^2; None if that is no covariance."""
        if not set(_COVARIANCE) <= set(record.dtype.names or ()):
            return None
        east, north, both = (float(record[name]) for name in _COVARIANCE)
        is_finite = math.isfinite(east + north + both)
        if not is_finite or min(east, north) <= 0 or both**2 > east * north:
            return None
        return np.array([[east, both], [both, north]]) + self._rules.min_deviation**2 * np.eye(2)

    def _add_alike(self, label: int, sightings: list[Sighting]) -> None:
        """Sightings of one label in one image."""
        places = np.flatnonzero(self._tracks['label'] == label)
        tracks = self._tracks[places]
        costs = np.zeros((len(sightings), len(places) + len(sightings)))
        # What was seen often is the likelier to be seen again: who was seen once, by an error, is
        # not to draw sightings away from its neighbour.
        rare = -2 * np.log(tracks['count'] / max(1, tracks['count'].sum()))
        for row, sighting in enumerate(sightings):
            fits = self._filter.innovations(tracks, sighting)
            own = 2 * sighting.covariance  # what it would be of a target that was seen once
            # Minus twice the logarithm of the likelihood, but for a constant.
            unlike = self._gate + math.log(np.linalg.det(own))
            costs[row, len(places) :] = unlike
            likely = fits.distances + np.log(np.linalg.det(fits.covariances)) + rare
            # Dearer than all of them beginning targets of their own: never chosen.
            forbidden = 1e9
            costs[row, : len(places)] = np.where(fits.distances < self._gate, likely, forbidden)
        for sighting, column in zip(sightings, assigned(costs), strict=True):
            if column < len(places):
                at = int(places[column])
                self._tracks[at : at + 1] = self._filter.updated(
                    self._tracks[at : at + 1], sighting
                )
            else:
                self._begin(self._filter.begun(label, sighting))
        self._fuse(label)
        self._drop()

    def _begin(self, track: Tracks) -> None:
        self._tracks = np.concatenate([self._tracks, track])

    def _fuse(self, label: int) -> None:
        """Make one of two of a label that have come closer to each other than targets are."""
        while True:
            places = np.flatnonzero(self._tracks['label'] == label)
            close = _closest(self._tracks['state'][places, :2])
            if close is None or close[2] >= self._rules.min_separation:
                break
            first, second = places[close[0]], places[close[1]]
            self._tracks[first : first + 1] = self._filter.fused(
                self._tracks[first : first + 1], self._tracks[second : second + 1]
            )
            self._tracks = np.delete(self._tracks, second)

    def _drop(self) -> None:
        """Have no more than there is room for."""
        while len(self._tracks) > self._rules.capacity:
            # Of those seen least, the one not seen for longest.
            order = np.lexsort([self._tracks['time'], self._tracks['count']])
            self._tracks = np.delete(self._tracks, order[0])

    def _told(self) -> npt.NDArray[np.intp]:
        """The places of those that are told of, in the order they were first seen."""
        tracks = self._tracks
        told: list[int] = []
        markers: set[int] = set()
        for each in np.argsort(-tracks['count'].astype(np.int64), kind='stable'):
            label, place = int(tracks['label'][each]), tracks['state'][each, :2]
            if tracks['count'][each] < self._rules.min_sightings:
                break
            if label != NO_LABEL and label in markers:
                continue
            others = tracks['state'][told, :2]
            if (np.hypot(*(others - place).T) < self._rules.min_separation).any():
                continue
            markers.add(label)
            told.append(int(each))
        return np.array(sorted(told), dtype=np.intp)


def _is_on_earth(values: Vector) -> bool:
    latitude, longitude = (values[AVERAGED.index(name)] for name in ('latitude', 'longitude'))
    return bool(abs(latitude) <= 90 and abs(longitude) <= 180)


def _closest(places: Any) -> tuple[int, int, float] | None:
    """The two of the places (N, 2) that are closest, in their order, and how close."""
    if len(places) < 2:
        return None
    distances = np.hypot(*np.moveaxis(places[:, None] - places[None], -1, 0))
    distances[np.tril_indices(len(places))] = np.inf
    first, second = divmod(int(np.argmin(distances)), len(places))
    return first, second, float(distances[first, second])
