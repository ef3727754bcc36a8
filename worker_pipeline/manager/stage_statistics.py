# SPDX-License-Identifier: Apache-2.0
"""The state of a stage and its workers at one moment, as plain values for ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from worker_pipeline.core.ledger import Acceptance
from worker_pipeline.core.reported_state import reported_state
from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.core.supervision_table import HEALTHY, Phase
from worker_pipeline.manager.slot import Slot

NANOSECONDS = 1e9
SAVED_STATE_KEYS = ('state_bytes', 'state_save_ms')
# The remedy for duplicates.
IF_REPEATED = 'if a recording is played again, call the service new_run of the manager'


@attrs.frozen
class WorkerStatistics:
    """One worker at one moment. Times are in s, moments by the monotonic clock."""

    slot: str
    pid: int | None
    state: str  # its lifecycle state, or starting, standby, replacing, failed
    is_healthy: bool  # it is ready or cordoned
    is_cordoned: bool
    is_being_replaced: bool
    restarts: int
    last_exit: str
    last_error: str
    left_behind: int  # processes that its workers did not end, so far
    silence: float  # since its last heartbeat
    heartbeat_timeout: float
    in_flight: int
    started_at: float | None  # None: its process has not come up
    busy: float  # spent on items, the one in process included
    processed: object = 0
    saved_state: Mapping[str, str] = {}  # its size and the time that it took; of a stage with one
    level: str = ''  # reported by its stage: '' without a report, else a level of StageStatus
    message: str = ''
    own: Mapping[str, str] = {}  # further values of its stage
    output_dropped: int = 0  # lines that it printed beyond the limit


@attrs.frozen
class StageStatistics:
    """One stage at one moment."""

    name: str
    node: str  # its node's full name
    state: str
    workers_wanted: int
    workers_active: int
    values: Mapping[str, Any]  # as ``/diagnostics`` shows them
    inputs_without_publisher: tuple[str, ...]
    workers: tuple[WorkerStatistics, ...]
    separate_states: bool = False  # several workers have a state each, and that may be a mistake
    notes: tuple[str, ...] = ()  # what is unusual about its items, or its workers as a whole

    @property
    def restarts(self) -> int:
        """Return how often workers of the stage were restarted."""
        return sum(worker.restarts for worker in self.workers)


def dispatcher_values(stage: StageDispatcher, now: float) -> dict[str, Any]:
    """Return the figures of a stage's items for ``/diagnostics``. ``now``: s."""
    ledger, counters, latency = stage.ledger, stage.ledger.counters, stage.latency
    return {
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
        'refused': counters.refused,
        'workers_active': len(stage.pool),
        'queue_size': stage.policy.queue_size,
        'latency_p50_ms': f'{latency.percentile(50) * 1e3:.2f}',
        'latency_p99_ms': f'{latency.percentile(99) * 1e3:.2f}',
        'rate_hz': f'{latency.rate(now):.2f}',
        'refused_for_s': f'{stage.repeated.since(now) or 0.0:.1f}',
        'newest_stamp_s': _seconds(stage.repeated.newest),
    }


def _seconds(stamp: int) -> str:
    return f'{stamp / NANOSECONDS:.3f}' if stamp >= 0 else ''


def rejection_text(source: str, reason: Acceptance) -> str:
    """Return why an item was not accepted, for the log."""
    if reason is Acceptance.DUPLICATE:
        return (
            f'{source}: refused an item: an item with this stamp was accepted before; {IF_REPEATED}'
        )
    return f'{source}: refused an item: the queue is full, and overflow is block'


def stage_notes(stage: StageDispatcher, ros_time: RosTime, now: float) -> tuple[str, ...]:
    """Return what is wrong with a stage's items, in words. ``now``: s.

    Args:
        stage: the stage's dispatcher.
        ros_time: the pipeline's.
        now: s.
    """
    notes = []
    if stage.policy.is_source and ros_time.problem(now):
        notes.append('waiting for /clock')
    since = stage.repeated.since(now)
    if since is not None:
        notes.append(
            f'{stage.repeated.count} refused as duplicates for {since:.0f} s: their stamps came '
            f'before, up to {_seconds(stage.repeated.newest)}; {IF_REPEATED}'
        )
    return tuple(notes)


def worker_statistics(
    slot: Slot, in_flight: int, now: float, *, is_standby: bool, output_dropped: int = 0
) -> WorkerStatistics:
    """Return the state of a slot's worker.

    Args:
        slot: the slot.
        in_flight: how many items it holds.
        now: s.
        is_standby: whether it is meant to wait until another one fails.
        output_dropped: how many lines of its output were dropped.
    """
    seen, report = slot.supervision, slot.report
    liveness = slot.liveness.read() if slot.liveness is not None else None
    state = reported_state(seen, now)
    started_at, busy = None, 0.0
    if liveness is not None and liveness.registered_at:
        started_at, busy = liveness.registered_at / NANOSECONDS, liveness.busy_ns / NANOSECONDS
        if liveness.active_item:
            busy += max(0.0, now - liveness.active_since / NANOSECONDS)
    return WorkerStatistics(
        slot=slot.name,
        pid=seen.pid,
        state='standby' if is_standby and slot.is_ready_standby else state,
        is_healthy=seen.phase in HEALTHY,
        is_cordoned=seen.phase is Phase.CORDONED,
        is_being_replaced=seen.phase in (Phase.ENDING, Phase.BACKOFF) or state == 'replacing',
        restarts=seen.restarts,
        last_exit=slot.last_exit,
        last_error=slot.last_error,
        left_behind=slot.left_behind,
        silence=seen.time_since_heartbeat(now),
        heartbeat_timeout=seen.timing.heartbeat_timeout,
        in_flight=in_flight,
        started_at=started_at,
        busy=busy,
        processed=report.values['processed'] if report else 0,
        saved_state={
            key: value
            for key, value in (report.values if report else {}).items()
            if key in SAVED_STATE_KEYS
        },
        level=report.level if report else '',
        message=report.message if report else '',
        own=report.own if report else {},
        output_dropped=output_dropped,
    )
