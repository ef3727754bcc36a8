# SPDX-License-Identifier: Apache-2.0
"""The graph of a pipeline: which stage feeds which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter


class StageGraph:
    """The links between the stages of one manager.

    ``inputs``: by stage, in the order of the configuration, the stages that feed it. Raises
    ``graphlib.CycleError`` where they form a circle.
    """

    def __init__(self, inputs: Mapping[str, Iterable[str]]) -> None:
        self._upstream = {stage: tuple(dict.fromkeys(fed_by)) for stage, fed_by in inputs.items()}
        self._order = tuple(TopologicalSorter(self._upstream).static_order())
        self._followers = {
            stage: tuple(each for each in self._upstream if stage in self._upstream[each])
            for stage in self._upstream
        }

    @property
    def stages(self) -> tuple[str, ...]:
        """Return all stages, in the order of the configuration."""
        return tuple(self._upstream)

    @property
    def from_the_sources(self) -> tuple[str, ...]:
        """Return all stages, each after all that feed it."""
        return self._order

    def upstream(self, stage: str) -> tuple[str, ...]:
        """Return the stages that feed this one directly."""
        return self._upstream[stage]

    def followers(self, stage: str) -> tuple[str, ...]:
        """Return the stages that this one feeds directly."""
        return self._followers[stage]

    def downstream(self, stage: str) -> set[str]:
        """Return all stages that items of this one can reach, itself not included."""
        return self._reachable(stage, self._followers) - {stage}

    def before(self, stage: str) -> set[str]:
        """Return all stages whose items can reach this one, itself not included."""
        return self._reachable(stage, self._upstream) - {stage}

    def connected(self, stage: str) -> set[str]:
        """Return all stages linked with this one, in any direction, itself included."""
        both = {each: (*self._followers[each], *self._upstream[each]) for each in self._upstream}
        return self._reachable(stage, both)

    @staticmethod
    def _reachable(stage: str, links: Mapping[str, tuple[str, ...]]) -> set[str]:
        found: set[str] = set()
        left = [stage]
        while left:
            each = left.pop()
            if each not in found:
                found.add(each)
                left += links[each]
        return found
