"""What the diagnostics say of a pipeline: its managers, their stages, their workers.

Parsed from what managers publish on ``/diagnostics``; no ROS in here, and no clock. What a status
does not say, or says in a way that cannot be read, is None.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

# Diagnostics come every second. Who has said nothing for so long, s, is silent.
SILENCE = 3.0
# The states of a manager that is about to end. One that has said nothing more for so long, s, has.
ENDING, ENDED = frozenset({'shuttingdown', 'finalized'}), 2.0
WORKER = re.compile(r'worker_\d+')
ROS_NAMES = re.compile(r'(/\w+)+', re.ASCII)
# What a stage's status says, and no other's.
OF_A_STAGE = frozenset({'queued', 'queue_size', 'accepted', 'completed', 'workers_active'})
# And a manager's.
OF_A_MANAGER = frozenset({'stages', 'spares'})


class Level(enum.IntEnum):
    """How a node is, by its diagnostics."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@attrs.frozen
class Process:
    """What is known of a node that has a process of its own: a manager or a worker."""

    node: str  # its full name, /airside/detect_target/worker_0
    level: Level
    message: str
    state: str
    pid: int | None
    age: float | None  # s
    restarts: int | None
    processor: float | None  # %, of one processor
    memory: float | None  # MB


@attrs.frozen
class Worker(Process):
    """A worker of a stage."""

    held: int | None
    busy: float | None  # %
    processed: int | None


@attrs.frozen
class Stage:
    """A stage, and its workers."""

    node: str
    level: Level
    message: str
    state: str
    queued: int | None
    queue_size: int | None
    held: int | None
    rate: float | None  # Hz
    latency_p50: float | None  # ms
    latency_p99: float | None  # ms
    completed: int | None
    dropped: int | None
    quarantined: int | None
    redelivered: int | None
    wanted: int | None  # workers, by its configuration
    at_work: int | None  # workers in its pool
    workers: tuple[Worker, ...] = ()


@attrs.frozen
class Manager(Process):
    """A manager, and its stages in their order."""

    host: str
    spares: int | None
    stages: tuple[Stage, ...]
    heard: float  # when, s

    @property
    def key(self) -> str:
        """What tells it from any other, of the same name on another machine."""
        return f'{self.node}@{self.host}:{self.pid}'

    def succeeds(self, other: Manager) -> bool:
        """Whether it has come in place of another one, which is not heard any more."""
        is_of_that_name = (self.node, self.host) == (other.node, other.host)
        return is_of_that_name and self.pid != other.pid and other.silence(self.heard) > SILENCE

    def silence(self, now: float) -> float:
        """For how long nothing has come of it, s."""
        return max(0.0, now - self.heard)

    def is_silent(self, now: float) -> bool:
        """Whether that is too long. One that has ended in order has nothing more to say."""
        return self.silence(now) > SILENCE and self.state not in ENDING

    def has_ended(self, now: float) -> bool:
        """Whether it has, as it said that it would."""
        return self.silence(now) > ENDED and self.state in ENDING


