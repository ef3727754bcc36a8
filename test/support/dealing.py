# SPDX-License-Identifier: Apache-2.0
"""The order of the tests when several processes run them: each begins with the longest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar('T')


def deal(
    items: Sequence[T], processes: int, cost: Callable[[T], float], group: Callable[[T], str]
) -> list[T]:
    """Return the items in another order, for pytest-xdist, which gives each process a part of it.

    The parts are equally long and one after the other. Each begins with long tests; the short ones
    at their ends are what a process that has finished takes over from another.

    Args:
        items: the tests.
        processes: their number.
        cost: about how long a test takes; 0 for a short one.
        group: the name of the tests that should run in one process, one after the other.
    """
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        if cost(item):
            groups[group(item)].append(item)
    heavy: list[list[T]] = [[] for _ in range(processes)]
    for members in sorted(groups.values(), key=lambda each: -sum(map(cost, each))):
        min(heavy, key=lambda each: sum(map(cost, each))).extend(members)
    light = [item for item in items if not cost(item)]
    order: list[T] = []
    for index, part in enumerate(heavy):
        size = (len(items) - len(order)) // (processes - index)
        order += part + light[: max(0, size - len(part))]
        del light[: max(0, size - len(part))]
    return order
