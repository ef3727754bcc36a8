# SPDX-License-Identifier: Apache-2.0
"""The results of the accuracy measurement, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs
import numpy as np
from rich.table import Table

from benchmarks.accuracy.bound import expected_quantile, expected_rms, independent_axes
from benchmarks.accuracy.figures import (
    FOUND,
    Errors,
    band,
    invented,
    median,
    nearest,
    nearest_alike,
    normalised,
    outside,
    places_of,
    rms,
)
from benchmarks.accuracy.flight import PLACES, PixelNoise
from benchmarks.accuracy.methods import Flown, Limit
from worker_pipeline.airside.geometry.rotations import Matrix, Vector
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS, Pad

WANTED = 3.0  # how many times as accurate as the forerunner

OURS = 'worker_pipeline'
FORERUNNER = 'the forerunner'
MIXTURE = "our locations, the forerunner's clustering"
SORTED = "the forerunner's locations, with known assignment"
SORTED_LENS = 'the same, with the distortion removed'
ALONE = 'the best of each pad alone'
TOGETHER = 'the best of all pads together'

Row = list[str]


@attrs.frozen(eq=False)
class Rendered:
    """One flight with the detections in rendered frames, and with projected pads.

    ``period``: s, between its frames. ``finds``: detections of pads, of ``visible`` fully in a
    frame; ``false`` ones.
    """

    period: float
    frames: int
    finds: int
    visible: int
    false: int
    flown: Flown
    projected: Flown


@attrs.frozen(eq=False)
class Report:
    """All results. ``flown``: with sensor errors; ``exact``: without; ``limits``: of ``flown``."""

    noise: PixelNoise
    rendered: Rendered
    flown: Sequence[Flown]
    exact: Sequence[Flown]
    limits: Sequence[Limit]

    def errors(self) -> dict[str, Errors]:
        """Return the errors by method."""
        best: dict[str, Callable[[Limit], Vector]] = {
            ALONE: lambda each: each.alone_places,
            TOGETHER: lambda each: each.together_places,
        }
        return errors_of(self.flown) | {
            name: Errors(np.array([places(each) - PLACES for each in self.limits]))
            for name, places in best.items()
        }

    def ratios(self) -> dict[str, float]:
        """Return the forerunner's error divided by ours: of the medians, and so on."""
        errors = self.errors()
        ours, theirs = errors[OURS], errors[FORERUNNER]
        both = (ours.distances <= FOUND) & (theirs.distances <= FOUND)
        exact = errors_of(self.exact)
        return {
            'median': median(theirs.distances) / median(ours.distances),
            'rms': rms(theirs.distances) / rms(ours.distances),
            'largest': float(theirs.distances.max() / ours.distances.max()),
            'rms where both have found it': rms(theirs.distances[both]) / rms(ours.distances[both]),
            'median without the sensors': median(exact[FORERUNNER].distances)
            / median(exact[OURS].distances),
        }

    def covariances(self, together: bool, pad: int | None = None) -> Matrix:
        """Return the covariances (K, 2, 2), m^2, of the best estimates, of all pads or one."""
        found = []
        for each in self.limits:
            best = each.together if together else each.alone
            blocks = best.covariances()
            found += [blocks[at] for at, of in enumerate(best.pads) if pad in (None, of)]
        return np.array(found)

    def honesty(self) -> tuple[float, tuple[float, float]]:
        """Return the mean normalised squared error per axis, and the band of a consistent one."""
        values = np.array([normalised(each.ours) for each in self.flown])
        return float(np.nanmean(values)), band(self.axes())

    def axes(self) -> float:
        """Return the equivalent number of independent axes of the pads of all flights."""
        return sum(independent_axes(each.alone) for each in self.limits)

    def pad_honesty(self) -> tuple[list[float], tuple[float, float]]:
        """Return the same for each pad."""
        values = np.array([normalised(each.ours) for each in self.flown])
        return np.nanmean(values, axis=0).tolist(), band(2 * len(self.flown))

    def conclusions(self) -> list[str]:
        """Return the conclusions in sentences."""
        ratios = self.ratios()
        theirs = self.errors()[FORERUNNER].distances
        most = median(theirs) / expected_quantile(self.covariances(together=True), 0.5)
        told, limits = self.honesty()
        of_pads, pad_limits = self.pad_honesty()
        honest = len(of_pads) - outside(of_pads, pad_limits)
        inside = 'inside' if limits[0] <= told <= limits[1] else 'outside'
        return [
            *(
                f'{name}: {ratio:.2f} times as accurate as the forerunner;'
                f' {WANTED:g} was wanted: {"reached" if ratio >= WANTED else "not reached"}'
                for name, ratio in ratios.items()
            ),
            f'The median of the best that anybody could reach would be {most:.2f} times as good.',
            f'Normalised squared error: {told:.2f} per axis, {inside} of {_range(limits)}.',
            f'Of each pad: {honest} of {len(of_pads)} inside of {_range(pad_limits)}.',
        ]


