# SPDX-License-Identifier: Apache-2.0
"""Comparison of methods that cluster sightings into targets: ``python -m benchmarks.clustering``.

All methods receive the same simulated flights with known truth
(``worker_pipeline/airside/simulation/sightings.py``). Those that refit all points need
scikit-learn: ``pip install scikit-learn``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import attrs
import numpy as np
from rich.console import Console
from rich.table import Table

from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.geometry.pinhole import INTRINSICS, MOUNTING, Mounting, PinholeCamera
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import NO_LABEL, TARGET
from worker_pipeline.airside.simulation.sightings import (
    PADS,
    SightingErrors,
    SurveyViews,
    sightings,
)
from worker_pipeline.airside.tracking.target_estimate import TargetEstimates, TrackingRules
from worker_pipeline.airside.tracking.target_filter import TargetFilter
from worker_pipeline.parameter import check_parameters

# A target farther than this from every pad of its label, m, is a false target.
FOUND = 3.0
MIN_SIGHTINGS = 3
# Twenty flights, two degrees of freedom each: the 95% band of the mean normalised squared error of
# a consistent estimate, per degree of freedom (chi-square, 40 degrees of freedom).
HONEST = (24.43 / 40, 59.34 / 40)
SEEDS = 20

Frame = tuple[float, Records]


class Method(Protocol):
    """A method that clusters sightings."""

    def add(self, located: Records, time: int) -> Any:
        """Add one frame's sightings; ``time``: ns."""

    def records(self) -> Records:
        """Return the targets as ``records.TARGET``."""

    def dump(self) -> bytes:
        """Return the state that the method has to keep."""


def estimates(**changes: float) -> TargetEstimates:
    """Create the stage's own method with its defaults, except for ``changes``."""
    params = check_parameters(ClusterEstimation.parameters, changes)
    rules = TrackingRules(
        params['gate'],
        params['min_separation'],
        params['min_sightings'],
        params['max_targets'],
        params['deviation'],
        params['min_deviation'],
    )
    return TargetEstimates(
        rules, TargetFilter(params['correlated_share'], params['correlation_time'])
    )


class NearestMean:
    """Running means: a sighting within 2 m of a mean is added to it, all with equal weight."""

    def __init__(self) -> None:
        self._sums: list[tuple[int, np.ndarray]] = []  # label; count, x, y, x^2, y^2, xy

    def add(self, located: Records, time: int) -> None:
        del time
        for record in located:
            x, y = float(record['x']), float(record['y'])
            near = [
                (np.hypot(s[1] / s[0] - x, s[2] / s[0] - y), i)
                for i, (label, s) in enumerate(self._sums)
                if label == record['label']
            ]
            sums = np.array([1.0, x, y, x * x, y * y, x * y])
            if near and min(near)[0] <= 2.0:
                at = min(near)[1]
                self._sums[at] = (self._sums[at][0], self._sums[at][1] + sums)
            else:
                self._sums.append((int(record['label']), sums))

    def records(self) -> Records:
        found = []
        for label, (n, x, y, xx, yy, xy) in self._sums:
            if n >= MIN_SIGHTINGS:
                places = np.array([x, y]) / n
                spread = np.array([[xx, xy], [xy, yy]]) / n - np.outer(places, places)
                found.append((label, n, places, spread / n))
        return _records(found)

    def dump(self) -> bytes:
        return b''.join(sums.tobytes() for _, sums in self._sums)


class Refit:
    """All points are kept and refitted, label by label, whenever there is a new one."""

    def __init__(self, cluster: Callable[[np.ndarray], np.ndarray]) -> None:
        self._cluster = cluster
        self._points: dict[int, list[tuple[float, float]]] = {}

    def add(self, located: Records, time: int) -> None:
        del time
        for record in located:
            place = (float(record['x']), float(record['y']))
            self._points.setdefault(int(record['label']), []).append(place)

    def records(self) -> Records:
        found = []
        for label, points in self._points.items():
            if len(points) < MIN_SIGHTINGS:
                continue
            places = np.array(points)
            numbers = self._cluster(places)
            clusters = [places[numbers == each] for each in set(numbers.tolist()) - {-1}]
            for each in clusters:
                if len(each) >= MIN_SIGHTINGS:
                    spread = np.cov(each.T, bias=True) / len(each)
                    found.append((label, len(each), each.mean(axis=0), spread))
        return _records(found)

    def dump(self) -> bytes:
        return b''.join(np.array(points).tobytes() for points in self._points.values())


