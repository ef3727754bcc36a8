# SPDX-License-Identifier: Apache-2.0
"""The runs of a pipeline: within one run, an item's stamp is its identity.

Where time starts over (a recording is played again, simulated time is set back), stamps come a
second time. A new run makes them new items. Items of the run before that are still in the pipeline
keep their run, so that nothing of either is lost or doubled.
"""

from __future__ import annotations

# Messages of a topic and those of /clock overtake each other: for this long after a new run began
# some may still belong to the run before, s.
OVERLAP = 1.0
# An item is handed on to the stages that follow before its copy comes by the stage's topic: by this
# much at most, s, on a machine that is overloaded.
COPY_DELAY = 10.0


class Runs:
    """The number of the present run, common to all stages of a pipeline."""

    def __init__(self) -> None:
        self.number = 0
        self.may_restart = False  # whether ROS time may be set back: it is simulated
        self._begun_at = float('-inf')  # s
        self.time = 0  # simulated ROS time, ns
        self._before: int | None = None  # ROS time at the end of the run before, ns, if known
        self._late: dict[int, float] = {}  # former runs: when an item of theirs was handed on, s

    def begin(self, now: float, before: int | None = None) -> None:
        """Begin a new run.

        Args:
            now: s.
            before: where ROS time was set back: the time before that, ns.
        """
        self.number += 1
        self._begun_at = now
        self._before = before

    def of(self, stamp: int, now: float) -> int:
        """Return the run of an item that arrives: while two overlap, that with the nearer time.

        ``stamp``: the item's, ns; ``now``: s.
        """
        if self._before is None or not self._overlaps(now):
            return self.number
        return self.number - (stamp > (self._before + self.time) // 2)

    def handed_on(self, run: int, now: float) -> None:
        """Note that a stage has handed an item on, which may be of a run that ended long ago.

        Args:
            run: the item's.
            now: s.
        """
        if run != self.number:
            self._late[run] = now

    def recent(self, now: float) -> set[int]:
        """Return the runs of which the topics may carry copies of items. ``now``: s."""
        found = {self.number, self.number - 1} if self._overlaps(now) else {self.number}
        if self._late:
            self._late = {run: at for run, at in self._late.items() if now - at < COPY_DELAY}
            found |= self._late.keys()
        return found

    def restore(self, number: int) -> None:
        """Continue a run of an earlier manager; of several numbers the highest counts."""
        self.number = max(self.number, number)

    def _overlaps(self, now: float) -> bool:
        return now - self._begun_at < OVERLAP
