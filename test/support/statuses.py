# SPDX-License-Identifier: Apache-2.0
"""Made-up diagnostics, as a manager publishes them."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
    'stale': DiagnosticStatus.STALE,
}


def status(
    name: str, level: str = 'ok', message: str = 'active', host: str = 'drone', **values: Any
) -> DiagnosticStatus:
    """Return a status with just these values."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(
        name=name, level=LEVELS[level], message=message, hardware_id=host, values=pairs
    )


def manager(name: str = '/airside/manager', **changes: Any) -> DiagnosticStatus:
    """Return the status of a manager."""
    values: dict[str, Any] = {
        'state': 'active',
        'pid': 1000,
        'stages': 2,
        'workers': 3,
        'restarts': 0,
        'spares': 1,
        'age_s': '65.0',
        'cpu_percent': '12.5',
        'memory_mb': '88.0',
    }
    return status(name, **(values | changes))


def stage(name: str, **changes: Any) -> DiagnosticStatus:
    """Return the status of a stage."""
    values: dict[str, Any] = {
        'state': 'active',
        'queued': 0,
        'queue_size': 10,
        'in_flight': 1,
        'accepted': 501,
        'completed': 500,
        'dropped': 0,
        'quarantined': 0,
        'redelivered': 0,
        'workers': 1,
        'workers_active': 1,
        'rate_hz': '10.00',
        'latency_p50_ms': '33.40',
        'latency_p99_ms': '120.10',
    }
    return status(f'/airside/{name}', **(values | changes))


def worker(name: str, **changes: Any) -> DiagnosticStatus:
    """Return the status of a worker."""
    values: dict[str, Any] = {
        'state': 'active',
        'pid': 2000,
        'restarts': 0,
        'processed': 250,
        'in_flight': 1,
        'age_s': '61.5',
        'busy_percent': '42.5',
        'cpu_percent': '43.0',
        'memory_mb': '67.2',
    }
    return status(f'/airside/{name}', host='drone:2000', **(values | changes))


def pipeline(**changes: DiagnosticStatus) -> list[DiagnosticStatus]:
    """Return the diagnostics of a camera and of a detector with two workers, with some changes.

    Changes are given by name, without the namespace: ``detector``, ``detector__worker_1``.
    """
    known = {
        'manager': manager(),
        'camera': stage('camera'),
        'camera__worker_0': worker('camera/worker_0', pid=2000),
        'detector': stage('detector', workers=2, workers_active=2),
        'detector__worker_0': worker('detector/worker_0', pid=2001),
        'detector__worker_1': worker('detector/worker_1', pid=2002),
    }
    assert changes.keys() <= known.keys()
    return list((known | changes).values())
