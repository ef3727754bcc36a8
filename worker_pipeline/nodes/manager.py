"""The manager: a lifecycle node that owns the stages, and through them the workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import attrs
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from std_srvs.srv import Trigger

from worker_pipeline.config import ConfigurationError, PipelineConfig, check_links, load
from worker_pipeline.core.supervision import Phase
from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.diagnostics import Diagnostics, in_a_line
from worker_pipeline.nodes.lifecycle import PRIMARY_STATES, ManagedNode, until
from worker_pipeline.nodes.live_parameters import LiveParameters
from worker_pipeline.nodes.participation import Participation
from worker_pipeline.nodes.quarantine import Quarantine
from worker_pipeline.nodes.ros_arguments import stage_arguments, worker_arguments
from worker_pipeline.nodes.spares import Spares
from worker_pipeline.nodes.stage import StageNode
from worker_pipeline.nodes.surroundings import Surroundings
from worker_pipeline.runtime import dds
from worker_pipeline.runtime.frame_blocks import allowance
from worker_pipeline.runtime.frame_keeper import FrameKeeper
from worker_pipeline.runtime.inheritance import Legacy, end, inherit
from worker_pipeline.runtime.journal import Journal
from worker_pipeline.runtime.line import Frame, Line
from worker_pipeline.runtime.line_server import LineServer, Taker
from worker_pipeline.runtime.outbox import Outbox
from worker_pipeline.runtime.pipeline_folder import PipelineFolder
from worker_pipeline.runtime.plugins import inspect
from worker_pipeline.runtime.processes import Launcher
from worker_pipeline.runtime.quarantine import default_folder
from worker_pipeline.runtime.service_manager import ServiceManager

SUPERVISION_PERIOD = 0.05  # s
DIAGNOSTICS_PERIOD = 1.0  # s
ANSWER_TIME = 0.2  # s
SECOND_THOUGHT = 1.0  # s


class ManagerNode(ManagedNode):
    """Starts the workers, shares the work out among them, and replaces those that die."""

    def __init__(self) -> None:
        super().__init__(
            'manager',
            namespace='/airside',
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        self.finished = False
        self.exit_code = 0
        self.stages: dict[str, StageNode] = {}
        self._launcher: Launcher | None = None
        self._executor: Any = None
        self._config: PipelineConfig | None = None
        self._stopping = False
        self._hurried = False
        self._stop_deadline = 0.0
        self._stop_asked_at = 0.0
        self._flowing = False
        self._supervised_at = time.monotonic()
        self._statuses = Diagnostics(self.get_fully_qualified_name())
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self._quarantine_publisher = self.create_publisher(
            DiagnosticStatus, 'quarantine', qos.QUARANTINE
        )
        self._folder: PipelineFolder | None = None
        self._frames: FrameKeeper | None = None
        self._owns_folder = False
        self._quarantine: Quarantine | None = None
        self._lines: LineServer | None = None
        self._spares: Spares | None = None
        self._service_manager = ServiceManager()

    @property
    def config(self) -> PipelineConfig:
        """The configuration; there is one from ``prepare`` on."""
        assert self._config is not None, 'prepare() comes first'
        return self._config

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> Any:
        # An empty list comes from a parameter file without a value or a type, and rclpy would
        # refuse to declare it. What it is worth is for load() to say.
        parameters = [
            (each[0], None, ParameterDescriptor(dynamic_typing=True))
            if len(each) > 1 and each[1] is None
            else each
            for each in parameters
        ]
        return super().declare_parameters(namespace, parameters, ignore_override)

    def read_configuration(self) -> PipelineConfig:
        """The configuration that this node's parameters describe; raises ConfigurationError."""
        parameters = self.get_parameters_by_prefix('')
        config = load({name: each.value for name, each in parameters.items()})
        name = self.get_name()  # 'manager', unless it was remapped
        if name in config.stages:
            raise ConfigurationError(
                [f"stages: found {name!r}, this manager's own name; allowed: any other"]
            )
        return config

    def prepare(
        self,
        launcher: Launcher,
        executor: Any,
        ros_arguments: Sequence[str],
        dds_settings: dds.Settings | None,
        note_process: Callable[[int], None],
        interrupted: Callable[[], bool],
        service_manager: ServiceManager,
    ) -> None:
        """Check the configuration as a whole and make the stages' nodes; nothing is started yet.

        Raises ConfigurationError; or InspectionInterruptedError where ``interrupted()`` while the
        stages' classes are imported.
        """
        config = self.read_configuration()
        namespace = self.get_namespace().rstrip('/')
        self._folder = folder = PipelineFolder(namespace, self.context.get_domain_id())
        plugins = inspect(config.stages, launcher, interrupted)
        for remark in check_links(config, plugins, self.get_namespace()):
            self.get_logger().warning(remark)
        self._config, self._launcher, self._executor = config, launcher, executor
        self._service_manager = service_manager
        LiveParameters(self, config, plugins, self._reconfigure)
        legacies = inherit(folder, self.get_logger().warning, journal_kept=config.journal)
        for pid in launcher.helpers:
            folder.note_helper(pid)
        journal = Journal(folder.journal, folder.run, payloads=config.journal)
        outbox = self._outbox = Outbox(journal, self._complain_of_journal)
        allowed, why = allowance(folder.frames, int(config.frame_memory * 1e6))
        if why and config.frame_memory:
            self.get_logger().warning(
                f'frame_memory: found {config.frame_memory:g} MB; allowed here: '
                f'{allowed / 1e6:.0f} MB, {why}'
            )
        frames = self._frames = FrameKeeper(folder.frames, allowed)
        outbox.settle = self._settle_frames
        self._quarantine = Quarantine(
            self._quarantine_publisher,
            default_folder(namespace),
            frames,
            self.get_logger().error,
        )
        self._lines = LineServer(folder.line, executor.create_task, self._on_hello)
        outbox.ship = self._lines.ship
        numbers = dds.participant_numbers(os.getpid())
        participation = Participation(
            worker_arguments(ros_arguments), dds_settings, folder=str(folder.path)
        )

        def next_participation() -> Participation:
            return attrs.evolve(participation, number=next(numbers))

        self._spares = Spares(
            config.spares,
            launcher,
            namespace,
            next_participation,
            self.get_logger(),
        )
        around = Surroundings(
            pipeline=config,
            plugins=plugins,
            namespace=namespace,
            launcher=launcher,
            manager_pid=os.getpid(),
            folder=folder,
            outbox=outbox,
            frames=frames,
            quarantine=self._quarantine,
            ros_arguments=stage_arguments(ros_arguments),
            lines=self._lines,
            spares=self._spares,
            participation=participation,
            next_participation=next_participation,
            note_process=note_process,
            interrupted=lambda: self._stopping,
        )
        for name, stage in config.stages.items():
            self.stages[name] = StageNode(stage, around)
        for name, node in self.stages.items():
            node.followers = [self.stages[each] for each in config.followers(name)]
            node.upstream = [
                self.stages[each] for each in node.config.inputs if each in self.stages
            ]
        for legacy in (legacies or {}).values():
            legacy.book = frames.keep_within(legacy.book)
            legacy.changes = frames.keep_within(legacy.changes)
            legacy.payloads = frames.keep_within(legacy.payloads)
            legacy.outside = frames.keep_within(legacy.outside)
        self._take_over(legacies or {})
        living = [page for each in (legacies or {}).values() for page in each.living.values()]
        frames.sweep({page.read().pid for page in living})
        outbox.snapshot = self._snapshot
        journal.begin(self._snapshot())
        self._owns_folder = True
        for node in (self, *self.stages.values()):
            executor.add_node(node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_service(
            Trigger, '~/drain', self._serve_drain, callback_group=ReentrantCallbackGroup()
        )
        self.create_timer(SUPERVISION_PERIOD, self._on_supervision, clock=steady)
        self.create_timer(DIAGNOSTICS_PERIOD, self.publish_diagnostics, clock=steady)

    def _reconfigure(self, config: PipelineConfig) -> None:
        """Go on with another configuration, which differs in what may be changed."""
        self._config = config
        for name, stage in config.stages.items():
            self.stages[name].reconfigure(stage)

    def _settle_frames(self) -> None:
        if self._frames is not None and self._frames.settle():
            for stage in self.stages.values():
                stage.on_frames_released()

    def _take_over(self, legacies: Mapping[str, Legacy]) -> None:
        for name, legacy in legacies.items():
            if name in self.stages:
                self.stages[name].take_over(legacy)
                continue
            for page in legacy.living.values():
                end(page)
            count = len(legacy.living)
            self.get_logger().warning(
                f'{name}: is not in stages any more; ended its {count} workers, dropped its items'
            )

    def _snapshot(self) -> dict[str, Any]:
        return {name: stage.snapshot() for name, stage in self.stages.items()}

    def _complain_of_journal(self, text: str) -> None:
        self.get_logger().error(text, throttle_duration_sec=1.0)

    # -- the way up and down ---------------------------------------------------------------------

    async def start(self) -> None:
        """Go to active by ourselves: whoever starts a manager wants its pipeline to run."""
        for step in ('configure', 'activate'):
            if not self._stopping and not await self.transition(step):
                self.exit_code = 1
                self.stop()

    def stop(self) -> None:
        """Drain, stop the workers and end. Called again after a second, it drains no longer.

        One Ctrl-C may reach us twice within milliseconds, from the terminal and from a launcher.
        """
        if self._stopping:
            self._hurried = self._hurried or time.monotonic() - self._stop_asked_at > SECOND_THOUGHT
            return
        self._stopping = True
        self._stop_asked_at = time.monotonic()
        self._stop_deadline = time.monotonic() + self.config.shutdown_timeout
        self._service_manager.stopping()
        self._executor.create_task(self._stop)

    async def _stop(self) -> None:
        # A transition that is under way is cut short, but not broken off in the middle.
        await until(lambda: self.state in PRIMARY_STATES, self.config.shutdown_timeout)
        if self.state == 'finalized':
            return
        if not await self.transition('shutdown'):
            self.exit_code = 1
        self._finish()

    async def do_configure(self) -> None:
        await self._all('configure', 'unconfigured')
        failed = [name for name, stage in self.stages.items() if stage.state != 'inactive']
        if failed and not self._stopping:
            raise RuntimeError(f'{", ".join(failed)}: could not be configured')

    async def do_activate(self) -> None:
        await self._all('activate', 'inactive')

    async def do_deactivate(self) -> None:
        await self._all('deactivate', 'active')

    async def do_cleanup(self) -> None:
        await self._all('deactivate', 'active')
        await self._all('cleanup', 'inactive')

    async def do_shutdown(self) -> None:
        if not self._stopping:
            # Asked for by the lifecycle service rather than by a signal.
            self._stopping = True
            self._stop_deadline = time.monotonic() + self.config.shutdown_timeout
            self._service_manager.stopping()
        for stage in self.stages.values():
            stage.close_intake()
        if self._spares is not None:
            self._spares.close()
        await self._drain()
        remaining = max(0.0, self._stop_deadline - time.monotonic())
        stops = [
            self._executor.create_task(stage.stop_workers, max(1.0, min(remaining, 5.0)))
            for stage in self.stages.values()
        ]
        await until(lambda: all(each.done() for each in stops))
        await self._all('shutdown')
        self.publish_diagnostics()
        for name, stage in self.stages.items():
            totals = stage.ledger.counters
            self.get_logger().info(
                f'{name}: {totals.accepted} accepted, {totals.completed} completed, '
                f'{totals.dropped} dropped, {totals.quarantined} quarantined'
            )
        self._flush()

    def state_changed(self) -> None:
        if self.state == 'finalized' and not self.finished:
            # Whoever asked for it by the service is still to be answered.
            self.create_timer(ANSWER_TIME, self._finish)

    def _finish(self) -> None:
        self.finished = True

    async def _all(self, label: str, state: str | None = None) -> None:
        """Take every stage, or those in one state, through a transition, all at the same time."""
        tasks = [
            self._executor.create_task(stage.transition, label)
            for stage in self.stages.values()
            if state is None or stage.state == state
        ]
        await until(lambda: all(each.done() for each in tasks))

    async def _serve_drain(
        self, _: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Wait until all that is in the pipeline now has come through."""
        response.success, response.message = True, 'drained'
        inputs = {
            name: [each.get_name() for each in stage.upstream]
            for name, stage in self.stages.items()
        }
        # From the sources on: what a stage finishes is more for the next.
        for name in TopologicalSorter(inputs).static_order():
            left = await self.stages[name].drain()
            if left:
                response.success, response.message = False, left
                break
        return response

    async def _drain(self) -> None:
        """Wait until every accepted item is finished, or the time for it is up."""

        def drained() -> bool:
            return self._hurried or all(
                stage.drained or not len(stage.slots) for stage in self.stages.values()
            )

        remaining = max(0.0, self._stop_deadline - time.monotonic())
        if any(stage.state != 'active' for stage in self.stages.values()):
            remaining = 0.0  # what is paused will not drain
        if not await until(drained, remaining) or self._hurried:
            left = {
                name: stage.ledger.unfinished
                for name, stage in self.stages.items()
                if not stage.drained
            }
            if left:
                told = ', '.join(f'{name}: {count}' for name, count in left.items())
                self.get_logger().warning(f'ending with unfinished items ({told})')

    def _flush(self) -> None:
        for stage in self.stages.values():
            stage.flush_output(0.5)
        self._diagnostics.wait_for_all_acked(Duration(seconds=0.5))

    def destroy(self) -> None:
        """Take every node out of the graph."""
        if self._quarantine is not None:
            self._quarantine.close(2.0)
        for stage in self.stages.values():
            stage.destroy_node()
        if self._lines is not None:
            self._lines.close()
        self.destroy_node()

    def leave_folder(self) -> None:
        """Let go of the pipeline's folder; with what is in it, where that is ours."""
        if self._folder is not None:
            folder = self._folder
            folder.close(remove=self._owns_folder or not folder.journal.exists())

    # -- what is heard ---------------------------------------------------------------------------

    def _on_hello(self, line: Line, frame: Frame) -> Taker | None:
        """A worker calls. Who has no slot here, or not yet, is to call again."""
        stage_name, slot_name, has = worker_contract.read_hello(frame)
        stage = self.stages.get(stage_name)
        slot = stage.slots.get(slot_name) if stage else None
        pid = line.peer_pid
        if slot is None or slot.supervision.pid != pid:
            return None
        return slot.link.attach(line, pid, has, frame.number)

    def on_exit(self, pid: int, reason: str) -> None:
        """A process that the launcher watched has ended. May be called from any thread."""
        self._executor.create_task(self._exited, pid, reason)

    def _exited(self, pid: int, reason: str) -> None:
        for stage in self.stages.values():
            for slot in stage.slots.values():
                if slot.supervision.pid == pid:
                    slot.ended(pid, reason, time.monotonic())
                    return
        if self._spares is not None:
            self._spares.ended(pid, reason)

    # -- time ------------------------------------------------------------------------------------

    def _on_supervision(self) -> None:
        now = time.monotonic()
        held_up = now - self._supervised_at - SUPERVISION_PERIOD
        self._supervised_at = now
        for stage in self.stages.values():
            if held_up > SUPERVISION_PERIOD:
                # On a loaded machine: the heartbeats of that time are still to be read.
                stage.excuse(held_up)
            stage.tick(now)
        if not self._flowing and self.state == 'active':
            self._begin_if_ready()
        self._settle_frames()
        if self._spares is not None:
            self._spares.tick(now, calm=self._flowing and not self._starts_workers())
        if self.config.exit_when_done and self._flowing and not self._stopping and self._done():
            self.get_logger().info('every source is exhausted and everything is drained')
            self.stop()
        self._tell_service_manager(now)

    def _tell_service_manager(self, now: float) -> None:
        """Tell that this process lives: when every stage has been supervised, and only then.

        A slot that has failed is no reason to keep it back: what a restart could do for it, its
        stage does already.
        """
        if self.state == 'active' and not self._stopping:
            self._service_manager.ready()
        threads = self._launcher, self._lines
        if all(each is not None and each.is_running for each in threads):
            self._service_manager.feed(now)

    def _starts_workers(self) -> bool:
        slots = (slot for stage in self.stages.values() for slot in stage.slots.values())
        return any(slot.supervision.phase is Phase.STARTING for slot in slots)

    def _begin_if_ready(self) -> None:
        """Begin the stream once every stage has somebody at work, so that no source runs ahead.

        One beginning for all: sources that are asked for the same moment tell of the same moment.
        """
        if all(len(stage.pool) for stage in self.stages.values()):
            self._flowing = True
            epoch = self.get_clock().now().nanoseconds
            for stage in self.stages.values():
                if stage.is_source:
                    stage.begin_stream(epoch)
            self.get_logger().info('every stage is at work')

    def _done(self) -> bool:
        # A source that gives nothing but context, as a vehicle its odometry, may go on for ever.
        stages = [
            stage for name, stage in self.stages.items() if not self.config.is_context_alone(name)
        ]
        sources_done = all(stage.source.exhausted for stage in stages if stage.is_source)
        return sources_done and all(stage.drained for stage in stages)

    def publish_diagnostics(self) -> None:
        """Publish one status each for the manager, each stage and each worker."""
        now = time.monotonic()
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = self._statuses.statuses(
            self.state,
            self.stages.values(),
            self._spares.ready if self._spares else 0,
            self._frames.in_use if self._frames else 0,
            now,
        )
        self._diagnostics.publish(message)
        self._service_manager.status(in_a_line(self.state, self.stages, now))
