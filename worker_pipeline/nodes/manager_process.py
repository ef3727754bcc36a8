"""The manager's process: from its arguments to its exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.config import ConfigurationError
from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION
from worker_pipeline.nodes import type_supports
from worker_pipeline.nodes.executor import create_executor
from worker_pipeline.nodes.manager import ManagerNode
from worker_pipeline.runtime import dds, shared_memory
from worker_pipeline.runtime.package_share import package_share
from worker_pipeline.runtime.pipeline_folder import AlreadyRunningError
from worker_pipeline.runtime.plugins import InspectionInterruptedError
from worker_pipeline.runtime.processes import Launcher
from worker_pipeline.runtime.ros_errors import RCLError, in_words
from worker_pipeline.runtime.service_manager import ServiceManager

EXIT_ALREADY_RUNNING = 1
EXIT_CANNOT_RUN = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalWatch:
    """Tells of stop signals at once, also while the main thread waits inside the executor."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self._on_stop = on_stop
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            # The handler itself does nothing: its number arrives through the pipe.
            signal.signal(number, lambda _number, _frame: None)
        threading.Thread(target=self._watch, name='signal_watcher', daemon=True).start()

    def _watch(self) -> None:
        while numbers := os.read(self._read, 64):
            if any(number in STOP_SIGNALS for number in numbers):
                self._on_stop()


def run_manager(arguments: Sequence[str]) -> int:
    """Run a pipeline until it is stopped; ``arguments`` as in ``sys.argv``.

    Exit code 0: stopped in order; 1: stopped with an error, or nothing was started, as another
    manager runs there or there is no room; 2: bad configuration, nothing was started.
    """
    try:
        settings = dds.apply_defaults(package_share() / 'config')
    except OSError as error:
        print(f'manager: {error}; nothing was started', file=sys.stderr)
        return EXIT_BAD_CONFIGURATION
    stop_asked = threading.Event()
    # Before anything is forked, which would have it in its environment.
    pipeline = _Pipeline(settings, ServiceManager.of_this_process())

    def stop() -> None:
        stop_asked.set()
        pipeline.stop()

    launcher = Launcher('worker_pipeline.nodes.fork_preload', pipeline.on_exit)
    type_supports.load()
    gc.enable()
    # As long as this process has one thread, and with all that a worker needs.
    launcher.open(as_we_are=True)
    SignalWatch(stop)
    if dds.may_use_shared_memory(settings):
        shared_memory.sweep_the_dead()
        shared_memory.sweep_the_unfinished()
    try:
        return pipeline.run(arguments, launcher, stop_asked)
    finally:
        launcher.close()
        pipeline.leave_folder()
        pipeline.shared_memory.sweep()
        for number in STOP_SIGNALS:
            # All is done: one more while the interpreter ends is not to become the exit code.
            signal.signal(number, signal.SIG_IGN)


class _Pipeline:
    """The manager's node while there is one; signals and exits may come before and after."""

    def __init__(self, settings: dds.Settings | None, service_manager: ServiceManager) -> None:
        self._dds = settings
        self._service_manager = service_manager
        self._node: ManagerNode | None = None
        self._executor: Any = None
        self.shared_memory = shared_memory.SharedMemoryUse()
        # Last of all, when every worker and every helper is gone.
        self.leave_folder: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """A stop signal came. Called from the signal watcher's thread."""
        if self._node is not None:
            self._executor.create_task(self._node.stop)

    def on_exit(self, pid: int, reason: str) -> None:
        """A worker's process ended. Called from the process watcher's thread."""
        if self._node is not None:
            self._node.on_exit(pid, reason)
        if dds.may_use_shared_memory(self._dds):
            # Before the dead worker's lease is over, and what it used is mapped no more.
            self.shared_memory.note()

    def _note_worker(self, pid: int) -> None:
        if dds.may_use_shared_memory(self._dds):
            self.shared_memory.note(pid)

    def _participant(self) -> contextlib.AbstractContextManager[None]:
        if self._dds is None:
            return contextlib.nullcontext()
        return dds.participant(self._dds.common, self._dds.manager, dds.manager_number())

    def run(self, arguments: Sequence[str], launcher: Launcher, stop_asked: threading.Event) -> int:
        """Run the node until it has finished; returns the exit code."""
        try:
            with self._participant():
                rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
                node = ManagerNode()
            self.leave_folder = node.leave_folder
        except Exception as error:  # what ROS itself cannot take, in many classes
            _tell_of_ros(error)
            rclpy.try_shutdown()
            return EXIT_BAD_CONFIGURATION
        try:
            executor = create_executor()
            node.prepare(
                launcher,
                executor,
                arguments,
                self._dds,
                self._note_worker,
                stop_asked.is_set,
                self._service_manager,
            )
            self._node, self._executor = node, executor
            # What is there now, stays: no garbage is looked for in it while items pass.
            gc.freeze()
            executor.create_task(node.start)
            if stop_asked.is_set():
                self.stop()
            while not node.finished:
                try:
                    executor.spin_once(timeout_sec=0.2)
                except Exception:
                    # One event went wrong. The pipeline is worth more than a tidy end.
                    node.get_logger().error(f'internal error:\n{traceback.format_exc()}')
            return node.exit_code
        except ConfigurationError as error:
            _tell(error)
            return EXIT_BAD_CONFIGURATION
        except (RCLError, NameValidationException) as error:  # by a remapping, say
            _tell_of_ros(error)
            return EXIT_BAD_CONFIGURATION
        except AlreadyRunningError as error:
            print(f'manager: {error}; nothing was started', file=sys.stderr)
            return EXIT_ALREADY_RUNNING
        except OSError as error:  # no room in shared memory, or somebody else's folder there
            print(f'manager: {error}; nothing was started', file=sys.stderr)
            return EXIT_CANNOT_RUN
        except InspectionInterruptedError:
            return 0  # nothing was started, and so nothing is to be stopped
        finally:
            self._node = None
            if dds.may_use_shared_memory(self._dds):
                self.shared_memory.note()
            node.destroy()
            rclpy.shutdown()


def _tell(error: ConfigurationError) -> None:
    count = len(error.problems)
    print(
        f'manager: bad configuration, {count} {"problem" if count == 1 else "problems"}; '
        'nothing was started',
        file=sys.stderr,
    )
    for problem in error.problems:
        print(f'  {problem}', file=sys.stderr)


def _tell_of_ros(error: Exception) -> None:
    print(f'manager: {in_words(error)}; nothing was started', file=sys.stderr)
