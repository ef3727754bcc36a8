"""What `/diagnostics` says of the manager, its stages and their workers."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.core.supervision import Phase
from worker_pipeline.nodes.slot import Slot
from worker_pipeline.nodes.stage import StageNode
from worker_pipeline.nodes.worker_contract import key_values

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def status(name: str, level: bytes, message: str, values: dict[str, Any]) -> DiagnosticStatus:
    """One status. Names are those of the nodes: ``/airside/detect_target/worker_0``."""
    return DiagnosticStatus(level=level, name=name, message=message, values=key_values(values))


def worker_status(stage: StageNode, slot: Slot, now: float) -> DiagnosticStatus:
    """A worker's status."""
    seen = slot.supervision
    state = seen.reported_state(now)
    if slot.stands_by and not stage.workers.roster.is_on_duty(slot.name):
        state = 'standby'
    level, message = OK, state
    if state == 'failed':
        level, message = ERROR, slot.last_error or seen.last_exit
    elif seen.phase in (Phase.ENDING, Phase.BACKOFF) or state == 'replacing':
        level, message = WARN, seen.last_exit or 'replacing'
    elif seen.phase is Phase.CORDONED:
        level, message = WARN, 'cordoned: taken out by hand'
    values = {
        'state': state,
        'pid': seen.pid or '',
        'restarts': seen.restarts,
        'processed': slot.values.get('processed', 0),
        'in_flight': stage.ledger.held_by(slot.name),
    }
    return status(f'{stage.get_fully_qualified_name()}/{slot.name}', level, message, values)


def stage_status(stage: StageNode, workers: list[DiagnosticStatus], now: float) -> DiagnosticStatus:
    """A stage's status; its level is at least a warning while a worker's is."""
    ledger, counters = stage.ledger, stage.ledger.counters
    level, message = OK, stage.state
    wanting = [each for each in workers if each.level != OK]
    if stage.state == 'active' and not len(stage.pool):
        level, message = ERROR, 'no worker is active'
    elif wanting:
        level, message = WARN, f'{len(wanting)} of {len(workers)} workers are not at work'
    values = {
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
        'workers_active': len(stage.pool),
        'listeners': stage.listeners,
        'latency_p50_ms': f'{stage.latency.percentile(50) * 1e3:.2f}',
        'latency_p99_ms': f'{stage.latency.percentile(99) * 1e3:.2f}',
        'rate_hz': f'{stage.latency.rate(now):.2f}',
    }
    return status(stage.get_fully_qualified_name(), level, message, values)
