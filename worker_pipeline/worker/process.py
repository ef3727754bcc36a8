# SPDX-License-Identifier: Apache-2.0
"""The worker process: from its spec to its exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from worker_pipeline.context import ContextBuffer
from worker_pipeline.error_text import describe_error, traceback_text
from worker_pipeline.exit_codes import EXIT_INTERNAL_ERROR, EXIT_STAGE_FAILED
from worker_pipeline.output.redirect import redirect_worker_output, report_crashes
from worker_pipeline.plugins.loader import load_stage_class
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.state_dir import manager_of
from worker_pipeline.ros import qos
from worker_pipeline.ros.executor import create_executor
from worker_pipeline.ros.process_config import ros_context
from worker_pipeline.stage import Stage
from worker_pipeline.system.close_on_exec import closing_on_exec
from worker_pipeline.system.own_tree import end_own_tree, is_abandoned
from worker_pipeline.system.proc import set_process_name
from worker_pipeline.system.threads import limit_threads
from worker_pipeline.worker.liveness_thread import LivenessThread
from worker_pipeline.worker.node import WorkerNode
from worker_pipeline.worker.random_seeds import seed_all
from worker_pipeline.worker.stage_runner import StageFailedError

# How long to wait for the response to a shutdown request to leave, s.
RESPONSE_TIME = 0.1


def run_worker(spec: WorkerSpec, placeholder: Node | None = None) -> None:
    """Run a worker from its fork to its exit, on the main thread of its process.

    ``placeholder``: a spare's node, which is replaced by the worker's; ROS is then set up already.
    Exit code 0: shut down; 70: a hook or the constructor raised, or an item failed and the class
    has restart_on_error; 71: an internal error; 75: without a manager for orphan_timeout.
    """
    # Only the manager stops workers. SIGTERM keeps its default: it ends a worker at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    redirect_worker_output(spec.liveness)
    if 'PYTHONBREAKPOINT' not in os.environ:
        sys.breakpointhook = _refuse_breakpoint
    if placeholder is None:  # a spare has done it
        seed_all()
    # At most 15 characters. The slot has to be complete, the stage is cut.
    set_process_name(f'{spec.stage[: 14 - len(spec.slot)]}/{spec.slot}')
    record = LivenessRecord(Path(spec.liveness))
    liveness = LivenessThread(spec, record)
    liveness.start()
    if spec.thread_limit:
        limit_threads(spec.thread_limit, is_default=not spec.threads)
    stage = _create_stage(spec, record)
    try:
        node = _create_node(spec, stage, placeholder)
    except BaseException as error:
        text = f"{spec.name}: the worker's node cannot be created"
        _exit_for(error, text, spec, record, EXIT_INTERNAL_ERROR)
    liveness.client = node.client
    spinner = _ExitingSpinner(node)
    report_crashes()
    try:
        node.runner.run()
    except StageFailedError as error:
        # The manager reads the reason, and the active item, from the liveness record.
        node.liveness.set_exit_reason(str(error))
        _end_abandoned_tree(spec)
        os._exit(EXIT_STAGE_FAILED)
    except BaseException as error:  # raised by a signal handler of the stage, between two items
        text = f'{spec.name}: the main thread failed'
        _exit_for(error, text, spec, record, EXIT_INTERNAL_ERROR)
    _await_response(node)
    spinner.close(1.0)
    # Explicitly: a multiprocessing child skips the exit handlers, and other processes would
    # see a crashed participant, whose shared memory stays behind.
    node.destroy_node()
    rclpy.shutdown()
    _end_abandoned_tree(spec)
    sys.exit(node.exit_code)


def _end_abandoned_tree(spec: WorkerSpec) -> None:
    """End what the stage has started, where neither a fork server nor a manager will."""
    if is_abandoned() and manager_of(Path(spec.lock)) is None:
        end_own_tree(spec.name)


def _refuse_breakpoint(*_: object, **__: object) -> None:
    """Fail the item: a debugger would read the end of standard input, and end the worker."""
    raise RuntimeError(
        'breakpoint() needs a terminal: run the stage alone, '
        'with `python -m worker_pipeline worker`'
    )


def _create_stage(spec: WorkerSpec, liveness: LivenessRecord) -> Stage:
    """Return the stage, bound to its parameters. Exits if the user's code fails."""
    try:
        stage = load_stage_class(spec.plugin)()
        buffers = {
            name: ContextBuffer(qos.CONTEXT_DEPTH) for name in (*spec.contexts, *spec.own_contexts)
        }
        stage.bind(spec.params, buffers)
        return stage
    except BaseException as error:
        text = f'{spec.name}: the stage cannot be created'
        _exit_for(error, text, spec, liveness, EXIT_STAGE_FAILED)


def _exit_for(
    error: BaseException, text: str, spec: WorkerSpec, liveness: LivenessRecord, exit_code: int
) -> NoReturn:
    """Exit, and leave the reason to the manager.

    Args:
        error: The reason.
        text: What has failed.
        spec: The worker's spec.
        liveness: The worker's liveness record.
        exit_code: The exit code.
    """
    with contextlib.suppress(Exception):  # standard error may be closed
        print(f'{text}:\n{traceback_text(error)}', file=sys.stderr, flush=True)
    liveness.set_exit_reason(describe_error(error))
    _end_abandoned_tree(spec)
    os._exit(exit_code)


def _create_node(spec: WorkerSpec, stage: Stage, placeholder: Node | None) -> WorkerNode:
    if placeholder is None:
        with closing_on_exec(), ros_context(spec.ros_config):
            return WorkerNode(spec, stage)
    with closing_on_exec():
        node = WorkerNode(spec, stage)
    placeholder.destroy_node()
    return node


def _await_response(node: WorkerNode) -> None:
    """Wait until the executor has sent the response to a shutdown request."""
    deadline = time.monotonic() + 1.0
    while node.state != 'finalized' and time.monotonic() < deadline:
        time.sleep(0.001)
    if node.exit_code == 0:
        # The executor sends it in a later turn; and the client drops a response that arrives after
        # the news that this node has left.
        time.sleep(RESPONSE_TIME)


class _ExitingSpinner:
    """A thread that spins the worker's node. An exception in it ends the process."""

    def __init__(self, node: WorkerNode) -> None:
        self._node = node
        self._executor = create_executor()
        self._executor.add_node(node)
        self._running = True
        self._thread = threading.Thread(target=self._spin, name='executor', daemon=True)
        self._thread.start()
        self._executor.create_task(node.start)

    def _spin(self) -> None:
        try:
            while self._running:
                self._executor.spin_once(timeout_sec=0.5)
        except BaseException as error:
            if isinstance(error, ExternalShutdownException):
                error = RuntimeError('rclpy was shut down by the stage')
            # Without its executor the worker is useless. The manager sees the exit at once.
            _exit_for(
                error,
                f'{self._node.spec.name}: the executor failed',
                self._node.spec,
                self._node.liveness,
                EXIT_INTERNAL_ERROR,
            )

    def close(self, timeout: float) -> None:
        """Stop the thread; wait up to ``timeout`` seconds."""
        self._running = False
        self._executor.create_task(lambda: None)  # wakes it
        self._thread.join(timeout)
