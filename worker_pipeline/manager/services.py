# SPDX-License-Identifier: Apache-2.0
"""The services of the manager's process for its pipeline, and of that for its stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from worker_pipeline.config import PipelineConfig, PluginDescription
from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.first_starts import FirstStarts
from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.channel_server import ChannelServer
from worker_pipeline.manager.context_feed import ContextFeed
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.slot import Slot
from worker_pipeline.manager.spare_pool import SparePool
from worker_pipeline.output.output_relay import OutputRelay
from worker_pipeline.recovery.state_dir import PipelineStateDir
from worker_pipeline.ros import dds
from worker_pipeline.ros.process_config import RosProcessConfig
from worker_pipeline.system.processes import Launcher


@attrs.frozen
class ProcessServices:
    """The services of the manager's process for its pipeline."""

    launcher: Launcher
    executor: Any
    ros_arguments: tuple[str, ...]  # as in ``sys.argv``
    dds_settings: dds.Settings | None  # None: the user's own
    note_process: Callable[[int], None]  # called with the pid of every worker that has connected
    interrupted: Callable[[], bool]  # whether a stop was requested
    output: OutputRelay = attrs.field(factory=OutputRelay)  # one that is not open does nothing


@attrs.frozen
class PipelineServices:
    """The services of a pipeline for each of its stages."""

    pipeline: PipelineConfig
    plugins: dict[str, PluginDescription]
    namespace: str
    launcher: Launcher
    manager_pid: int
    state_dir: PipelineStateDir
    dispatcher: Dispatcher
    outbox: Outbox
    frames: FrameRegistry
    channels: ChannelServer  # to the workers
    spares: SparePool
    contexts: ContextFeed
    slots_by_pid: dict[int, Slot]  # by the process that fills them
    first_starts: FirstStarts
    ros_arguments: tuple[str, ...]  # for the stages' nodes
    ros_config: RosProcessConfig  # of a worker's process, but for its number
    next_ros_config: Callable[[], RosProcessConfig]  # with the next number
    note_process: Callable[[int], None]  # called with the pid of every worker that has connected
    interrupted: Callable[[], bool]  # whether to cut waits short, since the manager is stopping
    output: OutputRelay = attrs.field(factory=OutputRelay)  # one that is not open does nothing
    ros_time: RosTime = attrs.field(factory=lambda: RosTime(is_simulated=False, now=0.0))
    clock: Any = None  # of the manager's node
    # How many subscriptions the manager itself has to the outputs of its stages, by stage.
    own_subscriptions: Counter[str] = attrs.field(factory=Counter)
