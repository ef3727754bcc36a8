# SPDX-License-Identifier: Apache-2.0
"""One figure of the table: the measurements of the pipeline and of each of its peers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import attrs

OURS = 'worker_pipeline'


@attrs.frozen
class Figure:
    """A quantity that the contenders of a benchmark measure. ``key`` is its name in the JSON."""

    key: str
    title: str
    unit: str
    higher_is_better: bool = False
    percentile: float = 50.0  # of the samples; the value shown in the table


@attrs.frozen
class Contender:
    """A contender. ``measure`` returns the samples of its figures."""

    name: str
    measure: Callable[[], dict[str, list[float]]]


@attrs.frozen
class Benchmark:
    """A comparison of contenders. The first of them is ours."""

    key: str
    figures: tuple[Figure, ...]
    contenders: tuple[Contender, ...]

    def contender(self, name: str) -> Contender:
        """Return the contender with a name; KeyError names the existing ones."""
        for each in self.contenders:
            if each.name == name:
                return each
        raise KeyError(f'{self.key}: found {name!r}; allowed: {[c.name for c in self.contenders]}')


@attrs.define
class Series:
    """The samples of one figure: by contender, a list for each repeat; empty after a failure."""

    figure: Figure
    samples: dict[str, list[list[float]]]

    @classmethod
    def of(cls, benchmark: Benchmark) -> list[Series]:
        """Return empty series."""
        return [
            cls(figure, {each.name: [] for each in benchmark.contenders})
            for figure in benchmark.figures
        ]

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Series:
        """Return the series from the result of ``as_dict``."""
        names = [each.name for each in attrs.fields(Figure)]
        figure = Figure(**{name: content[name] for name in names})
        contenders = content['contenders'].items()
        return cls(figure, {name: each['repeats'] for name, each in contenders})

    def has(self, contender: str) -> bool:
        """Return whether there are any samples of a contender."""
        return any(self.samples[contender])

    @property
    def peers(self) -> list[str]:
        """The contenders except ours that have this figure."""
        return [name for name in self.samples if name != OURS and self.has(name)]

    def value(self, contender: str) -> float:
        """Return the figure: the median, or its percentile, of all samples."""
        return percentile(self._all(contender), self.figure.percentile)

    def range(self, contender: str) -> tuple[float, float]:
        """Return the smallest and the largest of all samples."""
        values = self._all(contender)
        return min(values), max(values)

    def _all(self, contender: str) -> list[float]:
        return [value for repeat in self.samples[contender] for value in repeat]

    def ratio(self, peer: str) -> float | None:
        """Return ours divided by a peer's; None if no repeat has both.

        In each repeat all contenders are measured one right after the other, so its ratio is the
        least affected by other load on the machine. The result is the median of these ratios.
        """
        both = zip(self.samples[OURS], self.samples[peer], strict=False)
        ratios = [
            percentile(ours, self.figure.percentile) / percentile(theirs, self.figure.percentile)
            for ours, theirs in both
            if ours and theirs
        ]
        return statistics.median(ratios) if ratios else None

    def as_dict(self) -> dict[str, Any]:
        """Return the values for the JSON."""
        content: dict[str, Any] = attrs.asdict(self.figure)
        content['contenders'] = {
            name: {
                'value': self.value(name),
                'min': self.range(name)[0],
                'max': self.range(name)[1],
                'ratio': None if name == OURS else self.ratio(name),
                'repeats': repeats,
            }
            for name, repeats in self.samples.items()
            if self.has(name)
        }
        return content


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` percent do not exceed; 50: the median."""
    if share == 50.0:
        return statistics.median(values)
    ordered = sorted(values)
    rank = max(1, -int(-len(ordered) * share // 100))
    return ordered[rank - 1]