def _records(found: Sequence[tuple[int, float, np.ndarray, np.ndarray]]) -> Records:
    """Return targets; of a marker only the one seen most."""
    best: dict[int, float] = {}
    for label, count, _, _ in found:
        best[label] = max(best.get(label, 0), count)
    kept = [each for each in found if each[0] == NO_LABEL or each[1] == best[each[0]]]
    records = np.zeros(len(kept), TARGET)
    for record, (label, count, place, spread) in zip(records, kept, strict=True):
        record['label'], record['count'] = label, count
        record['x'], record['y'] = place
        record['var_east'], record['var_north'] = spread[0, 0], spread[1, 1]
        record['cov_east_north'] = spread[0, 1]
    return records


def _dbscan(points: np.ndarray) -> np.ndarray:
    from sklearn.cluster import DBSCAN

    return DBSCAN(eps=1.0, min_samples=MIN_SIGHTINGS).fit_predict(points)


def _hdbscan(points: np.ndarray) -> np.ndarray:
    from sklearn.cluster import HDBSCAN

    if len(points) < 5:
        return np.zeros(len(points), dtype=int)
    return HDBSCAN(
        min_cluster_size=5, min_samples=3, allow_single_cluster=True, copy=True
    ).fit_predict(points)


def _mixture(points: np.ndarray) -> np.ndarray:
    from sklearn.mixture import BayesianGaussianMixture

    if len(points) < 10:
        return np.zeros(len(points), dtype=int)
    model = BayesianGaussianMixture(
        n_components=min(10, len(points) // 2),
        covariance_type='spherical',
        weight_concentration_prior=0.01,
        mean_precision_prior=1e-6,
        init_params='k-means++',
        max_iter=500,
        random_state=0,
    )
    return model.fit_predict(points)


METHODS: dict[str, Callable[[], Method]] = {
    'filter, slow error modelled (ours)': estimates,
    'filter, every sighting as news': lambda: estimates(correlated_share=0.0),
    'running means, nearest within 2 m': NearestMean,
    'DBSCAN of all points': lambda: Refit(_dbscan),
    'HDBSCAN of all points': lambda: Refit(_hdbscan),
    'Bayesian mixture of all points': lambda: Refit(_mixture),
}


@attrs.define
class Result:
    """Results of all flights. ``errors``: m; ``honesty``: normalised squared error per axis."""

    errors: list[float] = attrs.field(factory=list)
    normalised: list[list[float]] = attrs.field(factory=list)
    missed: int = 0
    false: int = 0
    milliseconds: tuple[float, float] = (0.0, 0.0)  # per frame, first and last third of a flight
    kilobytes: tuple[float, float] = (0.0, 0.0)  # kept after one third of a flight, and after all

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.errors))))

    @property
    def honesty(self) -> float:
        return float(np.nanmean(self.normalised)) / 2

    @property
    def honest_pads(self) -> int:
        """Return the number of pads whose normalised errors over all flights are in the band."""
        normalised = np.array(self.normalised)
        sums = np.nanmean(normalised, axis=0) / 2
        return int(np.sum((sums >= HONEST[0]) & (sums <= HONEST[1])))


def judge(result: Result, targets: Records) -> None:
    """Compare one flight's targets with the truth."""
    left = list(range(len(targets)))
    row = []
    for pad in PADS:
        near = sorted(
            (float(np.hypot(targets['x'][i] - pad.east, targets['y'][i] - pad.north)), i)
            for i in left
            if targets['label'][i] == pad.label
        )
        if not near or near[0][0] > FOUND:
            result.missed += 1
            row.append(np.nan)
            continue
        error, at = near[0]
        left.remove(at)
        target = targets[at]
        both = target['cov_east_north']
        covariance = np.array([[target['var_east'], both], [both, target['var_north']]], float)
        offset = np.array([target['x'] - pad.east, target['y'] - pad.north])
        result.errors.append(error)
        row.append(float(offset @ np.linalg.pinv(covariance) @ offset))
    result.normalised.append(row)
    result.false += len(left)


