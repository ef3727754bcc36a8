# SPDX-License-Identifier: Apache-2.0
"""Making a pipeline of its configuration; no worker is started yet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

import attrs
from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.config import PipelineConfig, PluginDescription, check_links
from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.first_starts import FirstStarts, limit_for
from worker_pipeline.core.ledger import Record
from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.frames.blocks import frame_memory_limit
from worker_pipeline.frames.reference import stripped_message
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.action_runner import ActionRunner
from worker_pipeline.manager.channel_server import ChannelServer
from worker_pipeline.manager.context_feed import ContextFeed
from worker_pipeline.manager.folder_guard import FolderGuard
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.pipeline import Pipeline
from worker_pipeline.manager.policies import policy_of
from worker_pipeline.manager.quarantine_recorder import QuarantineRecorder
from worker_pipeline.manager.services import PipelineServices, ProcessServices
from worker_pipeline.manager.spare_pool import SparePool
from worker_pipeline.manager.stage_node import StageNode
from worker_pipeline.plugins.inspector import inspect
from worker_pipeline.quarantine.store import default_folder
from worker_pipeline.recovery.inspection_cache import InspectionCache
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.recover import RecoveredStage, discard, kill_worker, recover
from worker_pipeline.recovery.stage_recovery import try_to_restore
from worker_pipeline.recovery.state_dir import PipelineStateDir
from worker_pipeline.ros import dds, qos
from worker_pipeline.ros.arguments import stage_arguments, worker_arguments
from worker_pipeline.ros.cdr import stamp_of
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.process_config import RosProcessConfig
from worker_pipeline.ros.throttled_log import ThrottledLog
from worker_pipeline.system.mounts import is_in_memory
from worker_pipeline.system.threads import available_cores


def inspect_plugins(
    node: ManagedNode, config: PipelineConfig, process: ProcessServices, cache: InspectionCache
) -> dict[str, PluginDescription]:
    """Import the stages' classes in a process of their own, and check them and their links.

    Args:
        node: the manager's.
        config: the configuration.
        process: starts that process.
        cache: has those that an earlier manager has imported.

    Raises:
        ConfigurationError: a class cannot be used, or does not fit the configuration.
        InspectionInterruptedError: a stop was requested meanwhile.
    """
    warn = node.get_logger().warning
    known = {name: cache.get(stage) for name, stage in config.stages.items()}
    fresh = {name: stage for name, stage in config.stages.items() if known[name] is None}
    inspected = inspect(fresh, process.launcher, process.interrupted, warn) if fresh else {}
    plugins = {name: known[name] or inspected[name] for name in config.stages}
    cache.save(config.stages, plugins)
    for remark in check_links(config, plugins, node.get_namespace()):
        warn(remark)
    return plugins


class PipelineBuilder:
    """Makes the parts of a pipeline, each from those before it.

    Args:
        node: the manager's.
        config: the checked configuration.
        plugins: the descriptions of the stages' classes.
        state_dir: the pipeline's state, which an earlier manager may have left.
        process: provided by the manager's process.
        is_stopping: whether waits are to be cut short.
    """

    def __init__(
        self,
        node: ManagedNode,
        config: PipelineConfig,
        plugins: dict[str, PluginDescription],
        state_dir: PipelineStateDir,
        process: ProcessServices,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._node = node
        self._logger = node.get_logger()
        self._config = config
        self._plugins = plugins
        self._state_dir = state_dir
        self._process = process
        self._is_stopping = is_stopping
        self._namespace = node.get_namespace().rstrip('/')

    def build(self) -> Pipeline:
        """Make the pipeline, and restore an earlier manager's state.

        Raises OSError where there is no room for its state, or no socket can be made.
        """
        recovered = recover(
            self._state_dir, self._logger.warning, journal_kept=self._config.journal
        )
        for pid in self._process.launcher.helper_pids:
            self._state_dir.add_helper_process(pid)
        self._process.output.adopt(self._state_dir.path)
        frames = self._make_frames()
        recovered = self._usable(recovered or {}, frames)
        journal = Journal(
            self._state_dir.journal, self._state_dir.run_id, payloads=self._config.journal
        )
        throttled = ThrottledLog(self._logger)
        outbox = Outbox(journal, partial(throttled.error, 'outbox'))
        dispatcher = self._make_dispatcher(frames, journal.recorder)
        publisher = self._node.create_publisher(DiagnosticStatus, 'quarantine', qos.QUARANTINE)
        folder = default_folder(self._namespace)
        quarantine = QuarantineRecorder(publisher, folder, frames, self._logger.error)
        made: list[Pipeline] = []

        channels = ChannelServer(
            self._state_dir.socket,
            self._process.executor.create_task,
            lambda pid: made[0].is_worker(pid),
            lambda channel, hello: made[0].worker_connected(channel, hello),
            lambda pid, reason: throttled.warning(
                ('socket', made[0].is_worker(pid)), _refusal_text, pid, reason
            ),
        )
        services = self._make_services(dispatcher, outbox, frames, channels)
        stages = {name: StageNode(stage, services) for name, stage in self._config.stages.items()}
        pipeline = Pipeline(services, stages, quarantine, self._node)
        pipeline.log_withheld = throttled.tick
        made.append(pipeline)
        runner = ActionRunner(
            dispatcher, outbox, stages, quarantine, services.contexts, self._logger.error
        )
        outbox.collect, outbox.on_dispatched = runner.collect, channels.flush_pending
        outbox.on_settled, outbox.snapshot = pipeline.release_frames, pipeline.snapshot
        guard = pipeline.guard = FolderGuard(
            self._state_dir,
            channels,
            outbox,
            self._process.output,
            pipeline.liveness_records,
            throttled,
        )
        self._state_dir.repair = guard.check_now
        if not recovered:
            pipeline.open_nodes()
        self._restore(stages, frames, recovered)
        pipeline.expected_pids = frozenset(_live_pids(recovered))
        pipeline.clock.open()
        journal.checkpoint(pipeline.snapshot())
        for stage in stages.values():
            stage.resume()
        return pipeline

    def _make_frames(self) -> FrameRegistry:
        wanted = self._config.frame_memory  # MB
        folder = self._state_dir.frames
        allowed, why = frame_memory_limit(
            folder, int(wanted * 1e6), is_in_memory=is_in_memory(folder)
        )
        if why and wanted:
            self._logger.warning(
                f'frame_memory: found {wanted:g} MB; allowed here: {allowed / 1e6:.0f} MB, {why}'
            )
        return FrameRegistry(folder, allowed)

    def _usable(
        self, recovered: dict[str, RecoveredStage], frames: FrameRegistry
    ) -> dict[str, RecoveredStage]:
        """Return what was recovered, with its frames tracked; nothing if it cannot be restored."""
        try:
            # First: dispatchers refer to each other, and would keep their frames until the garbage
            # collection, which may be hours away.
            try_to_restore(self._make_dispatcher(frames, None).stages, recovered)
            _track(recovered, frames)
        except Exception as error:
            discard(self._state_dir, recovered, error, self._logger.warning)
            return {}
        return recovered

    def _make_dispatcher(
        self, frames: FrameRegistry, recorder: Callable[[str], Record] | None
    ) -> Dispatcher:
        policies = {
            name: policy_of(stage, self._plugins[name])
            for name, stage in self._config.stages.items()
        }
        return Dispatcher(
            policies, frames, lambda payload: stamp_of(stripped_message(payload)), recorder
        )

    def _make_services(
        self, dispatcher: Dispatcher, outbox: Outbox, frames: FrameRegistry, channels: ChannelServer
    ) -> PipelineServices:
        process = self._process
        numbers = dds.participant_numbers(os.getpid())
        ros_config = RosProcessConfig(
            worker_arguments(process.ros_arguments),
            process.dds_settings,
            folder=str(self._state_dir.path),
        )

        def next_ros_config() -> RosProcessConfig:
            return attrs.evolve(ros_config, number=next(numbers))

        spares = SparePool(
            self._config.spares,
            process.launcher,
            self._namespace,
            next_ros_config,
            self._logger,
        )
        return PipelineServices(
            pipeline=self._config,
            plugins=self._plugins,
            namespace=self._namespace,
            launcher=process.launcher,
            manager_pid=os.getpid(),
            state_dir=self._state_dir,
            dispatcher=dispatcher,
            outbox=outbox,
            frames=frames,
            channels=channels,
            spares=spares,
            contexts=ContextFeed(self._config, self._plugins, frames),
            slots_by_pid={},
            first_starts=FirstStarts(limit_for(available_cores()), list(self._config.stages)),
            ros_arguments=stage_arguments(process.ros_arguments),
            ros_config=ros_config,
            next_ros_config=next_ros_config,
            note_process=process.note_process,
            interrupted=self._is_stopping,
            output=process.output,
            ros_time=RosTime(is_simulated=self._config.use_sim_time, now=time.monotonic()),
            clock=self._node.get_clock(),
        )

    def _restore(
        self,
        stages: Mapping[str, StageNode],
        frames: FrameRegistry,
        recovered: Mapping[str, RecoveredStage],
    ) -> None:
        for name, each in recovered.items():
            if name in stages:
                stages[name].restore(each)
            else:
                self._end_stage(name, each)
        frames.sweep(_live_pids(recovered))

    def _end_stage(self, name: str, recovered: RecoveredStage) -> None:
        for record in recovered.live_workers.values():
            kill_worker(record)
        count = len(recovered.live_workers)
        self._logger.warning(
            f'{name}: is not in stages any more; killed its {count} workers and dropped its items'
        )


def _track(recovered: Mapping[str, RecoveredStage], frames: FrameRegistry) -> None:
    """Keep the frames of everything that was recovered. Raises BadReferenceError."""
    # Without a frame there is no reference, and looking through all items takes long.
    for each in recovered.values() if frames.has_blocks else ():
        each.snapshot = frames.track_nested(each.snapshot)
        each.log_entries = frames.track_nested(each.log_entries)
        each.payloads = frames.track_nested(each.payloads)
        each.unacked_outputs = frames.track_nested(each.unacked_outputs)


def _live_pids(recovered: Mapping[str, RecoveredStage]) -> set[int]:
    """Return the pids of the live workers of an earlier manager."""
    return {
        record.read().pid for each in recovered.values() for record in each.live_workers.values()
    }


def _refusal_text(pid: int, reason: str) -> str:
    who = f'pid {pid}' if pid else 'a process whose pid is not known here'
    return f'socket: hung up on {who}: {reason}'
