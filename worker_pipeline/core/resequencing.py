"""Restoring order: results come in any order and leave in the order of their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar('T')


class Resequencer(Generic[T]):
    """Hands out places and releases what was finished, place by place.

    Every place that was taken must be finished once; a place with nothing to release is finished
    with an empty list. What it holds back is bounded by whoever limits the places open at a time.
    """

    def __init__(self) -> None:
        self._next_place = 0
        self._next_release = 0
        self._held: dict[int, list[T]] = {}

    @property
    def held(self) -> int:
        """How many finished places wait for an earlier one."""
        return len(self._held)

    def take_place(self) -> int:
        """The next place in the order."""
        place = self._next_place
        self._next_place += 1
        return place

    def finish(self, place: int, results: list[T]) -> list[T]:
        """Finish a place; return all that may leave now, in order.

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

    def discard(self, unwanted: Callable[[T], bool]) -> None:
        """Let go of some of the results that are held back; their places stay finished."""
        for place, results in self._held.items():
            self._held[place] = [each for each in results if not unwanted(each)]

    def snapshot(self, plain: Callable[[T], Any]) -> dict[str, Any]:
        """All of it as plain values; ``plain`` makes a result one."""
        return {
            'next_place': self._next_place,
            'next_release': self._next_release,
            'held': {place: [plain(each) for each in held] for place, held in self._held.items()},
        }

    def restore(self, state: Mapping[str, Any], result: Callable[[Any], T]) -> None:
        """Take over what ``snapshot`` gave; ``result`` makes a result of plain values again."""
        self._next_place = state['next_place']
        self._next_release = state['next_release']
        self._held = {
            place: [result(each) for each in held] for place, held in state['held'].items()
        }