def fly(make: Callable[[], Method], flights: Sequence[Sequence[Frame]]) -> Result:
    """Run a method on the flights."""
    result = Result()
    for frames in flights:
        method = make()
        for moment, located in frames:
            method.add(located, int(moment * 1e9))
        judge(result, method.records())
    _take_time(result, make(), flights[0])
    return result


def _take_time(result: Result, method: Method, frames: Sequence[Frame]) -> None:
    """Measure the time of a flight as in the stage: targets after every frame with a sighting.

    Refitting all of a flight again and again takes too long: in the middle third points are only
    added.
    """
    third = len(frames) // 3
    spans: list[list[float]] = [[], [], []]
    kept = []
    for number, (moment, located) in enumerate(frames):
        begin = time.perf_counter()
        method.add(located, int(moment * 1e9))
        span = min(2, number // third)
        if span != 1 and len(located):
            method.records()
            spans[span].append((time.perf_counter() - begin) * 1e3)
        if number in (third, len(frames) - 1):
            kept.append(len(method.dump()) / 1e3)
    result.milliseconds = float(np.mean(spans[0])), float(np.mean(spans[2]))
    result.kilobytes = kept[0], kept[1]


def simulated(seeds: int, errors: SightingErrors, surveys: int) -> Iterator[list[Frame]]:
    """Yield flights over the pads, one for each seed."""
    camera = PinholeCamera.from_params(check_parameters(INTRINSICS, {}))
    views = SurveyViews(camera, Mounting.from_params(check_parameters(MOUNTING, {})), surveys)
    for seed in range(seeds):
        yield list(sightings(views, errors, seed))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.clustering', description=__doc__)
    parser.add_argument('--surveys', type=int, default=3, help='one after the other in a flight')
    parser.add_argument('--only', nargs='+', choices=list(METHODS), default=list(METHODS))
    options = parser.parse_args()
    console = Console(width=160)
    flights = list(simulated(SEEDS, SightingErrors(), options.surveys))
    table = Table(title=f'{SEEDS} flights of {options.surveys} surveys over {len(PADS)} pads')
    for column in ('method', 'error rms [m]', 'p95 [m]', 'missed', 'false', 'NEES', 'honest pads'):
        table.add_column(column)
    for column in ('ms, first third', 'last third', 'kB, first third', 'kB, end'):
        table.add_column(column)
    for name in options.only:
        table.add_row(name, *_row(fly(METHODS[name], flights)))
    console.print(table)
    console.print(f'NEES per axis: honest is 1, within {HONEST[0]:.2f} to {HONEST[1]:.2f}')
    told = Table(title='ours, where the slow error is not as the parameters say')
    for column in ('its deviation [m]', 'its correlation time [s]', 'error rms [m]', 'NEES'):
        told.add_column(column)
    for bias, duration in ((0.8, 30.0), (0.8, 300.0), (1.6, 100.0), (0.2, 100.0), (0.0, 100.0)):
        errors = SightingErrors(bias=bias, bias_time=duration)
        result = Result()
        for frames in simulated(SEEDS, errors, options.surveys):
            method = estimates()
            for moment, located in frames:
                method.add(located, int(moment * 1e9))
            judge(result, method.records())
        told.add_row(f'{bias:g}', f'{duration:g}', f'{result.rms:.3f}', f'{result.honesty:.2f}')
    console.print(told)


def _row(result: Result) -> list[str]:
    return [
        f'{result.rms:.3f}',
        f'{np.percentile(result.errors, 95):.3f}',
        str(result.missed),
        str(result.false),
        f'{result.honesty:.2f}',
        f'{result.honest_pads} of {len(PADS)}',
        *(f'{each:.2f}' for each in result.milliseconds),
        *(f'{each:.1f}' for each in result.kilobytes),
    ]


if __name__ == '__main__':
    main()
