# SPDX-License-Identifier: Apache-2.0
"""How regularly a source stamps its messages: their period, its jitter, and gaps between them."""

from __future__ import annotations

from collections import deque
from statistics import median

# The newest steps that count. Half of them have to be longer before a new period is believed.
WINDOW = 64
MIN_STEPS = 8
# A source whose steps deviate more from their median is not periodic: no gap can be told, share.
MAX_JITTER = 0.25
# A longer step is a pause of the source: how much is missing in it is not counted, ns.
PAUSE = 2_000_000_000
# So many gaps in a row are a new, longer period.
GAPS_IN_A_ROW = 5


class SourceRate:
    """The period of a source, and the messages that are missing between its stamps.

    ``gaps`` counts steps that are longer than one and a half periods, ``missing`` the messages that
    would have filled those of up to ``PAUSE``. Both stay as they are for a source that is not
    periodic. ``back`` counts stamps that are not after the one before.
    """

    def __init__(self) -> None:
        self.gaps = self.missing = self.back = 0
        self._steps: deque[int] = deque(maxlen=WINDOW)
        self._period = 0.0  # ns, 0: not periodic, or not known yet
        # What was missing in each of the newest gaps, back to the last step that was none.
        self._row: list[int] = []

    def step(self, step: int) -> None:
        """Take the time from one stamp to the next, ns."""
        if step <= 0:
            self.back += 1
            return
        self._steps.append(step)
        if not self._period:
            return
        missing = round(step / self._period) - 1
        if missing < 1:
            self._row.clear()
            return
        self._row.append(missing if step <= PAUSE else 0)
        self.gaps += 1
        self.missing += self._row[-1]
        if len(self._row) == GAPS_IN_A_ROW:
            self.gaps -= GAPS_IN_A_ROW
            self.missing -= sum(self._row)
            self.restart()

    def restart(self) -> None:
        """Forget the period: the source has another one, or its clock has jumped."""
        self._steps.clear()
        self._row.clear()
        self._period = 0.0

    def look(self) -> None:
        """Find the period. Called now and then, as it takes longer than a step."""
        if len(self._steps) < MIN_STEPS:
            return
        period = float(median(self._steps))
        self._period = period if self._deviation(period) <= MAX_JITTER * period else 0.0

    @property
    def rate(self) -> float:
        """Return the messages in a second, from the median of the steps; 0 if there are too few."""
        return 1e9 / median(self._steps) if len(self._steps) >= MIN_STEPS else 0.0

    @property
    def jitter(self) -> float:
        """Return the median deviation of a step from their median, ns."""
        return self._deviation(median(self._steps)) if len(self._steps) >= MIN_STEPS else 0.0

    def _deviation(self, middle: float) -> float:
        return float(median(abs(each - middle) for each in self._steps))
