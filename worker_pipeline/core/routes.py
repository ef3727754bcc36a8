# SPDX-License-Identifier: Apache-2.0
"""The routes by which items reach a stage from other stages of the pipeline.

A forwarded item counts as one of the input that it came by. That is its route: where a stage has
several inputs, items of one stamp may come by each of them, and must not be taken for duplicates
of one another further down.
"""

from __future__ import annotations

from collections.abc import Iterable

from worker_pipeline.core.item import ItemKey


class Routes:
    """The routes into and out of one stage.

    Args:
        stage: the stage's name.
        main_input: the input with items that leave by a route with the stage's own name.
    """

    def __init__(self, stage: str, main_input: str) -> None:
        self._stage = stage
        self._main_input = main_input
        # By feeding stage: the routes by which it has forwarded items.
        self._known: dict[str, set[str]] = {}

    def out(self, key: ItemKey) -> str:
        """Return the route by which an item leaves for the stages that follow."""
        is_main = key.source == self._main_input
        return self._stage if is_main else f'{self._stage}<{key.source}'

    def known(self, stage: str) -> Iterable[str]:
        """Return the routes by which a stage has forwarded items here."""
        return self._known.get(stage, ())

    def add(self, stage: str, route: str) -> None:
        """Remember a route by which a stage forwards items here."""
        self._known.setdefault(stage, set()).add(route)

    def snapshot(self) -> list[tuple[str, str]]:
        """Return all known routes as (stage, route)."""
        return [(stage, route) for stage, routes in self._known.items() for route in routes]
