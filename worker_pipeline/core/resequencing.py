# SPDX-License-Identifier: Apache-2.0
"""Restores order: results arrive in any order and leave in the order of their sequence numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Generic, TypeVar

T = TypeVar('T')


class Resequencer(Generic[T]):
    """Assigns sequence numbers, called places here, and releases results in their order.

    Every place must be finished once, with an empty list if there is no result. The results held
    back are bounded by the number of places that the caller has open at a time.
    """

    def __init__(self) -> None:
        self._next_place = 0
        self._next_release = 0
        self._held: dict[int, list[T]] = {}

    @property
    def held(self) -> int:
        """Return how many finished places wait for an earlier one."""
        return len(self._held)

    @property
    def results(self) -> Iterator[T]:
        """Yield the results that are held back."""
        return (each for results in self._held.values() for each in results)

    def take_place(self) -> int:
        """Return the next place in the order."""
        place = self._next_place
        self._next_place += 1
        return place

    def finish(self, place: int, results: list[T]) -> list[T]:
        """Finish a place, and return the results that may leave now, in order.

        Raises ValueError for a place that was never taken or is finished already.
        """
        if not self._next_release <= place < self._next_place or place in self._held:
            raise ValueError(
                f'place {place} is not open; open are {self._next_release} to '
                f'{self._next_place - 1} but for {sorted(self._held)}'
            )
        if place != self._next_release:
            self._held[place] = results
            return []
        self._next_release += 1
        released = results
        while self._next_release in self._held:
            released = released + self._held.pop(self._next_release)
            self._next_release += 1
        return released

    @property
    def held_back(self) -> Iterator[T]:
        """Yield the results that wait for those before them."""
        return chain.from_iterable(self._held.values())

    def discard(self, unwanted: Callable[[T], bool]) -> None:
        """Discard some of the results held back; their places stay finished."""
        for place, results in self._held.items():
            self._held[place] = [each for each in results if not unwanted(each)]

    def snapshot(self, plain: Callable[[T], Any]) -> dict[str, Any]:
        """Return the state as plain values; ``plain`` converts a result."""
        return {
            'next_place': self._next_place,
            'next_release': self._next_release,
            'held': {place: [plain(each) for each in held] for place, held in self._held.items()},
        }

    def restore(self, state: Mapping[str, Any], result: Callable[[Any], T]) -> None:
        """Restore the state that ``snapshot`` returned; ``result`` converts a result back."""
        self._next_place = state['next_place']
        self._next_release = state['next_release']
        self._held = {
            place: [result(each) for each in held] for place, held in state['held'].items()
        }
