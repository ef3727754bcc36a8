"""What a stage and its worker say to each other, beside the items themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from worker_pipeline.runtime import answers
from worker_pipeline.runtime.dds_profile import Transports

# A probe is an empty item that a worker sends back by each of its answer topics, so that a link is
# known to work, from end to end, before an item is trusted to it. Its number is the pid of the
# process that is asked, above all numbers of items.
PROBE = 1 << 63
# What the answer to a probe says; other answers' kinds are in runtime/answers.py.
PROBED = 'probed'


def probe_number(pid: int) -> int:
    """The number of the probe to a process."""
    return PROBE | pid


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
    dds_profile: str = ''  # path of the common Fast DDS profile; with transports
    transports: Transports | None = None  # None for what the environment says already
    participant: int = 0  # the number of its DDS participant, with transports
    page: str = ''  # path of its vital signs
    state: str = ''  # path of its stage's state; '' for a stage that does not remember
    lock: str = ''  # path of the file that names the pipeline's manager
    keep_held: bool = False  # whether to keep what it holds in a file when the manager dies

    @property
    def name(self) -> str:
        """The worker's name in heartbeats: ``detect_target/worker_0``."""
        return f'{self.stage}/{self.slot}'


def fit_of(spec: WorkerSpec) -> int:
    """A number for all that makes a worker fit its slot: another configuration gives another."""
    lasting = attrs.evolve(
        spec, target='', manager_pid=0, participant=0, page='', state='', lock='', keep_held=False
    )
    digest = hashlib.blake2b(repr(lasting).encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'little')


def outcome(worker: str, kind: str, number: int, text: str = '') -> DiagnosticStatus:
    """An answer without an output."""
    level = DiagnosticStatus.ERROR if kind == answers.ERROR else DiagnosticStatus.OK
    values = {'number': str(number), 'text': text} if text else {'number': str(number)}
    return DiagnosticStatus(level=level, name=worker, message=kind, values=key_values(values))


def key_values(values: Mapping[str, Any]) -> list[KeyValue]:
    """A mapping as diagnostics carry it."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """The values of a diagnostic status by key."""
    return {entry.key: entry.value for entry in status.values}
