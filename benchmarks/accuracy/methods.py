# SPDX-License-Identifier: Apache-2.0
"""The results of all methods for one flight's detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from benchmarks.accuracy.bound import (
    Best,
    best_alone,
    best_together,
    covariance,
    sightings_of,
)
from benchmarks.accuracy.chain import Chain
from benchmarks.accuracy.figures import places_of
from benchmarks.accuracy.flight import PLACES, Flight, Frame, PixelNoise
from benchmarks.accuracy.forerunner import Forerunner
from worker_pipeline.airside.geometry.distortion import LensDistortion
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.messages.point_cloud import Records


@attrs.frozen(eq=False)
class Flown:
    """The results of one flight. Positions: (K, 2), m; by pad: (P, 2).

    ``ours``: ``records.TARGET``. ``forerunner``: its targets. ``mixture``: those of its mixture of
    our locations. ``sorted_points``: the means of its points by their true pad; ``sorted_lens``:
    the same with the distortion undone. ``seen`` and ``located``: time (s) and pad of each
    sighting, and our location of it.
    """

    flight: Flight
    ours: Records
    forerunner: Vector
    mixture: Vector
    sorted_points: Vector
    sorted_lens: Vector
    seen: list[tuple[float, int]]
    located: Vector


@attrs.frozen(eq=False)
class Limit:
    """The bound for one flight: of each pad alone, and of all together.

    ``alone_places``, ``together_places`` (P, 2), m: for this flight's errors; infinite for a pad
    not seen.
    """

    alone: Best
    together: Best
    alone_places: Vector
    together_places: Vector


def fly(flight: Flight, frames: Iterable[Frame]) -> Flown:
    """Run all methods on the same frames and odometry."""
    chain = Chain(flight.odometry)
    ideal = attrs.evolve(flight.camera, distortion=LensDistortion())
    theirs, mixture = (Forerunner(ideal, flight.mounting) for _ in range(2))
    with_lens = Forerunner(flight.camera, flight.mounting)
    poses = [(time, state.pose) for time, state in flight.odometry]
    points, lens_points = _Sorted(), _Sorted()
    seen: list[tuple[float, int]] = []
    located: list[Vector] = []
    for frame in frames:
        if not len(frame.detections):
            continue
        places = places_of(chain.add(frame.detections, frame.time))
        if len(places) != len(frame.detections):
            raise RuntimeError(f'{frame.time:g} s: {len(frame.detections)} finds, {places} located')
        mixture.gather(places)
        their_places = theirs.locate(frame.detections, frame.time, poses)
        theirs.gather(their_places)
        points.add(frame.pads, their_places)
        lens_points.add(frame.pads, with_lens.locate(frame.detections, frame.time, poses))
        for pad, place in zip(frame.pads, places, strict=True):
            if pad >= 0:
                seen.append((frame.time, pad))
                located.append(place)
    return Flown(
        flight=flight,
        ours=chain.targets,
        forerunner=theirs.targets,
        mixture=mixture.targets,
        sorted_points=points.means(),
        sorted_lens=lens_points.means(),
        seen=seen,
        located=np.array(located),
    )


def limit(flown: Flown, noise: PixelNoise) -> Limit:
    """Return the bound for the flight."""
    sightings = sightings_of(flown.flight, flown.seen, noise)
    errors = covariance(sightings, flown.flight.noise)
    alone, together = best_alone(sightings, errors), best_together(sightings, errors)
    return Limit(alone, together, _placed(alone, flown), _placed(together, flown))


class _Sorted:
    """Points by their true pad."""

    def __init__(self) -> None:
        self._points: list[list[Vector]] = [[] for _ in PLACES]

    def add(self, pads: Sequence[int], places: Vector) -> None:
        """Add the points of one frame; none if a bad detection discarded the frame."""
        for pad, place in zip(pads, places, strict=False):
            if pad >= 0:
                self._points[pad].append(place)

    def means(self) -> Vector:
        """Return the means (P, 2), m; infinite for a pad without points."""
        none = np.full(2, np.inf)
        return np.array([np.mean(each, axis=0) if each else none for each in self._points])


def _placed(best: Best, flown: Flown) -> Vector:
    places = np.full(PLACES.shape, np.inf)
    places[list(best.pads)] = best.of(flown.located)
    return places
