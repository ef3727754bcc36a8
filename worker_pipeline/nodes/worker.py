"""A worker: one lifecycle node, in a process of its own, that runs one stage's code."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.context import ContextBuffer, header_of
from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.executor import create_executor
from worker_pipeline.nodes.lifecycle import ManagedNode, until
from worker_pipeline.nodes.worker_contract import WorkerSpec
from worker_pipeline.runtime import dds
from worker_pipeline.runtime.cdr import BadMessageError, split_stamp, stamp_of
from worker_pipeline.runtime.plugins import load_stage_class
from worker_pipeline.runtime.stage_runner import StageRunner
from worker_pipeline.stage import Stage

EXIT_HOOK_FAILED = 70  # EX_SOFTWARE
EXIT_INTERNAL_ERROR = 71  # EX_OSERR
EXIT_ORPHANED = 75  # EX_TEMPFAIL


class WorkerNode(ManagedNode):
    """Takes items from ``work``, answers each exactly once, by ``result`` or by ``outcome``."""

    def __init__(self, spec: WorkerSpec, stage: Stage) -> None:
        super().__init__(
            spec.slot,
            namespace=f'{spec.namespace}/{spec.stage}',
            use_global_arguments=False,
            allow_undeclared_parameters=True,
            enable_rosout=True,
        )
        self.spec = spec
        self.exit_code = 0
        self.failure = ''
        self._hardware_id = f'{socket.gethostname()}:{os.getpid()}'
        stage_class = type(stage)
        for key, value in stage.params.items():
            self.declare_parameter(key, value)
        self.refuse_changes_of_parameters()
        stage.logger = _ros_logger(self)
        self.runner = StageRunner(stage, self._deserialize, self)
        work_qos = qos.work(spec.concurrency)
        self._input_type = stage_class.input_type
        self._output_type = stage_class.output_type
        self._result = self.create_publisher(self._output_type, f'{spec.slot}/result', work_qos)
        self._outcome = self.create_publisher(DiagnosticStatus, f'{spec.slot}/outcome', work_qos)
        self._heartbeat = self.create_publisher(
            DiagnosticStatus, f'{spec.namespace}/heartbeats', qos.HEARTBEATS
        )
        for name, (topic, is_latched) in spec.contexts.items():
            profile = qos.latched if is_latched else qos.reliable
            buffer: ContextBuffer = stage.context[name]
            self.create_subscription(
                stage_class.contexts[name], topic, buffer.add, profile(qos.CONTEXT_DEPTH)
            )
        self.create_subscription(
            self._input_type, f'{spec.slot}/work', self._on_work, work_qos, raw=True
        )
        self.create_timer(spec.heartbeat_period, self.send_heartbeat)

    # -- lifecycle: the stage's hooks, on the main thread ----------------------------------------

    async def start(self) -> None:
        """Go to the state that was asked for at birth."""
        steps = ['configure'] if self.spec.target == 'inactive' else ['configure', 'activate']
        for step in steps:
            if not await self.transition(step):
                return

    async def do_configure(self) -> None:
        await self._on_main_thread(self.runner.stage.configure)

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

    async def do_error(self, error: Exception) -> bool:
        # A stage whose hook failed is in no known state: the process ends, and the manager
        # begins a new one from the beginning.
        self.failure = f'{type(error).__name__}: {error}'
        self.exit_code = EXIT_HOOK_FAILED
        self.send_heartbeat()
        self.runner.close()
        return False

    def state_changed(self) -> None:
        # At once, not at the next period: the manager waits for it.
        self.send_heartbeat()

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
            raise job.error

    # -- heartbeats ------------------------------------------------------------------------------

    def send_heartbeat(self) -> None:
        """Tell the manager that this process lives, and how it stands."""
        since = self.runner.busy_since
        busy = 0.0 if since is None else time.monotonic() - since
        values = {
            'state': self.state,
            'processed': self.runner.processed,
            'in_flight': self.runner.held,
            'busy_s': f'{busy:.3f}',
        }
        self._heartbeat.publish(
            DiagnosticStatus(
                level=DiagnosticStatus.ERROR if self.failure else DiagnosticStatus.OK,
                name=self.spec.name,
                message=self.failure or self.state,
                hardware_id=self._hardware_id,
                values=worker_contract.key_values(values),
            )
        )

    # -- items -----------------------------------------------------------------------------------

    def _on_work(self, item: bytes) -> None:
        try:
            stamp = stamp_of(item)
        except BadMessageError as error:
            self.get_logger().error(f'{self.spec.slot}/work: {error}', throttle_duration_sec=1.0)
            return
        if worker_contract.is_probe(stamp):
            self._answer_probe(stamp)
        else:
            self.runner.offer(item)

    def _answer_probe(self, stamp: int) -> None:
        if stamp != worker_contract.probe_stamp(os.getpid()):
            return  # asked of the process that had this slot before
        echo = self._output_type()
        header = header_of(echo)
        header.stamp.sec, header.stamp.nanosec = worker_contract.PROBE_SECONDS, os.getpid()
        self._result.publish(echo)
        self._say(worker_contract.PROBED, stamp)

    def _deserialize(self, item: bytes) -> Any:
        return deserialize_message(item, self._input_type)

    def _say(self, kind: str, stamp: int, text: str = '') -> None:
        self._outcome.publish(worker_contract.outcome(self.spec.name, kind, stamp, text))

    # The five answers; called by the runner on the main thread.

    def output(self, item: bytes, message: Any) -> None:  # noqa: ARG002 - the message tells
        self._result.publish(message)

    def none(self, item: bytes) -> None:
        self._say(worker_contract.NONE, stamp_of(item))

    def error(self, item: bytes, text: str) -> None:
        sec, nanosec = split_stamp(stamp_of(item))
        self.get_logger().error(
            f'process() failed on the item stamped {sec}.{nanosec:09d}:\n{text}'
        )
        self._say(worker_contract.ERROR, stamp_of(item), text.strip().splitlines()[-1])

    def returned(self, item: bytes) -> None:
        self._say(worker_contract.RETURNED, stamp_of(item))

    def end_of_stream(self, item: bytes) -> None:
        self._say(worker_contract.END_OF_STREAM, stamp_of(item))


class _RosHandler(logging.Handler):
    """Passes a stage's log records on to its node's logger."""

    def __init__(self, node: ManagedNode) -> None:
        super().__init__()
        logger = node.get_logger()
        self._write = [
            (logging.ERROR, logger.error),
            (logging.WARNING, logger.warning),
            (logging.INFO, logger.info),
            (0, logger.debug),
        ]

    def emit(self, record: logging.LogRecord) -> None:
        # One call site each: rclpy refuses to change the severity of one.
        text = self.format(record)
        for level, write in self._write:
            if record.levelno >= level:
                write(text)
                return


def _ros_logger(node: ManagedNode) -> logging.Logger:
    logger = logging.getLogger(f'worker_pipeline.stage.{node.get_name()}')
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_RosHandler(node))
    return logger


def _watch_manager(spec: WorkerSpec) -> None:
    """End this process when its manager has been gone for ``orphan_timeout``."""
    try:
        pidfd = os.pidfd_open(spec.manager_pid)
    except ProcessLookupError:
        pass
    else:
        select.select([pidfd], [], [])
    threading.Event().wait(spec.orphan_timeout)
    print(
        f'{spec.name}: no manager for {spec.orphan_timeout:g} s; ending',
        file=sys.stderr,
        flush=True,
    )
    os._exit(EXIT_ORPHANED)


def run_worker(spec: WorkerSpec) -> None:
    """The life of a worker process, from fork to exit. Called on its main thread."""
    # A stop is the manager's to order. SIGTERM keeps its default: it ends a worker at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_manager, args=(spec,), daemon=True).start()
    stage = load_stage_class(spec.plugin)()
    buffers = {name: ContextBuffer(qos.CONTEXT_DEPTH) for name in spec.contexts}
    stage.bind(spec.params, buffers)
    with dds.numbered(spec.dds_profile, spec.participant) if spec.dds_profile else nullcontext():
        rclpy.init(args=list(spec.ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
        node = WorkerNode(spec, stage)
    executor = create_executor()
    executor.add_node(node)
    running = True

    def spin() -> None:
        try:
            while running:
                executor.spin_once(timeout_sec=0.5)
        except Exception:
            # Without its executor a worker is of no use. Its end is seen at once.
            traceback.print_exc()
            os._exit(EXIT_INTERNAL_ERROR)

    spinner = threading.Thread(target=spin, name='executor', daemon=True)
    spinner.start()
    executor.create_task(node.start)
    node.runner.run()
    # The last words (a failure, an answer to a shutdown request) are sent by the executor.
    deadline = time.monotonic() + 1.0
    while node.state != 'finalized' and time.monotonic() < deadline:
        time.sleep(0.001)
    node.send_heartbeat()
    running = False
    executor.create_task(lambda: None)  # wakes the executor
    spinner.join(1.0)
    # Destroyed by hand: a multiprocessing child skips what would do it at exit, and the others
    # would take it for lost, its shared memory left behind.
    node.destroy_node()
    rclpy.shutdown()
    sys.exit(node.exit_code)
