# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node of a worker, which runs one stage's code."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType

from worker_pipeline import status
from worker_pipeline.context import NANOSECONDS, ContextBuffer
from worker_pipeline.error_text import describe_error
from worker_pipeline.exit_codes import EXIT_STAGE_FAILED
from worker_pipeline.frames.codec import FrameCodec, make_writer
from worker_pipeline.frames.reader import FrameReader
from worker_pipeline.protocol.answers import RecentAnswers
from worker_pipeline.protocol.packets import WorkerStatus
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.saved_state import SavedState
from worker_pipeline.ros import qos
from worker_pipeline.ros.diagnostics import key_values
from worker_pipeline.ros.lifecycle import HookError, ManagedNode, has_begun, until
from worker_pipeline.ros.matched_subscription import MatchedSubscription
from worker_pipeline.ros.mirror_topic import subscribe_noop
from worker_pipeline.ros.node_log import NodeLog
from worker_pipeline.ros.sim_clock import USE_SIM_TIME
from worker_pipeline.stage import Stage
from worker_pipeline.system.pid_namespace import own_pid_namespace
from worker_pipeline.worker.absence_report import AbsenceReport
from worker_pipeline.worker.answer_mirror import AnswerMirror
from worker_pipeline.worker.context_reader import ContextReader
from worker_pipeline.worker.manager_client import ManagerClient
from worker_pipeline.worker.output_codec import OutputCodec
from worker_pipeline.worker.stage_logger import stage_logger
from worker_pipeline.worker.stage_runner import StageRunner
from worker_pipeline.worker.stage_state import StageState
from worker_pipeline.worker.stage_topics import make_topics

# How long to wait for a frame whose file somebody has removed, s: its producer looks once in each
# period of its heartbeats, and the manager has to make the folder first.
FRAME_PATIENCE = 1.0


