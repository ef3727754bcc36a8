# SPDX-License-Identifier: Apache-2.0
"""The settings that a new worker process is started with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from worker_pipeline.ros.process_config import RosProcessConfig


@attrs.frozen
class WorkerSpec:
    """Everything that a new worker process needs to know."""

    namespace: str  # of the pipeline: /airside
    stage: str
    slot: str  # worker_0
    plugin: str
    params: Mapping[str, Any]
    contexts: Mapping[str, tuple[str, bool]]  # name: (topic, whether it is latched)
    own_contexts: tuple[str, ...]  # names of those that the manager sends, by number
    concurrency: int
    target: str  # the lifecycle state that it enters without being asked
    heartbeat_period: float  # s
    orphan_timeout: float  # s
    manager_pid: int
    ros_config: RosProcessConfig
    liveness: str = ''  # path of its liveness record
    state: str = ''  # path of its stage's saved state; '' for a stage that saves none
    socket: str = ''  # path of the socket at which the manager listens
    lock: str = ''  # path of the file that names the pipeline's manager
    frames: str = ''  # path of the folder of frames
    frame_memory: int = 0  # the most shared memory its frames may take, bytes; 0: it makes none
    use_sim_time: bool = False  # at its start; the manager tells of changes
    threads: int = 0  # as configured; 0: the default
    thread_limit: int = 0  # of each library; 0: none
    save_when_orphaned: bool = False  # whether to save its unanswered items when the manager dies

    @property
    def name(self) -> str:
        """Return the worker's name in heartbeats: ``detect_target/worker_0``."""
        return f'{self.stage}/{self.slot}'


def config_hash_of(spec: WorkerSpec) -> int:
    """Return a hash of the configuration in a spec, without the values of one launch."""
    lasting = attrs.evolve(
        spec,
        target='',
        manager_pid=0,
        ros_config=attrs.evolve(spec.ros_config, number=0, folder=''),
        liveness='',
        state='',
        lock='',
        frames='',
        use_sim_time=False,
        thread_limit=0,  # the default changes with the number of workers
        save_when_orphaned=False,
    )
    digest = hashlib.blake2b(repr(lasting).encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'little')
