"""What a stage and its worker say to each other, beside the items themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from worker_pipeline.context import NANOSECONDS

# The stamp of a probe: an empty item that a worker sends back by each of its answer topics, so
# that a link is known to work, from end to end, before an item is trusted to it. No clock tells
# this time; the nanoseconds field holds the pid of the process that is asked.
PROBE_SECONDS = -(2**31)

# What a worker's outcome says; the `message` of its DiagnosticStatus.
NONE = 'no output'
ERROR = 'error'
RETURNED = 'returned'
END_OF_STREAM = 'end of stream'
PROBED = 'probed'


def probe_stamp(pid: int) -> int:
    """The stamp, in nanoseconds, of the probe to a process."""
    return PROBE_SECONDS * NANOSECONDS + pid


def is_probe(stamp: int) -> bool:
    """Whether a stamp is a probe's. A uint32 of nanoseconds may exceed a second: it is a pid."""
    return stamp < (PROBE_SECONDS + 5) * NANOSECONDS


@attrs.frozen
class WorkerSpec:
    """All that a worker process is told when it is born."""

    namespace: str  # of the pipeline: /airside
    stage: str
    slot: str  # worker_0
    plugin: str
    params: Mapping[str, Any]
    contexts: Mapping[str, tuple[str, bool]]  # name: (topic, whether it is latched)
    concurrency: int
    target: str  # the lifecycle state to go to by itself
    heartbeat_period: float  # s
    orphan_timeout: float  # s
    manager_pid: int
    ros_arguments: tuple[str, ...] = ()  # log level and the like
    dds_profile: str = ''  # path of a Fast DDS profile; '' for what is set already
    participant: int = 0  # the number of its DDS participant, with a profile

    @property
    def name(self) -> str:
        """The worker's name in heartbeats: ``detect_target/worker_0``."""
        return f'{self.stage}/{self.slot}'


def outcome(worker: str, kind: str, stamp: int, text: str = '') -> DiagnosticStatus:
    """An answer without an output."""
    level = DiagnosticStatus.ERROR if kind == ERROR else DiagnosticStatus.OK
    values = {'stamp': str(stamp), 'text': text}
    return DiagnosticStatus(level=level, name=worker, message=kind, values=key_values(values))


def key_values(values: Mapping[str, Any]) -> list[KeyValue]:
    """A mapping as diagnostics carry it."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """The values of a diagnostic status by key."""
    return {entry.key: entry.value for entry in status.values}
