# SPDX-License-Identifier: Apache-2.0
"""The manager's process: from its arguments to its exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.config import ConfigurationError, check_process_count
from worker_pipeline.core.absence import Absence
from worker_pipeline.exit_codes import (
    EXIT_ALREADY_RUNNING,
    EXIT_BAD_CONFIGURATION,
    EXIT_FAILED,
)
from worker_pipeline.manager.live_parameters import LiveParameters
from worker_pipeline.manager.node import ManagerNode
from worker_pipeline.manager.node_sections import section_problems
from worker_pipeline.manager.pipeline_builder import PipelineBuilder, inspect_plugins
from worker_pipeline.manager.services import ProcessServices
from worker_pipeline.output.output_relay import OutputRelay
from worker_pipeline.plugins.inspector import InspectionInterruptedError
from worker_pipeline.recovery.inspection_cache import InspectionCache
from worker_pipeline.recovery.manager_lock import lock_manager_name
from worker_pipeline.recovery.state_dir import AlreadyRunningError, PipelineStateDir
from worker_pipeline.ros import dds, shared_memory
from worker_pipeline.ros.advisories import advisory_warning, fast_dds_version
from worker_pipeline.ros.errors import RCLError, describe_ros_error, is_bad_argument
from worker_pipeline.ros.executor import create_executor
from worker_pipeline.system.fork_client import KeptServer
from worker_pipeline.system.proc import start_of
from worker_pipeline.system.processes import Launcher
from worker_pipeline.system.stop_signals import StopSignals
from worker_pipeline.system.systemd_notifier import SystemdNotifier


def run_manager(
    arguments: Sequence[str],
    settings: dds.Settings | None,
    signals: StopSignals,
    output: OutputRelay,
    systemd: SystemdNotifier,
    get_kept_server: Callable[[], KeptServer | None],
) -> int:
    """Run a pipeline until it is stopped; return the exit code.

    Args:
        arguments: As in ``sys.argv``.
        settings: How the processes communicate; None: as the user has chosen.
        signals: Keeps the stop signals.
        output: Relays what this process and its workers print.
        systemd: Is notified of the manager's state.
        get_kept_server: As in ``ForkServerClient``.

    Exit code 0: shut down cleanly (items that were left unfinished are logged); 1: shut down with
    an error, or nothing was started for a cause that may pass, such as full shared memory: start it
    again; 2: bad configuration, nothing was started; 3: nothing was started, as another manager of
    this pipeline is running.
    """
    stop_requested = threading.Event()
    pipeline = _Pipeline(settings, systemd, output)

    def stop() -> None:
        stop_requested.set()
        pipeline.stop()

    try:
        launcher = Launcher(
            'worker_pipeline.worker.fork_preload',
            pipeline.on_exit,
            on_left_behind=pipeline.on_left_behind,
            get_kept_server=get_kept_server,
        )
        launcher.open()
    except OSError as error:
        print(f'manager: {error}; nothing was started', file=sys.stderr)
        return EXIT_FAILED
    signals.watch(stop)
    if dds.may_use_shared_memory(settings):
        shared_memory.remove_orphaned_segments()
        shared_memory.remove_unfinished_ports()
    try:
        return pipeline.run(arguments, launcher, stop_requested)
    finally:
        if not pipeline.is_handed_over:  # the workers and the state are the successor's
            launcher.close()
            pipeline.release_state_dir()
            pipeline.shared_memory.sweep()
        signals.ignore()


class _Pipeline:
    """The manager's node while it exists; signals and worker exits may come before and after."""

    def __init__(
        self, settings: dds.Settings | None, systemd: SystemdNotifier, output: OutputRelay
    ) -> None:
        self._dds = settings
        self._output = output
        self._systemd = systemd
        self._node: ManagerNode | None = None
        self._executor: Any = None
        self.shared_memory = shared_memory.SharedMemoryUse()
        self.is_handed_over = False
        # Called last, when all workers and helper processes have exited.
        self.release_state_dir: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Stop the pipeline. Called by the signal watcher's thread."""
        if self._node is not None:
            self._executor.create_task(self._node.stop)

    def on_exit(self, pid: int, reason: str) -> None:
        """Report the exit of a worker's process. Called by the process watcher's thread.

        An adopted worker may exit before the node is there: the report waits in the executor.
        """
        if self._executor is not None:
            self._executor.create_task(self._exited, pid, reason)
        if dds.may_use_shared_memory(self._dds):
            # Before the dead worker's lease ends and its peers unmap its memory.
            self.shared_memory.note()

    def on_left_behind(self, pid: int, text: str, count: int) -> None:
        """Report the processes that a worker has left. Called by the process watcher's thread.

        Args:
            pid: The worker's pid.
            text: Which they are, and what became of them.
            count: How many they are.
        """
        if self._executor is not None:
            self._executor.create_task(self._left_behind, pid, text, count)

    def _exited(self, pid: int, reason: str) -> None:
        if self._node is not None:
            self._node.on_exit(pid, reason)

    def _left_behind(self, pid: int, text: str, count: int) -> None:
        if self._node is not None:
            self._node.on_left_behind(pid, text, count)

    def _note_worker(self, pid: int) -> None:
        if dds.may_use_shared_memory(self._dds):
            self.shared_memory.note(pid)

    def _participant(self) -> contextlib.AbstractContextManager[None]:
        if self._dds is None:
            return contextlib.nullcontext()
        return dds.participant(self._dds.common, self._dds.manager, dds.manager_number())

    def _build(self, node: ManagerNode, process: ProcessServices) -> None:
        """Check the configuration as a whole, and give the node its pipeline."""
        config = node.read_configuration()
        problems = section_problems(process.ros_arguments, node.get_fully_qualified_name(), config)
        if problems:
            raise ConfigurationError(problems)
        check_process_count(config, dds.worker_limit(self._dds))
        is_reachable = dds.is_reachable(self._dds)
        version = fast_dds_version() if is_reachable else None
        warning = advisory_warning(version, is_reachable=is_reachable)
        if warning:
            node.get_logger().warning(warning)
        namespace = node.get_namespace().rstrip('/')
        domain = node.context.get_domain_id()
        guardian = os.getppid()
        state_dir = PipelineStateDir(namespace, domain, guardian)
        # Until the pipeline is made, an earlier manager's state stays there for the next one.
        self.release_state_dir = lambda: state_dir.close(remove=not state_dir.journal.exists())
        name_lock = lock_manager_name(domain, node.get_fully_qualified_name())
        cache = InspectionCache(state_dir.inspected, (guardian, start_of(guardian) or 0))
        plugins = inspect_plugins(node, config, process, cache)
        builder = PipelineBuilder(
            node, config, plugins, state_dir, process, lambda: node.is_stopping
        )
        pipeline = builder.build()

        def release() -> None:
            name_lock.close()  # first: the next manager of this user waits for the folder
            state_dir.close(remove=True)

        self.release_state_dir = release
        lease = dds.lease_of(self._dds.manager if self._dds is not None else None)
        pipeline.absence = Absence(lease, is_reachable=is_reachable)
        node.attach(pipeline, process.executor, self._systemd)
        parameters = LiveParameters(
            node, config, plugins, pipeline.reconfigure, dds.worker_limit(self._dds)
        )
        pipeline.revert = parameters.revert

    def run(
        self, arguments: Sequence[str], launcher: Launcher, stop_requested: threading.Event
    ) -> int:
        """Run the node until it has finished. Return the exit code."""
        gc.disable()  # what is made until there is a pipeline stays
        try:
            with self._participant():
                rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
                node = ManagerNode()
        except Exception as error:  # rclpy raises many classes for bad arguments
            rclpy.try_shutdown()
            return _report_ros_error(error)
        try:
            executor = self._executor = create_executor()
            process = ProcessServices(
                launcher=launcher,
                executor=executor,
                ros_arguments=tuple(arguments),
                dds_settings=self._dds,
                note_process=self._note_worker,
                interrupted=stop_requested.is_set,
                output=self._output,
            )
            self._build(node, process)
            self._node = node
            # The objects of now stay: the garbage collector need not traverse it while items pass.
            gc.freeze()
            gc.enable()
            executor.create_task(node.start)
            if stop_requested.is_set():
                self.stop()
            while not node.finished:
                try:
                    executor.spin_once(timeout_sec=0.2)
                except Exception:
                    # One event failed. The pipeline continues.
                    node.get_logger().error(f'internal error:\n{traceback.format_exc()}')
            return node.exit_code
        except ConfigurationError as error:
            return _report(error)
        except (RCLError, NameValidationException) as error:  # for example a bad remapping
            return _report_ros_error(error)
        except AlreadyRunningError as error:
            print(f'manager: {error}; nothing was started', file=sys.stderr)
            return EXIT_ALREADY_RUNNING
        except OSError as error:  # shared memory is full, or the folder belongs to another user
            print(f'manager: {error}; nothing was started', file=sys.stderr)
            return EXIT_FAILED
        except InspectionInterruptedError:
            return 0  # nothing was started, so there is nothing to stop
        finally:
            self._node = self._executor = None
            self.is_handed_over = node.is_handed_over
            if dds.may_use_shared_memory(self._dds):
                self.shared_memory.note()
            node.destroy()
            rclpy.shutdown()


def _report(error: ConfigurationError) -> int:
    count = f'{len(error.problems)} {"problem" if len(error.problems) == 1 else "problems"}'
    text = f'manager: bad configuration, {count}; nothing was started'
    if error.may_pass:
        text = f'manager: cannot check the configuration for now, {count}; nothing was started'
    print(text, file=sys.stderr)
    for problem in error.problems:
        print(f'  {problem}', file=sys.stderr)
    return EXIT_FAILED if error.may_pass else EXIT_BAD_CONFIGURATION


def _report_ros_error(error: Exception) -> int:
    print(f'manager: {describe_ros_error(error)}; nothing was started', file=sys.stderr)
    return EXIT_BAD_CONFIGURATION if is_bad_argument(error) else EXIT_FAILED
