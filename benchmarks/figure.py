"""One figure of the table: what was measured of the pipeline, and of its peer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import attrs

OURS, PEER = 'pipeline', 'peer'
SIDES = (OURS, PEER)


@attrs.frozen
class Figure:
    """A quantity that both sides of a benchmark measure. ``key`` is its name in the JSON."""

    key: str
    title: str
    unit: str
    peer: str  # what stands beside the pipeline
    higher_is_better: bool = False


@attrs.define
class Series:
    """The samples of one figure: for each side, a list for each repeat; empty where it failed."""

    figure: Figure
    samples: dict[str, list[list[float]]] = attrs.field(
        factory=lambda: {side: [] for side in SIDES}
    )

    @property
    def complete(self) -> bool:
        """Whether both sides could be measured, in one repeat at least."""
        return bool(self._pairs())

    def _pairs(self) -> list[tuple[list[float], list[float]]]:
        both = zip(self.samples[OURS], self.samples[PEER], strict=True)
        return [pair for pair in both if all(pair)]

    def spread(self, side: str) -> tuple[float, float, float]:
        """Median, least and greatest of all samples of a side."""
        values = [value for repeat in self.samples[side] for value in repeat]
        return statistics.median(values), min(values), max(values)

    @property
    def ratio(self) -> float:
        """The pipeline's figure divided by its peer's.

        Both were measured one right after the other in each repeat, so each repeat has a ratio of
        its own, which what else the machine did touches least. This is their median.
        """
        return statistics.median(
            statistics.median(ours) / statistics.median(peer) for ours, peer in self._pairs()
        )

    def as_dict(self) -> dict[str, Any]:
        """For the JSON."""
        content: dict[str, Any] = attrs.asdict(self.figure)
        for side in SIDES:
            if any(self.samples[side]):
                median, least, greatest = self.spread(side)
                content[f'{side}_result'] = {
                    'median': median,
                    'min': least,
                    'max': greatest,
                    'repeats': self.samples[side],
                }
        content['ratio'] = self.ratio if self.complete else None
        return content


def series_of(figures: Sequence[Figure]) -> list[Series]:
    """Empty series, to be filled."""
    return [Series(figure) for figure in figures]
