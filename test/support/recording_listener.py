# SPDX-License-Identifier: Apache-2.0
"""The log of a plain listener, and the longest gaps in its streams."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from support.echo_stages import CONTEXTS

# Latched messages reach a new subscriber all at once, the oldest first.
CATCHING_UP = 0.5  # s


class Silence(NamedTuple):
    """A gap: its length, its stream, and its begin, by ``time.monotonic``."""

    seconds: float
    what: str
    since: float


class Account(NamedTuple):
    """The ages of a worker's newest contexts, as it reported them; None before any."""

    time: float
    ages: dict[str, float | None]


class RecordingListener:
    """A listener's book, as far as it was read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0  # bytes
        self.times: dict[str, list[float]] = {}  # by stream
        self.heartbeats: dict[int, list[float]] = {}  # by pid, as are the others
        self.active: dict[str, int] = {}  # by worker: the last that was reported active
        self.accounts: dict[int, list[Account]] = {}
        self.results: dict[int, list[float]] = {}
        self.names: dict[int, str] = {}

    def read_on(self) -> None:
        """Read the lines written since."""
        with self._path.open('rb') as book:
            book.seek(self._read)
            text = book.read()
        whole = text[: text.rfind(b'\n') + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            time, what, *rest = line.split(' ', 2)
            self._take(float(time), what, rest[0].split() if rest else [])

    def _take(self, time: float, what: str, told: list[str]) -> None:
        self.times.setdefault(what, []).append(time)
        if what == 'heartbeat':
            pid, name, state = int(told[0]), told[1], told[2]
            self.names[pid] = name
            self.heartbeats.setdefault(pid, []).append(time)
            if state == 'active':
                self.active[name] = pid
        elif what.endswith('/output'):
            ages = {
                name: None if age == 'none' else float(age)
                for name, age in zip(CONTEXTS, told[1:-1], strict=True)
            }
            self.accounts.setdefault(int(told[0]), []).append(Account(time, ages))
        elif what.endswith('/result'):
            self.results.setdefault(int(told[0]), []).append(time)

    def hears(self, pid: int, context: str) -> float | None:
        """Return when a worker first reported a context; None: never."""
        accounts = self.accounts.get(pid, ())
        return next((each.time for each in accounts if each.ages[context] is not None), None)

    def held_up(self) -> float:
        """How long the listener's process was held up by the machine alone, at most, s."""
        times = self.times['alive']
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    # -- silences --------------------------------------------------------------------------------

    def silences(self, deaths: dict[int, float], begin: float, end: float) -> list[Silence]:
        """Return the longest gap of each stream, from its first message on.

        ``deaths``: of workers, by pid. A worker's streams end with it.
        """
        found = [
            _longest(each, [begin, *self.times[each], end], begin)
            for each in ('first/output', 'second/output', 'large')
        ]
        for pid, times in self.heartbeats.items():
            last = deaths.get(pid, end)
            found.append(_longest(f'heartbeats of {self._name(pid)}', [*times, last], begin))
        for pid, accounts in self.accounts.items():
            found += [self._without_context(pid, accounts, each, begin) for each in CONTEXTS]
            found.append(self._without_topics(pid, accounts, deaths.get(pid, end), begin))
        return sorted(found, reverse=True)

    def _without_context(
        self, pid: int, accounts: Sequence[Account], context: str, begin: float
    ) -> Silence:
        """It may be without one for as long as the newest that it has is old."""
        first = self.hears(pid, context)
        told = [
            Silence(each.ages[context] or 0.0, f'context {context} at {self._name(pid)}', each.time)
            for each in accounts
            if first is not None and each.time > max(begin, first + CATCHING_UP)
        ]
        return max(told, default=Silence(0.0, '', begin))

    def _without_topics(
        self, pid: int, accounts: Sequence[Account], last: float, begin: float
    ) -> Silence:
        """Check that each output was shown on its worker's ``result`` too, and its item."""
        worst = Silence(0.0, '', begin)
        name = self.names.get(pid)
        shown = {f'{name}/work': self.times.get(f'{name}/work', [])}
        shown[f'{name}/result'] = self.results.get(pid, [])
        for topic, times in shown.items():
            if not times:
                continue
            for account in accounts:
                # Once any message was received there: a listener has to be found first.
                if times[0] < account.time < last:
                    near = _distance(times, account.time)
                    worst = max(worst, Silence(near, f'{topic} of {pid}', account.time))
        return worst

    def _name(self, pid: int) -> str:
        return f'{self.names.get(pid, "?")} ({pid})'


def _longest(what: str, times: Iterable[float], begin: float) -> Silence:
    times = [each for each in times if each >= begin]
    gaps = [Silence(b - a, what, a) for a, b in itertools.pairwise(times)]
    return max(gaps, default=Silence(0.0, what, begin))


def _distance(times: Sequence[float], time: float) -> float:
    """From a time to the nearest of some, which are in order."""
    at = bisect.bisect(times, time)
    return min(abs(each - time) for each in times[max(0, at - 1) : at + 1])