class Pipeline:
    """What is known now of the pipeline in a namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.elsewhere: set[str] = set()  # the other namespaces with a pipeline that was heard of
        self._prefix = namespace.rstrip('/') + '/'
        self._reports: dict[str, Manager] = {}

    def hear(self, statuses: Iterable[Any], now: float) -> bool:
        """Take in the statuses of one ``DiagnosticArray``; whether they are a manager's of ours."""
        told = [(status, _values(status)) for status in statuses]
        manager = next((each for each in told if self._is_manager(*each)), None)
        if manager is None:
            self.elsewhere |= {
                status.name.rpartition('/')[0] or '/'
                for status, values in told
                if is_of_a_manager(values) and ROS_NAMES.fullmatch(status.name)
            }
            return False
        stages: dict[str, Stage] = {}
        for status, values in told:
            parts = self._path(status.name)
            if len(parts) == 1 and not values.keys().isdisjoint(OF_A_STAGE):
                stages[parts[0]] = _stage(status, values)
            elif len(parts) == 2 and parts[0] in stages and WORKER.fullmatch(parts[1]):
                stage = stages[parts[0]]
                workers = (*stage.workers, _worker(status, values))
                stages[parts[0]] = attrs.evolve(stage, workers=workers)
        report = _manager(*manager, tuple(stages.values()), now)
        self._reports[report.key] = report
        self._reports = {
            key: each for key, each in self._reports.items() if not report.succeeds(each)
        }
        return True

    def _is_manager(self, status: Any, values: Mapping[str, str]) -> bool:
        return len(self._path(status.name)) == 1 and is_of_a_manager(values)

    def _path(self, name: str) -> list[str]:
        """A name below the namespace, in its parts; empty for any other name."""
        if not name.startswith(self._prefix) or not ROS_NAMES.fullmatch(name):
            return []
        return name[len(self._prefix) :].split('/')

    def managers(self) -> list[Manager]:
        """Those that were heard, in order of their names; each stage at who told of it last.

        Whoever has no stage left, as another manager took them all over, is of the past.
        """
        newest: dict[str, Manager] = {}
        for report in self._reports.values():
            for stage in report.stages:
                other = newest.get(stage.node)
                if other is None or other.heard < report.heard:
                    newest[stage.node] = report
        result = []
        for key in sorted(self._reports):
            report = self._reports[key]
            stages = tuple(each for each in report.stages if newest[each.node] is report)
            if stages or not report.stages:
                result.append(attrs.evolve(report, stages=stages))
        return result


def is_of_a_manager(values: Mapping[str, str]) -> bool:
    """Whether the values of a status are a manager's."""
    return not values.keys().isdisjoint(OF_A_MANAGER)


def _values(status: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}


def _common(status: Any, values: Mapping[str, str]) -> dict[str, Any]:
    level = status.level if isinstance(status.level, int) else ord(status.level)
    return {
        'node': status.name,
        'level': Level(min(level, Level.STALE)),
        'message': printable(status.message),
        'state': printable(values.get('state', '')),
    }


def _process(status: Any, values: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_common(status, values),
        'pid': _count(values.get('pid')),
        'age': _number(values.get('age_s')),
        'restarts': _count(values.get('restarts')),
        'processor': _number(values.get('cpu_percent')),
        'memory': _number(values.get('memory_mb')),
    }


def _worker(status: Any, values: Mapping[str, str]) -> Worker:
    return Worker(
        **_process(status, values),
        held=_count(values.get('in_flight')),
        busy=_number(values.get('busy_percent')),
        processed=_count(values.get('processed')),
    )


def _stage(status: Any, values: Mapping[str, str]) -> Stage:
    return Stage(
        **_common(status, values),
        queued=_count(values.get('queued')),
        queue_size=_count(values.get('queue_size')),
        held=_count(values.get('in_flight')),
        rate=_number(values.get('rate_hz')),
        latency_p50=_number(values.get('latency_p50_ms')),
        latency_p99=_number(values.get('latency_p99_ms')),
        completed=_count(values.get('completed')),
        dropped=_count(values.get('dropped')),
        quarantined=_count(values.get('quarantined')),
        redelivered=_count(values.get('redelivered')),
        wanted=_count(values.get('workers')),
        at_work=_count(values.get('workers_active')),
    )


def _manager(
    status: Any, values: Mapping[str, str], stages: tuple[Stage, ...], now: float
) -> Manager:
    return Manager(
        **_process(status, values),
        host=printable(status.hardware_id),
        spares=_count(values.get('spares')),
        stages=stages,
        heard=now,
    )


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or '')
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def printable(text: str) -> str:
    """One line without what would steer a terminal; of a traceback, what was raised."""
    last = (text.strip().splitlines() or [''])[-1].strip()
    return ''.join(sign if sign.isprintable() else '?' for sign in last)
