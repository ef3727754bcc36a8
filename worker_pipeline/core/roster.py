"""Who of a stage's workers is on duty, and who stands by to take over at once."""

from __future__ import annotations

from collections.abc import Iterable


class Roster:
    """Places on duty, and the names that fill them; all others stand by.

    A name that is lost to duty gives its place to one that stands by and is ready. Where there is
    none it keeps its place, and takes it up again as soon as it can.
    """

    def __init__(self, places: int) -> None:
        if places < 1:
            raise ValueError(f'places: found {places}; allowed: 1 or more')
        self.places = places
        self._names: list[str] = []
        self._on_duty: set[str] = set()

    def enlist(self, name: str) -> None:
        """Add a name: on duty while there is a place, else standing by."""
        if name in self._names:
            raise ValueError(f'{name}: is on the roster already')
        self._names.append(name)
        if len(self._on_duty) < self.places:
            self._on_duty.add(name)

    def strike_off(self, name: str) -> None:
        """Take a name away; its place, if it had one, is free for whoever comes next."""
        self._names.remove(name)
        self._on_duty.discard(name)

    def balance(self) -> tuple[list[str], list[str]]:
        """After a change of ``places``: the first that stand by fill those that are free.

        Where there are too many on duty, the last of them stand by. Returns those that came on
        duty, and those that went off it.
        """
        on_duty = [name for name in self._names if name in self._on_duty]
        standing_by = [name for name in self._names if name not in self._on_duty]
        on = standing_by[: max(0, self.places - len(on_duty))]
        off = on_duty[self.places :]
        self._on_duty = (self._on_duty | {*on}) - {*off}
        return on, off

    def is_on_duty(self, name: str) -> bool:
        """Whether a name has a place. One that is not on the roster has none."""
        return name in self._on_duty

    def relieve(self, name: str, ready: Iterable[str]) -> str | None:
        """Have one of those that are ready take the place of one that is lost.

        Returns who does, the first on the roster of them; None where nobody can, or ``name`` had no
        place to give.
        """
        if name not in self._on_duty:
            return None
        able = {each for each in ready if each not in self._on_duty}
        for each in self._names:
            if each in able:
                self._on_duty.remove(name)
                self._on_duty.add(each)
                return each
        return None