def errors_of(flown: Sequence[Flown]) -> dict[str, Errors]:
    """Return the errors of all methods."""

    def of(places: Callable[[Flown], Vector]) -> Errors:
        targets = [places(each) for each in flown]
        return Errors(np.array(list(map(nearest, targets))), sum(map(invented, targets)))

    ours = np.array([nearest_alike(each.ours) for each in flown])
    return {
        OURS: Errors(ours, sum(invented(places_of(each.ours)) for each in flown)),
        FORERUNNER: of(lambda each: each.forerunner),
        MIXTURE: of(lambda each: each.mixture),
        SORTED: Errors(np.array([each.sorted_points - PLACES for each in flown])),
        SORTED_LENS: Errors(np.array([each.sorted_lens - PLACES for each in flown])),
    }


METHOD_COLUMNS = (
    'method',
    'median [m]',
    'rms [m]',
    'largest [m]',
    'found',
    'false',
    'median without the common shift [m]',
)
PAD_COLUMNS = (
    'pad',
    'median [m]',
    'largest [m]',
    'rms [m]',
    "forerunner's median [m]",
    'largest [m]',
    'found',
    'best alone: median, rms [m]',
    'best together: median, rms [m]',
    'normalised error²',
)


def method_rows(report: Report) -> list[Row]:
    """Return a row for each method, with the sensors' errors."""
    rows = _rows(report.errors())
    for name, together in ((ALONE, False), (TOGETHER, True)):
        of = report.covariances(together)
        rows.append([f'{name}, expected', *_expected(of), '', '', '', ''])
    return rows


def exact_rows(report: Report) -> list[Row]:
    """Return a row for each method, without the sensors' errors."""
    return _rows(errors_of(report.exact))


def rendered_rows(report: Report) -> list[Row]:
    """Return rows of the rendered flight, and of the same frames projected."""
    whole = []
    for told, flown in (
        ('detected', report.rendered.flown),
        ('projected', report.rendered.projected),
    ):
        errors = errors_of([flown])
        chosen = {f'{name}, {told}': errors[name] for name in (OURS, FORERUNNER)}
        whole += _rows(chosen)
    return whole


def pad_rows(report: Report) -> list[Row]:
    """Return a row for each pad."""
    errors = report.errors()
    honesty, _ = report.pad_honesty()
    rows = []
    for number, pad in enumerate(REFERENCE_PADS):
        ours, theirs = errors[OURS].of(number), errors[FORERUNNER].of(number)
        rows.append(
            [
                _name(pad),
                _metres(median(ours.distances)),
                _metres(ours.distances.max()),
                _metres(rms(ours.distances)),
                _metres(median(theirs.distances)),
                _metres(theirs.distances.max()),
                f'{theirs.found} of {theirs.distances.size}',
                ', '.join(_expected(report.covariances(False, number))),
                ', '.join(_expected(report.covariances(True, number))),
                f'{honesty[number]:.2f}',
            ]
        )
    return rows


def rich_tables(report: Report) -> Iterable[Table]:
    """Return the tables for the terminal."""
    count = len(report.flown)
    for title, columns, rows in (
        (f'{count} flights, the sensors with their errors', METHOD_COLUMNS, method_rows(report)),
        (f'{count} flights, pad by pad', PAD_COLUMNS, pad_rows(report)),
        (f'{count} flights, the sensors without errors', METHOD_COLUMNS, exact_rows(report)),
        ('one flight, rendered and projected', METHOD_COLUMNS, rendered_rows(report)),
    ):
        table = Table(title=title)
        for number, column in enumerate(columns):
            table.add_column(column, justify='right' if number else 'left')
        for row in rows:
            table.add_row(*row)
        yield table


def markdown_table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the tables for the documentation."""
    alignment = ['---', *['---:'] * (len(columns) - 1)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in (columns, alignment, *rows))


def _rows(errors: dict[str, Errors]) -> list[Row]:
    return [
        [
            name,
            _metres(median(each.distances)),
            _metres(rms(each.distances)),
            _metres(each.distances.max()),
            f'{each.found} of {each.distances.size}',
            str(each.false),
            _metres(median(each.unshared)) if len(each.unshared) else '',
        ]
        for name, each in errors.items()
    ]


def _name(pad: Pad) -> str:
    is_disc = pad.label == NO_LABEL
    return f'disc at {pad.east:g}, {pad.north:g}' if is_disc else f'marker {pad.label}'


def _range(limits: tuple[float, float]) -> str:
    return f'{limits[0]:.2f} to {limits[1]:.2f}'


def _expected(covariances: Matrix) -> list[str]:
    """Return the median and the rms of the errors with these covariances."""
    return [_metres(expected_quantile(covariances, 0.5)), _metres(expected_rms(covariances))]


def _metres(value: float) -> str:
    return f'{value:.2f}' if value >= 0.1 else f'{value:.4f}'
