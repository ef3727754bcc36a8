# SPDX-License-Identifier: Apache-2.0
"""The state of a pipeline as its diagnostics report it: managers, stages and workers.

Parsed from ``/diagnostics``; no ROS in here, and no clock. A value that is missing or cannot be
parsed is None.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

# s without diagnostics, which come every second, after which a manager is silent.
SILENT_AFTER = 3.0
# The states of a manager that is shutting down, and the s without diagnostics after which it has.
ENDING_STATES, ENDED_AFTER = frozenset({'shuttingdown', 'finalized'}), 2.0
WORKER = re.compile(r'worker_\d+')
ROS_NAMES = re.compile(r'(/\w+)+', re.ASCII)
# Keys that only a stage's status has.
STAGE_KEYS = frozenset({'queued', 'queue_size', 'accepted', 'completed', 'workers_active'})
# Keys that only a manager's status has.
MANAGER_KEYS = frozenset({'stages', 'spares'})


class Level(enum.IntEnum):
    """The level of a diagnostic status."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@attrs.frozen
class Process:
    """A node with a process of its own: a manager or a worker."""

    node: str  # its full name, /airside/detect_target/worker_0
    level: Level
    message: str
    state: str
    pid: int | None
    age: float | None  # s
    restarts: int | None
    cpu_percent: float | None  # %, of one processor
    memory: float | None  # MB


@attrs.frozen
class Worker(Process):
    """A worker of a stage."""

    in_flight: int | None
    busy: float | None  # %
    processed: int | None


@attrs.frozen
class Stage:
    """A stage and its workers."""

    node: str
    level: Level
    message: str
    state: str
    queued: int | None
    queue_size: int | None
    in_flight: int | None
    rate: float | None  # Hz
    latency_p50: float | None  # ms
    latency_p99: float | None  # ms
    completed: int | None
    dropped: int | None
    quarantined: int | None
    redelivered: int | None
    configured_workers: int | None
    active_workers: int | None
    workers: tuple[Worker, ...] = ()


@attrs.frozen
class Manager(Process):
    """A manager and its stages, in their order."""

    host: str
    spares: int | None
    stages: tuple[Stage, ...]
    received_at: float  # when, s

    @property
    def key(self) -> str:
        """Return its identity, unique also among managers of the same name on other machines."""
        return f'{self.node}@{self.host}:{self.pid}'

    def succeeds(self, other: Manager) -> bool:
        """Return whether it has replaced another one, which is silent."""
        is_of_that_name = (self.node, self.host) == (other.node, other.host)
        return (
            is_of_that_name
            and self.pid != other.pid
            and other.silence(self.received_at) > SILENT_AFTER
        )

    def silence(self, now: float) -> float:
        """Return the time since its last diagnostics, s."""
        return max(0.0, now - self.received_at)

    def is_silent(self, now: float) -> bool:
        """Return whether it is silent without having shut down cleanly."""
        return self.silence(now) > SILENT_AFTER and self.state not in ENDING_STATES

    def has_ended(self, now: float) -> bool:
        """Return whether it has shut down cleanly."""
        return self.silence(now) > ENDED_AFTER and self.state in ENDING_STATES


class Pipeline:
    """The pipeline in a namespace, from the diagnostics received so far."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.other_namespaces: set[str] = set()  # of other pipelines
        self._prefix = namespace.rstrip('/') + '/'
        self._reports: dict[str, Manager] = {}

    def update(self, statuses: Iterable[Any], now: float) -> bool:
        """Take in one ``DiagnosticArray``; return whether it is from a manager of this pipeline."""
        parsed = [(status, _values(status)) for status in statuses]
        manager = next((each for each in parsed if self._is_manager(*each)), None)
        if manager is None:
            self.other_namespaces |= {
                status.name.rpartition('/')[0] or '/'
                for status, values in parsed
                if is_of_a_manager(values) and ROS_NAMES.fullmatch(status.name)
            }
            return False
        stages: dict[str, Stage] = {}
        for status, values in parsed:
            parts = self._path(status.name)
            if len(parts) == 1 and not values.keys().isdisjoint(STAGE_KEYS):
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
        """Return the parts of a name below the namespace; empty for any other name."""
        if not name.startswith(self._prefix) or not ROS_NAMES.fullmatch(name):
            return []
        return name[len(self._prefix) :].split('/')

    def managers(self) -> list[Manager]:
        """Return the managers by name, each stage under the manager that reported it last.

        A manager without stages, since all moved to others, is left out.
        """
        newest: dict[str, Manager] = {}
        for report in self._reports.values():
            for stage in report.stages:
                other = newest.get(stage.node)
                if other is None or other.received_at < report.received_at:
                    newest[stage.node] = report
        result = []
        for key in sorted(self._reports):
            report = self._reports[key]
            stages = tuple(each for each in report.stages if newest[each.node] is report)
            if stages or not report.stages:
                result.append(attrs.evolve(report, stages=stages))
        return result


def is_of_a_manager(values: Mapping[str, str]) -> bool:
    """Return whether the values of a status are a manager's."""
    return not values.keys().isdisjoint(MANAGER_KEYS)


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
        'cpu_percent': _number(values.get('cpu_percent')),
        'memory': _number(values.get('memory_mb')),
    }


def _worker(status: Any, values: Mapping[str, str]) -> Worker:
    return Worker(
        **_process(status, values),
        in_flight=_count(values.get('in_flight')),
        busy=_number(values.get('busy_percent')),
        processed=_count(values.get('processed')),
    )


def _stage(status: Any, values: Mapping[str, str]) -> Stage:
    return Stage(
        **_common(status, values),
        queued=_count(values.get('queued')),
        queue_size=_count(values.get('queue_size')),
        in_flight=_count(values.get('in_flight')),
        rate=_number(values.get('rate_hz')),
        latency_p50=_number(values.get('latency_p50_ms')),
        latency_p99=_number(values.get('latency_p99_ms')),
        completed=_count(values.get('completed')),
        dropped=_count(values.get('dropped')),
        quarantined=_count(values.get('quarantined')),
        redelivered=_count(values.get('redelivered')),
        configured_workers=_count(values.get('workers')),
        active_workers=_count(values.get('workers_active')),
    )


def _manager(
    status: Any, values: Mapping[str, str], stages: tuple[Stage, ...], now: float
) -> Manager:
    return Manager(
        **_process(status, values),
        host=printable(status.hardware_id),
        spares=_count(values.get('spares')),
        stages=stages,
        received_at=now,
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
    """Return text as one line without control characters; of a traceback, only the error."""
    last = (text.strip().splitlines() or [''])[-1].strip()
    return ''.join(each if each.isprintable() else '?' for each in last)
