"""What `/diagnostics` says of the manager, its stages and their workers."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline import status as stage_status
from worker_pipeline.core.recent_growth import RecentGrowth
from worker_pipeline.core.supervision import HEALTHY, Phase
from worker_pipeline.nodes.slot import Slot
from worker_pipeline.nodes.stage import StageNode
from worker_pipeline.nodes.worker_contract import key_values
from worker_pipeline.runtime.proc import processor_time, resident_size

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
# What a stage says of itself.
LEVELS = dict(zip(stage_status.LEVELS, (OK, WARN, ERROR), strict=True))
# A replacement is over in milliseconds. Who looks once a second is to see that there was one.
REMEMBERED = 3.0  # s
NANOSECONDS = 1e9
# Counters of a stage of which each step is bad news, and what it is.
BAD_NEWS = {
    'dropped': 'dropped',
    'quarantined': 'given up',
    'refused': 'refused',
    'lost': 'lost before they came here',
    'by_socket': 'by socket, as shared memory had no room',
}


class Diagnostics:
    """Makes the statuses, at one moment after the other.

    Names are those of the nodes, so that tools group them by pipeline, stage and worker:
    ``/airside/detect_target/worker_0``.
    """

    def __init__(self, manager: str) -> None:
        self._manager = manager
        self._host = socket.gethostname()
        self._began = time.monotonic()
        self._growth = RecentGrowth(REMEMBERED)

    def statuses(
        self, state: str, stages: Iterable[StageNode], spares: int, frames: int, now: float
    ) -> list[DiagnosticStatus]:
        """One for the manager, which is in ``state``, each stage and each worker.

        ``spares`` are ready; ``frames`` bytes of shared memory are in use.
        """
        of_stages, of_workers, restarts = [], [], 0
        for stage in stages:
            workers = [self._worker(stage, slot, now) for slot in stage.slots.values()]
            restarts += sum(slot.supervision.restarts for slot in stage.slots.values())
            of_stages.append(self._stage(stage, workers, now, is_flowing=state == 'active'))
            of_workers.append(workers)
        values = {
            'state': state,
            'pid': os.getpid(),
            'stages': len(of_stages),
            'workers': sum(map(len, of_workers)),
            'restarts': restarts,
            'spares': spares,
            'frames_mb': f'{frames / 1e6:.1f}',
            'age_s': f'{now - self._began:.1f}',
            **self._usage(os.getpid(), now),
        }
        wanting = [each for each in of_stages if each.level != OK]
        level = max((each.level for each in wanting), default=OK)
        message = '; '.join(f'{each.name.rpartition("/")[2]}: {each.message}' for each in wanting)
        if state == 'inactive':
            level, message = max(level, WARN), message or 'paused'
        self._growth.forget(now)
        result = [self._status(self._manager, level, message or state, values)]
        for status, workers in zip(of_stages, of_workers, strict=True):
            result += [status, *workers]
        return result

    def _status(
        self, name: str, level: bytes, message: str, values: Mapping[str, Any], pid: object = ''
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=level,
            name=name,
            message=message,
            hardware_id=f'{self._host}:{pid}' if pid else self._host,
            values=key_values(values),
        )

    def _stage(
        self, stage: StageNode, workers: list[DiagnosticStatus], now: float, *, is_flowing: bool
    ) -> DiagnosticStatus:
        """A stage's status. ``is_flowing``: whether the pipeline is, so that this one should be."""
        ledger, counters, name = stage.ledger, stage.ledger.counters, stage.get_name()
        values: dict[str, Any] = {
            'state': stage.state,
            'queued': ledger.waiting,
            'in_flight': ledger.in_flight,
            'accepted': counters.accepted,
            'completed': counters.completed,
            'delivered': counters.delivered,
            'dropped': counters.dropped,
            'quarantined': counters.quarantined,
            'redelivered': counters.redelivered,
            'duplicates': counters.duplicates,
            'duplicate_answers': counters.duplicate_answers,
            'refused': counters.refused + stage.bad_messages,
            'lost': sum(stage.lost.values()),
            'by_socket': stage.by_socket,
            'workers': stage.config.workers,
            'workers_active': len(stage.pool),
            'queue_size': stage.config.queue_size,
            'listeners': stage.listeners,
            'latency_p50_ms': f'{stage.latency.percentile(50) * 1e3:.2f}',
            'latency_p99_ms': f'{stage.latency.percentile(99) * 1e3:.2f}',
            'rate_hz': f'{stage.latency.rate(now):.2f}',
        }
        level, news = OK, []
        for key, what in BAD_NEWS.items():
            growth, _ = self._growth.of((name, key), values[key], now)
            if growth:
                news.append(f'{growth:g} {what}')
        news += [f'nobody publishes {each} any more' for each in sorted(stage.deserted)]
        wanting = [each for each in workers if each.level != OK]
        if wanting:
            news.insert(0, f'{len(wanting)} of {len(workers)} workers not as they should be')
        news += sorted({each.report.message for each in stage.slots.values() if each.report} - {''})
        if is_flowing and stage.state == 'active' and not len(stage.pool):
            level, news = ERROR, ['no worker is active', *news]
        elif stage.state == 'inactive' and is_flowing:
            level, news = WARN, ['paused', *news]
        elif news:
            level = WARN
        message = ', '.join(news) or stage.state
        return self._status(stage.get_fully_qualified_name(), level, message, values)

    def _worker(self, stage: StageNode, slot: Slot, now: float) -> DiagnosticStatus:
        seen, report = slot.supervision, slot.report
        name = f'{stage.get_fully_qualified_name()}/{slot.name}'
        state = seen.reported_state(now)
        if slot.stands_by and not stage.workers.roster.is_on_duty(slot.name):
            state = 'standby'
        replaced, _ = self._growth.of((name, 'restarts'), seen.restarts, now)
        silence = seen.shown_no_life_for(now)
        level, message = OK, state
        if state == 'failed':
            level, message = ERROR, slot.last_error or seen.last_exit
        elif seen.phase in (Phase.ENDING, Phase.BACKOFF) or state == 'replacing':
            level, message = WARN, seen.last_exit or 'replacing'
        elif seen.phase in HEALTHY and silence > seen.timing.heartbeat_timeout / 2:
            level, message = STALE, f'no heartbeat for {silence:.2f} s'
        elif seen.phase is Phase.CORDONED:
            level, message = WARN, 'cordoned: taken out by hand'
        elif replaced:
            level, message = WARN, f'replaced: {seen.last_exit}'
        elif report is not None and report.message:
            level, message = LEVELS[report.level], report.message
        values = {
            'state': state,
            'pid': seen.pid or '',
            'restarts': seen.restarts,
            'processed': report.values['processed'] if report else 0,
            'in_flight': stage.ledger.held_by(slot.name),
            **self._work(slot, now),
            **self._usage(seen.pid, now),
            **(report.own if report else {}),
        }
        return self._status(name, level, message, values, seen.pid)

    def _work(self, slot: Slot, now: float) -> dict[str, str]:
        """How long the worker has been there, and how much of that it is at items."""
        signs = slot.signs.read() if slot.signs is not None else None
        if signs is None or not signs.born:
            return {'age_s': '0.0', 'busy_percent': '0.0'}
        busy = signs.busy / NANOSECONDS
        if signs.in_work:
            busy += max(0.0, now - signs.since / NANOSECONDS)
        growth, seconds = self._growth.of((signs.pid, 'busy'), busy, now)
        share = min(1.0, max(0.0, growth / seconds)) if seconds else 0.0
        return {
            'age_s': f'{now - signs.born / NANOSECONDS:.1f}',
            'busy_percent': f'{100 * share:.1f}',
        }

    def _usage(self, pid: int | None, now: float) -> dict[str, str]:
        """What a process takes of the machine; of processors 100 is one of them."""
        if pid is None:
            return {'cpu_percent': '0.0', 'memory_mb': '0.0'}
        growth, seconds = self._growth.of((pid, 'processor'), processor_time(pid), now)
        return {
            'cpu_percent': f'{100 * growth / seconds if seconds else 0.0:.1f}',
            'memory_mb': f'{resident_size(pid) / 1e6:.1f}',
        }


def in_a_line(state: str, stages: Mapping[str, StageNode], now: float) -> str:
    """How the pipeline stands, for people who have room for a line."""
    at_work = sum(len(stage.pool) for stage in stages.values())
    wanted = sum(stage.config.workers for stage in stages.values())
    line = f'{state}: {at_work} of {wanted} workers at work'
    failed = [
        f'{name}/{slot.name}'
        for name, stage in stages.items()
        for slot in stage.slots.values()
        if slot.supervision.reported_state(now) == 'failed'
    ]
    return f'{line}; failed: {", ".join(failed)}' if failed else line
