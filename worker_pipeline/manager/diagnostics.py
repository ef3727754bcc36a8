# SPDX-License-Identifier: Apache-2.0
"""The content of ``/diagnostics``: the manager, its stages and their workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline import status as stage_status
from worker_pipeline.core.sliding_counter import SlidingCounter
from worker_pipeline.manager.stage_statistics import StageStatistics, WorkerStatistics
from worker_pipeline.ros.diagnostics import key_values
from worker_pipeline.system.proc import processor_time, resident_size

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
# By the level that a stage reports itself.
LEVELS = dict(zip(stage_status.LEVELS, (OK, WARN, ERROR), strict=True))
# A worker is replaced within milliseconds. A tool that looks once a second has to see it too.
RECENT_WINDOW = 3.0  # s
# Counters of a stage of which each step is a warning, and how it reads.
WARN_COUNTERS = {
    'dropped': 'dropped',
    'quarantined': 'quarantined',
    'refused': 'refused',
    'lost': 'lost on the way to the input',
    'outputs_lost': 'outputs lost on the way to subscribers',
    'by_socket': 'sent inline, as shared memory had no room',
}


class Diagnostics:
    """Turns statistics into statuses, one moment after the other.

    Names are those of the nodes, so that tools group them by pipeline, stage and worker:
    ``/airside/detect_target/worker_0``.

    Args:
        manager: the full name of the manager's node.
        now: s; the manager's age counts from here.
    """

    def __init__(self, manager: str, now: float) -> None:
        self._manager = manager
        self._host = socket.gethostname()
        self._started_at = now
        self._growth = SlidingCounter(RECENT_WINDOW)

    def statuses(
        self,
        state: str,
        stages: Iterable[StageStatistics],
        spares: int,
        frames: int,
        now: float,
        output_dropped: int = 0,
        clock: Mapping[str, Any] | None = None,
        problems: Iterable[str] = (),
    ) -> list[DiagnosticStatus]:
        """Return one status for the manager, each stage and each worker.

        Args:
            state: the manager's lifecycle state.
            stages: their statistics.
            spares: how many are ready.
            frames: bytes of shared memory in use.
            now: s.
            output_dropped: lines that were not written, as nobody read the manager's output.
            clock: the values about time.
            problems: what is wrong with it; '' is nothing.
        """
        stages = list(stages)
        result = []
        unhealthy = []
        for stage in stages:
            workers = [self._worker(stage, each, now) for each in stage.workers]
            status = self._stage(stage, workers, now, is_running=state == 'active')
            result += [status, *workers]
            if status.level != OK:
                unhealthy.append(status)
        level = max((each.level for each in unhealthy), default=OK)
        message = '; '.join(f'{each.name.rpartition("/")[2]}: {each.message}' for each in unhealthy)
        unread, _ = self._growth.delta((self._manager, 'output'), output_dropped, now)
        if unread:
            note = f'{unread:g} lines of output were not read'
            level, message = max(level, WARN), f'{message}; {note}' if message else note
        if any(problems := list(problems)):
            level = max(level, WARN)
            message = '; '.join(each for each in (*problems, message) if each)
        if state == 'inactive':
            level, message = max(level, WARN), message or 'paused'
        values = {
            'state': state,
            'pid': os.getpid(),
            'stages': len(stages),
            'workers': sum(len(stage.workers) for stage in stages),
            'restarts': sum(stage.restarts for stage in stages),
            'spares': spares,
            'frames_mb': f'{frames / 1e6:.1f}',
            'output_dropped': output_dropped,
            'age_s': f'{now - self._started_at:.1f}',
            **(clock or {}),
            **self._usage(os.getpid(), now),
        }
        self._growth.forget(now)
        return [self._status(self._manager, level, message or state, values), *result]

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
        self,
        stage: StageStatistics,
        workers: list[DiagnosticStatus],
        now: float,
        *,
        is_running: bool,
    ) -> DiagnosticStatus:
        """Return a stage's status.

        Args:
            stage: its statistics.
            workers: the statuses of its workers.
            now: s.
            is_running: whether the pipeline is active, so that the stage should be.
        """
        level, notes = OK, self._notes(stage, workers, now)
        if is_running and stage.state == 'active' and not stage.workers_active:
            level, notes = ERROR, ['no worker is active', *notes]
        elif stage.values.get('update_error'):
            level = ERROR
        elif stage.state == 'inactive' and is_running:
            level, notes = WARN, ['paused', *notes]
        elif notes:
            level = WARN
        message = ', '.join(notes) or stage.state
        return self._status(stage.node, level, message, {'state': stage.state, **stage.values})

    def _notes(
        self, stage: StageStatistics, workers: list[DiagnosticStatus], now: float
    ) -> list[str]:
        """Return a stage's problems, now or within ``RECENT_WINDOW``."""
        notes = [each for each in (stage.values.get('update_error'), *stage.notes) if each]
        unhealthy = sum(each.level != OK for each in workers)
        if unhealthy:
            notes.append(f'{unhealthy} of {len(workers)} workers unhealthy')
        for key, words in WARN_COUNTERS.items():
            growth, _ = self._growth.delta((stage.name, key), stage.values[key], now)
            if growth:
                notes.append(f'{growth:g} {words}')
        notes += [f'{each} has no publisher any more' for each in stage.inputs_without_publisher]
        if stage.separate_states:
            notes.append(f'each of {len(workers)} slots has a state of its own')
        return notes + sorted({each.message for each in stage.workers} - {''})

    def _worker(
        self, stage: StageStatistics, worker: WorkerStatistics, now: float
    ) -> DiagnosticStatus:
        name = f'{stage.node}/{worker.slot}'
        replaced, _ = self._growth.delta((name, 'restarts'), worker.restarts, now)
        unprinted, _ = self._growth.delta((name, 'output'), worker.output_dropped, now)
        level, message = OK, worker.state
        if worker.state == 'failed':
            level, message = ERROR, worker.last_error or worker.last_exit
        elif worker.is_being_replaced:
            level, message = WARN, worker.last_exit or 'replacing'
        elif worker.is_healthy and worker.silence > worker.heartbeat_timeout / 2:
            level, message = STALE, f'no heartbeat for {worker.silence:.2f} s'
        elif worker.is_cordoned:
            level, message = WARN, 'cordoned: deactivated manually'
        elif replaced:
            level, message = WARN, f'replaced: {worker.last_exit}'
        elif worker.message:
            level, message = LEVELS[worker.level], worker.message
        if level == OK and unprinted:
            level, message = WARN, f'{unprinted:g} lines of its output were dropped'
        values = {
            'state': worker.state,
            'pid': worker.pid or '',
            'restarts': worker.restarts,
            'processed': worker.processed,
            'in_flight': worker.in_flight,
            'left_behind': worker.left_behind,
            **worker.saved_state,
            'output_dropped': worker.output_dropped,
            **self._load(worker, now),
            **self._usage(worker.pid, now),
            **worker.own,
        }
        return self._status(name, level, message, values, worker.pid)

    def _load(self, worker: WorkerStatistics, now: float) -> dict[str, str]:
        """Return how long the worker has been running, and its share of time spent on items."""
        if worker.started_at is None:
            return {'age_s': '0.0', 'busy_percent': '0.0'}
        growth, seconds = self._growth.delta((worker.pid, 'busy'), worker.busy, now)
        share = min(1.0, max(0.0, growth / seconds)) if seconds else 0.0
        return {
            'age_s': f'{now - worker.started_at:.1f}',
            'busy_percent': f'{100 * share:.1f}',
        }

    def _usage(self, pid: int | None, now: float) -> dict[str, str]:
        """Return a process's use of the machine; 100 % is one whole processor."""
        if pid is None:
            return {'cpu_percent': '0.0', 'memory_mb': '0.0'}
        growth, seconds = self._growth.delta((pid, 'processor'), processor_time(pid), now)
        return {
            'cpu_percent': f'{100 * growth / seconds if seconds else 0.0:.1f}',
            'memory_mb': f'{resident_size(pid) / 1e6:.1f}',
        }


def summary_line(state: str, stages: Iterable[StageStatistics]) -> str:
    """Return the state of the pipeline in one line, for systemd.

    Args:
        state: the manager's lifecycle state.
        stages: their statistics.
    """
    stages = list(stages)
    active = sum(stage.workers_active for stage in stages)
    wanted = sum(stage.workers_wanted for stage in stages)
    failed = [
        f'{stage.name}/{worker.slot}'
        for stage in stages
        for worker in stage.workers
        if worker.state == 'failed'
    ]
    line = f'{state}: {active} of {wanted} workers active'
    return f'{line}; failed: {", ".join(failed)}' if failed else line