class WorkerNode(ManagedNode):
    """Runs the stage's hooks as lifecycle transitions, and publishes heartbeats.

    Items and answers go over the channel of ``client``, and are processed by ``runner`` on the main
    thread; the node's own callbacks run on the executor's thread.

    Args:
        spec: The worker's spec.
        stage: The stage, bound to its parameters and contexts.
    """

    def __init__(self, spec: WorkerSpec, stage: Stage) -> None:
        super().__init__(
            spec.slot,
            namespace=f'{spec.namespace}/{spec.stage}',
            use_global_arguments=False,
            allow_undeclared_parameters=True,
            enable_rosout=True,
            use_sim_time=spec.use_sim_time,
        )
        self.spec = spec
        self.exit_code = 0
        self.failure = ''  # the error of a hook
        self.liveness = LivenessRecord(Path(spec.liveness))
        self._hardware_id = f'{socket.gethostname()}:{os.getpid()}'
        self._pid_namespace = str(own_pid_namespace())
        for key, value in stage.params.items():
            self.declare_parameter(key, value)
        self.reject_parameter_changes()
        # Kept here as well: a stage may use these names for attributes of its own.
        self._stage_status = stage.status
        self._log = NodeLog(self)
        stage.logger = stage_logger(self.get_name(), self._log)
        stage.topic = make_topics(self, type(stage).topics)
        codec = self._create_codec(stage)
        self._own_contexts = ContextReader(stage, spec.own_contexts)
        # Only these come from outside, by DDS.
        self._absence = (
            AbsenceReport(spec.ros_config.dds, spec.heartbeat_period) if spec.contexts else None
        )
        self._create_client(stage, codec)
        self._heartbeat = self.create_publisher(
            DiagnosticStatus, f'{spec.namespace}/heartbeats', qos.HEARTBEATS
        )
        self._contexts: list[MatchedSubscription] = []
        self._subscribe_to_contexts(stage)
        work_qos = qos.work(spec.concurrency)
        subscribe_noop(self, type(stage).input_type, f'{spec.slot}/work', work_qos)
        self.create_timer(
            spec.heartbeat_period,
            self._on_heartbeat,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _create_codec(self, stage: Stage) -> FrameCodec:
        frames = Path(self.spec.frames)
        codec = OutputCodec(
            type(stage).input_type,
            type(stage).output_type,
            make_writer(frames, os.getpid(), self.spec.frame_memory),
            FrameReader(frames, FRAME_PATIENCE),
            self.get_logger().warning,
        )
        stage.loan = codec.loan
        return codec

    def _create_client(self, stage: Stage, codec: FrameCodec) -> None:
        recent = RecentAnswers(self.spec.concurrency)
        saved = self.spec.state
        self._state = StageState(stage, SavedState(Path(saved))) if saved else None
        output_type = type(stage).output_type
        self._mirror = AnswerMirror(self, self.spec, output_type, codec.materialize)
        self.client = ManagerClient(
            self.spec,
            codec,
            recent,
            self._mirror,
            self._status,
            self._request_transition,
            self._set_sim_time,
            self._own_contexts.add,
        )
        self.runner = self.client.runner = StageRunner(
            stage,
            codec,
            self.liveness,
            recent,
            self.client.send_answer,
            self._state,
            self.client.channel,
            log_error=self._log.error,
        )

    def _subscribe_to_contexts(self, stage: Stage) -> None:
        for name, (topic, is_latched) in self.spec.contexts.items():
            buffer: ContextBuffer = stage.context[name]
            kind = type(stage).contexts[name]
            if is_latched:
                self.create_subscription(kind, topic, buffer.add, qos.latched(qos.CONTEXT_DEPTH))
            else:
                profile = qos.reliable(qos.CONTEXT_DEPTH)
                self._contexts.append(MatchedSubscription(self, kind, topic, buffer.add, profile))

    # -- lifecycle: the stage's hooks, on the main thread ----------------------------------------

    async def start(self) -> None:
        """Connect to the manager, and go to the spec's target state."""
        self.client.channel.connect(self.spec.manager_pid)
        self._own_contexts.start(self.client.channel)
        steps = ['configure'] if self.spec.target == 'inactive' else ['configure', 'activate']
        for step in steps:
            if not await self.transition(step):
                return

    async def do_configure(self) -> None:
        await self._on_main_thread(self._configure)

    async def do_activate(self) -> None:
        await self._on_main_thread(self._activate)

    async def do_deactivate(self) -> None:
        await self._on_main_thread(self._deactivate)

    async def do_cleanup(self) -> None:
        await self._on_main_thread(self.runner.stage.cleanup)

    async def do_shutdown(self) -> None:
        if self.runner.accepting:
            await self._on_main_thread(self._deactivate)
        await self._on_main_thread(self.runner.stage.cleanup)
        self.runner.close()

    async def do_error(self, error: BaseException) -> bool:
        # After a failed hook the stage's state is unknown: the process exits, and the manager
        # starts a new one.
        self.failure = describe_error(error)
        self.exit_code = EXIT_STAGE_FAILED
        self.liveness.set_exit_reason(self.failure)
        self.send_heartbeat()
        self.runner.close()
        return False

    def state_changed(self) -> None:
        # At once, not at the next period: the manager waits for it.
        self.send_heartbeat()

    def _configure(self) -> None:
        self.runner.stage.configure()
        self.runner.restore()

    def _activate(self) -> None:
        self.runner.stage.activate()
        self.runner.accepting = True

    def _deactivate(self) -> None:
        self.runner.accepting = False
        self.runner.stage.deactivate()

    async def _on_main_thread(self, call: Callable[[], None]) -> None:
        job = self.runner.submit(call)
        await until(lambda: job.done)
        if job.error is not None:
            raise HookError(job.error)

    def _request_transition(self, label: str) -> None:
        self.executor.create_task(self._follow_request, label)

    async def _follow_request(self, label: str) -> None:
        # The manager repeats a request while it has not seen its effect: on a busy machine that
        # may be late.
        if not has_begun(label, self.state):
            await self.transition(label)

    def _set_sim_time(self, is_simulated: bool) -> None:
        if self.get_parameter(USE_SIM_TIME).value != is_simulated:
            self.executor.create_task(partial(self.set_sim_time, is_simulated=is_simulated))

    # -- heartbeats ------------------------------------------------------------------------------

    def _on_heartbeat(self) -> None:
        for each in self._contexts:
            each.tick(time.monotonic())
        # The main thread may be busy with an item: items that arrive meanwhile are in flight too.
        self.client.channel.read()
        self.client.report_released_frames()
        self.send_heartbeat()
        self._mirror.refresh()

    def send_heartbeat(self) -> None:
        """Send the worker's status to the manager, and publish it on ``heartbeats``."""
        if self.state == 'finalized':
            # The process is about to exit, after its response to the shutdown request. The manager
            # would kill a finalized worker before that.
            return
        if self._absence is not None:
            self._absence.tick()
        report = self._status()
        self.client.send_status(report)
        self._heartbeat.publish(
            DiagnosticStatus(
                level=DiagnosticStatus.ERROR if self.failure else DiagnosticStatus.OK,
                name=self.spec.name,
                message=self.failure or self.state,
                hardware_id=self._hardware_id,
                values=key_values(report.values | {'pid_namespace': self._pid_namespace}),
            )
        )

    def _status(self) -> WorkerStatus:
        seen = self.liveness.read()
        busy = (time.monotonic_ns() - seen.active_since) / NANOSECONDS if seen.active_item else 0.0
        values = {
            'state': self.state,
            'processed': str(self.runner.processed),
            'in_flight': str(len(self.runner.unanswered)),
            'busy_s': f'{busy:.3f}',
        }
        if self._state is not None:
            values['state_bytes'] = str(self._state.size)
            values['state_save_ms'] = f'{self._state.save_time * 1e3:.3f}'
        if self._absence is not None:
            values |= self._absence.values()
        return WorkerStatus(values, self.failure, *self._stage_report())

    def _stage_report(self) -> tuple[str, str, dict[str, str]]:
        """Return the stage's own level, message and values."""
        try:
            return self._stage_status.snapshot()
        except Exception as error:  # the stage has replaced or is changing its `values`
            return status.ERROR, f'its status cannot be read: {describe_error(error)}', {}
