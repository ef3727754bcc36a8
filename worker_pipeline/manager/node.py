# SPDX-License-Identifier: Apache-2.0
"""The manager: a lifecycle node that moves the whole pipeline along with its transitions."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from std_srvs.srv import Trigger

from worker_pipeline.config import ConfigurationError, PipelineConfig, load
from worker_pipeline.exit_codes import EXIT_ALREADY_RUNNING, EXIT_HANDED_OVER
from worker_pipeline.manager.diagnostics import Diagnostics, summary_line
from worker_pipeline.manager.pipeline import SUPERVISION_PERIOD, Pipeline
from worker_pipeline.ros import qos
from worker_pipeline.ros.lifecycle import PRIMARY_STATES, ManagedNode, turns, until
from worker_pipeline.system.halts import is_traced
from worker_pipeline.system.systemd_notifier import SystemdNotifier

DIAGNOSTICS_PERIOD = 1.0  # s
ANSWER_TIME = 0.2  # s
SECOND_SIGNAL_AFTER = 1.0  # s


class ManagerNode(ManagedNode):
    """The manager's node. It does nothing until ``attach`` has given it a pipeline."""

    def __init__(self) -> None:
        super().__init__(
            'manager',
            namespace='/airside',
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        self.finished = False
        self.exit_code = 0
        self.is_stopping = False
        self.is_handed_over = False
        self._is_forgotten = False  # by others outside, since it stood still
        self._force_stop = False
        self._is_started = False
        self._stop_deadline = 0.0
        self._stop_asked_at = 0.0
        self._statuses = Diagnostics(self.get_fully_qualified_name(), time.monotonic())
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self._pipeline: Pipeline | None = None
        self._executor: Any = None
        self._systemd = SystemdNotifier()

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline; there is one from ``attach`` on."""
        assert self._pipeline is not None, 'attach() comes first'
        return self._pipeline

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> Any:
        # An empty list in a parameter file has neither a value nor a type, and rclpy would refuse
        # to declare it. Whether it is allowed is decided by load().
        parameters = [
            (each[0], None, ParameterDescriptor(dynamic_typing=True))
            if len(each) > 1 and each[1] is None
            else each
            for each in parameters
        ]
        return super().declare_parameters(namespace, parameters, ignore_override)

    def read_configuration(self) -> PipelineConfig:
        """Return the configuration in this node's parameters. Raises ConfigurationError."""
        parameters = self.get_parameters_by_prefix('')
        config = load({name: each.value for name, each in parameters.items()})
        name = self.get_name()  # 'manager', unless it was remapped
        if name in config.stages:
            raise ConfigurationError(
                [f"stages: found {name!r}, this manager's own name; allowed: any other"]
            )
        return config

    def attach(self, pipeline: Pipeline, executor: Any, systemd: SystemdNotifier) -> None:
        """Take the pipeline that this node is to run, and add all nodes to the executor.

        Args:
            pipeline: the pipeline.
            executor: spins the nodes.
            systemd: is notified of the manager's state.
        """
        self._pipeline, self._executor, self._systemd = pipeline, executor, systemd
        executor.add_node(self)
        for stage in pipeline.stages.values():
            if stage.is_in_graph:
                executor.add_node(stage)
        self.create_service(
            Trigger, '~/drain', self._serve_drain, callback_group=ReentrantCallbackGroup()
        )
        self.create_service(Trigger, '~/new_run', self._serve_new_run)
        self.create_timer(SUPERVISION_PERIOD, self._on_supervision, clock=_steady())
        self.create_timer(DIAGNOSTICS_PERIOD, self.publish_diagnostics, clock=_steady())

    # -- starting and stopping -------------------------------------------------------------------

    async def start(self) -> None:
        """Go to active without being asked: a manager is started for its pipeline to run."""
        # Those first whose outputs somebody outside is waiting for.
        for stage in sorted(self.pipeline.stages.values(), key=lambda each: not each.is_awaited):
            if not stage.is_in_graph:
                # One at a time: after a restart adopted workers are already being served.
                await turns(2)
                stage.open_node()
                self._executor.add_node(stage)
        for step in ('configure', 'activate'):
            if self.is_stopping and not self._has_inherited_items:
                break
            if not await self.transition(step):
                self.exit_code = 1
                self.stop()
                break
        self._is_started = True

    @property
    def _has_inherited_items(self) -> bool:
        """Return whether workers of an earlier manager are to finish items, if there is time."""
        pipeline = self.pipeline
        return not self._force_stop and bool(pipeline.expected_pids and pipeline.unfinished())

    def stop(self) -> None:
        """Drain, stop the workers and finish. A second call, a second later, ends the draining.

        One Ctrl-C may arrive twice within milliseconds, from the terminal and from a launcher.
        """
        if self.is_stopping:
            is_second = time.monotonic() - self._stop_asked_at > SECOND_SIGNAL_AFTER
            self._force_stop = self._force_stop or is_second
            return
        self._begin_stop()
        self._executor.create_task(self._stop)

    def _begin_stop(self) -> None:
        self.is_stopping = True
        self._stop_asked_at = time.monotonic()
        self._stop_deadline = self._stop_asked_at + self.pipeline.config.shutdown_timeout
        self._systemd.stopping()

    async def _stop(self) -> None:
        timeout = self.pipeline.config.shutdown_timeout
        if self._has_inherited_items:
            # Only an active pipeline drains. The start waits for nothing any more.
            self.pipeline.close_intake()
            await until(lambda: self._is_started or self._force_stop, timeout)
        # A transition under way is cut short, but not broken off in the middle.
        await until(lambda: self.state in PRIMARY_STATES, timeout)
        if self.state == 'finalized':
            return
        if not await self.transition('shutdown'):
            self.exit_code = 1
        self._finish()

    def _finish(self) -> None:
        self.finished = True

    def state_changed(self) -> None:
        if self.state == 'finalized' and not self.finished:
            # If it was requested through the lifecycle service, that has to answer first.
            self.create_timer(ANSWER_TIME, self._finish, clock=_steady())

    # -- lifecycle -------------------------------------------------------------------------------

    async def do_configure(self) -> None:
        await self._all('configure', 'unconfigured')
        stages = self.pipeline.stages
        failed = [name for name, stage in stages.items() if stage.state != 'inactive']
        if failed and not self.is_stopping:
            raise RuntimeError(f'{", ".join(failed)}: could not be configured')

    async def do_activate(self) -> None:
        await self._all('activate', 'inactive')

    async def do_deactivate(self) -> None:
        await self._all('deactivate', 'active')

    async def do_cleanup(self) -> None:
        await self._all('deactivate', 'active')
        await self._all('cleanup', 'inactive')

    async def do_shutdown(self) -> None:
        if not self.is_stopping:
            self._begin_stop()  # requested through the lifecycle service rather than by a signal
        self.pipeline.close_intake()
        await self._drain()
        remaining = max(0.0, self._stop_deadline - time.monotonic())
        stops = [
            self._executor.create_task(stage.stop_workers, max(1.0, min(remaining, 5.0)))
            for stage in self.pipeline.stages.values()
        ]
        await until(lambda: all(each.done() for each in stops))
        await self._all('shutdown')
        self.publish_diagnostics()
        self.pipeline.log_totals()
        self.pipeline.flush_outputs(0.5)
        self._diagnostics.wait_for_all_acked(Duration(seconds=0.5))

    async def _all(self, label: str, state: str | None = None) -> None:
        """Take every stage, or those in one state, through a transition, all at the same time."""
        await until(lambda: self.pipeline.is_in_graph)
        tasks = [
            self._executor.create_task(stage.transition, label)
            for stage in self.pipeline.stages.values()
            if state is None or stage.state == state
        ]
        await until(lambda: all(each.done() for each in tasks))

    async def _serve_drain(
        self, _: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        left = await self.pipeline.drain()
        response.success, response.message = not left, left or 'drained'
        return response

    def _serve_new_run(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        number = self.pipeline.clock.new_run()
        response.success, response.message = True, f'run {number}: stamps may come again'
        return response

    async def _drain(self) -> None:
        """Wait until every accepted item is finished, or ``shutdown_timeout`` is over."""
        pipeline = self.pipeline
        remaining = max(0.0, self._stop_deadline - time.monotonic())
        if any(stage.state != 'active' for stage in pipeline.stages.values()):
            remaining = 0.0  # a paused pipeline does not drain
        self._log_what_remains(remaining)
        drained = await until(lambda: self._force_stop or pipeline.is_drained, remaining)
        left = pipeline.unfinished()
        if left and (self._force_stop or not drained):
            counts = ', '.join(f'{name}: {count}' for name, count in left.items())
            self.get_logger().warning(f'stopping with unfinished items ({counts})')

    def _log_what_remains(self, timeout: float) -> None:
        left = sum(self.pipeline.unfinished().values())
        if left and timeout > 0.0 and not self._force_stop:
            self.get_logger().info(
                f'stopping: finishing {left} items, for up to {round(timeout, 1):g} s; '
                'a second signal stops at once'
            )

    def destroy(self) -> None:
        """Take every node out of the graph."""
        if self._pipeline is not None:
            self._pipeline.destroy()
        self.destroy_node()

    # -- time ------------------------------------------------------------------------------------

    def on_exit(self, pid: int, reason: str) -> None:
        """Handle the exit of a watched process. May be called from any thread."""
        self._executor.create_task(self.pipeline.process_exited, pid, reason)

    def on_left_behind(self, pid: int, text: str, count: int) -> None:
        """Handle the discovery of what a watched process has left behind. From any thread.

        Args:
            pid: The pid of the process, whose exit is reported next.
            text: Which processes they are, and what became of them.
            count: How many they are.
        """
        self._executor.create_task(self.pipeline.processes_left_behind, pid, text, count)

    def _on_supervision(self) -> None:
        now, pipeline = time.monotonic(), self.pipeline
        # A pause is not the time of those who are draining.
        hold_up = pipeline.tick(now, is_active=self.state == 'active')
        self._stop_deadline += hold_up.seconds
        if pipeline.absence is not None:
            self._is_forgotten |= pipeline.absence.tick(hold_up, time.process_time(), now)
        # One that is still starting, or is paused, does it when it becomes active.
        if self._is_forgotten and self.state == 'active' and not self.is_stopping:
            self._is_forgotten = False
            self._hand_over()
        if pipeline.lost_folder and not self.is_stopping:
            self.get_logger().error(f'{pipeline.lost_folder}; stopping this one')
            self.exit_code = EXIT_ALREADY_RUNNING
            self.stop()
        if pipeline.config.exit_when_done and not self.is_stopping and pipeline.is_done:
            self.get_logger().info('every source is exhausted and everything is drained')
            self.stop()
        self._notify_systemd(now)

    def _hand_over(self) -> None:
        """Have the guardian start another manager: others may know this one only in part."""
        obstacle = self.pipeline.obstacle
        if is_traced(os.getpid()):
            obstacle = 'the debugger that is attached'
        if obstacle:
            self.get_logger().warning(
                'processes outside may know only a part of this one since it stood still; restart '
                f'those that do not hear it. Another manager would not know {obstacle}'
            )
            return
        try:
            self.pipeline.hand_over()
        except OSError as error:
            self.get_logger().error(
                'processes outside may know only a part of this one since it stood still; restart '
                f'those that do not hear it. The items cannot be handed over: {error}'
            )
            return
        self.get_logger().info(
            'processes outside may know only a part of this one since it stood still: another '
            'manager takes over'
        )
        self.exit_code = EXIT_HANDED_OVER
        self.finished = self.is_handed_over = True

    def _notify_systemd(self, now: float) -> None:
        """Report that this process is alive: only when every stage has been supervised.

        A failed slot is no reason not to: its stage restarts it where that can help.
        """
        if self.state == 'active' and not self.is_stopping:
            self._systemd.ready()
        if self.pipeline.threads_are_running:
            self._systemd.ping_watchdog(now)

    def publish_diagnostics(self) -> None:
        """Publish one status each for the manager, each stage and each worker."""
        now, pipeline = time.monotonic(), self.pipeline
        for text in pipeline.output.tick(now):
            self.get_logger().warning(text)
        statistics = pipeline.statistics(now)
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = self._statuses.statuses(
            self.state,
            statistics,
            pipeline.spares.ready,
            pipeline.frames.in_use,
            now,
            pipeline.output.dropped.get('', 0),
            clock=pipeline.clock.values(now) | pipeline.pauses.values(),
            problems=(pipeline.clock.problem(now), pipeline.pauses.problem(now)),
        )
        self._diagnostics.publish(message)
        self._systemd.status(summary_line(self.state, statistics))


def _steady() -> Clock:
    """Return the clock for timers: ROS time may be simulated, and stand still."""
    return Clock(clock_type=ClockType.STEADY_TIME)
