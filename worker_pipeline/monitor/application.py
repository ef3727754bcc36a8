# SPDX-License-Identifier: Apache-2.0
"""The command: ``python -m worker_pipeline monitor``."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import queue
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rclpy.utilities import remove_ros_args
from rich.console import Console

from worker_pipeline.monitor.controls import Controls
from worker_pipeline.monitor.glyphs import ASCII, UNICODE
from worker_pipeline.monitor.keys import KeyDecoder
from worker_pipeline.monitor.model import Pipeline
from worker_pipeline.monitor.monitor_node import MonitorNode
from worker_pipeline.monitor.terminal import Painter, cbreak_mode, stderr_held_back
from worker_pipeline.monitor.view import Scene, screen, snapshot
from worker_pipeline.monitor.wakeup import Wakeup
from worker_pipeline.ros.dds import RANGE
from worker_pipeline.ros.errors import describe_ros_error, is_bad_argument

EXIT_NO_MANAGER = 1
EXIT_ROS_FAILED = 1
EXIT_BAD_ARGUMENTS = 2
EXIT_INTERRUPTED = 130
REFRESH_PERIOD = 0.5  # s
BUSY_REFRESH_PERIOD = 0.05  # s, while a command is pending
ESCAPE_TIMEOUT = 0.05  # s, after which an escape is a key of its own
PIPE_WIDTH = 200  # columns, for a file or a pipe


def run_monitor(arguments: Sequence[str]) -> int:
    """Show a pipeline until the user quits. ``arguments`` are those of ``sys.argv``.

    Exit code 0: the user quit, or the table was printed; 1: no manager was found within --timeout,
    or ROS failed, at its start or later; 2: bad arguments; 130: interrupted before the table was
    printed.
    """
    try:
        options = _options(remove_ros_args(list(arguments))[1:])
    except Exception as error:  # ROS raises many classes
        return _report_ros_error(error)
    wakeup = Wakeup()
    received: queue.SimpleQueue[tuple[Sequence[Any], float]] = queue.SimpleQueue()

    def on_statuses(statuses: Sequence[Any], at: float) -> None:
        received.put((statuses, at))
        wakeup.wake()

    failures: list[Exception] = []

    def on_failure(error: Exception) -> None:
        failures.append(error)
        wakeup.stop()

    try:
        node = MonitorNode(arguments, '/' + options.namespace.strip('/'), on_statuses, on_failure)
    except Exception as error:  # ROS raises many classes
        return _report_ros_error(
            error, EXIT_BAD_ARGUMENTS if is_bad_argument(error) else EXIT_ROS_FAILED
        )
    try:
        monitor = _Monitor(node, received, wakeup)
        has_screen = monitor.console.is_interactive and os.isatty(0) and os.isatty(1)
        if options.once or not has_screen:
            code = monitor.show_once(options.timeout)
        else:
            code = monitor.run()
    finally:
        node.close()
    return _report_ros_error(failures[0], EXIT_ROS_FAILED) if failures else code


def _report_ros_error(error: Exception, code: int = EXIT_BAD_ARGUMENTS) -> int:
    print(f'monitor: {describe_ros_error(error)}', file=sys.stderr)
    return code


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline monitor',
        description='Show a pipeline in a terminal, and control it with keys (? lists them).',
    )
    parser.add_argument('--namespace', default='/airside', help='of the pipeline (/airside)')
    parser.add_argument(
        '--once',
        action='store_true',
        help='print one table and exit, as when the output is a file or a pipe',
    )
    parser.add_argument(
        '--timeout', type=float, default=10.0, help='with --once, how long to wait, in s (10)'
    )
    return parser.parse_args(arguments)


class _Monitor:
    """The main loop: takes in diagnostics, keys and responses, and draws the screen."""

    def __init__(
        self,
        node: MonitorNode,
        received: queue.SimpleQueue[tuple[Sequence[Any], float]],
        wakeup: Wakeup,
    ) -> None:
        self.console = Console(highlight=False)
        self._node = node
        self._received = received
        self._wakeup = wakeup
        self._started_at = time.monotonic()
        self._pipeline = Pipeline(node.namespace)
        self._controls = Controls()
        self._glyphs = ASCII if self.console.options.ascii_only else UNICODE

    def show_once(self, timeout: float) -> int:
        """Print the first diagnostics that are received; return the exit code."""
        while not self._wakeup.stopped:
            left = self._started_at + timeout - time.monotonic()
            if self._receive():
                width = self.console.width if os.isatty(1) else PIPE_WIDTH
                self.console.width = width
                for line in snapshot(self._scene(time.monotonic()), width, self._glyphs):
                    line.rstrip()
                    self.console.print(line, no_wrap=True, crop=False, overflow='ignore')
                return 0
            if left <= 0:
                first, *others = self._missing(f'within {timeout:g} s').splitlines()
                print('\n'.join((f'monitor: {first}', *others)), file=sys.stderr)
                return EXIT_NO_MANAGER
            self._wakeup.wait(left)
        return EXIT_INTERRUPTED

    def run(self) -> int:
        """Fill the screen until the user quits; return the exit code."""
        keyboard = sys.stdin.fileno()
        painter = Painter(self.console)
        with (
            contextlib.suppress(_TerminalClosedError),
            stderr_held_back(),
            cbreak_mode(keyboard),
            _until_terminal_closes(),
            painter,
        ):
            self._wakeup.watch(keyboard)
            decoder = KeyDecoder()
            self._draw(painter)
            while not self._wakeup.stopped and not self._controls.ended:
                period = BUSY_REFRESH_PERIOD if self._controls.pending else REFRESH_PERIOD
                ready = self._wakeup.wait(ESCAPE_TIMEOUT if decoder.is_waiting else period)
                if keyboard in ready:
                    self._handle_keys(decoder.feed(self._typed(keyboard)))
                else:
                    self._handle_keys([] if ready else decoder.flush())
                self._draw(painter)
        return 0

    def _typed(self, keyboard: int) -> bytes:
        typed = os.read(keyboard, 1024)
        if not typed:
            raise _TerminalClosedError
        return typed

    def _handle_keys(self, keys: Sequence[str]) -> None:
        self._receive()
        now, managers = time.monotonic(), self._pipeline.managers()
        for key in keys:
            for command in self._controls.press(key, managers, now):
                self._node.send(command, now)
        for result in self._node.results(now):
            self._controls.finish(result, now)
        for command in self._controls.confirm(managers, now):
            self._node.cancel(command)
        self._node.create_clients(self._controls.available(managers, now))

    def _receive(self) -> bool:
        """Take in the diagnostics received; return whether any came from a manager of ours."""
        is_ours = False
        while not self._received.empty():
            is_ours |= self._pipeline.update(*self._received.get())
        return is_ours

    def _draw(self, painter: Painter) -> None:
        if self._wakeup.resized:
            self._wakeup.resized = False
            painter.invalidate()
        # The size of the window, not COLUMNS and LINES, which stay the same when it is resized. A
        # serial console may report no size.
        window = os.get_terminal_size(self.console.file.fileno())
        width, height = window if all(window) else self.console.size
        painter.paint(screen(self._scene(time.monotonic()), width, height, self._glyphs), width)

    def _scene(self, now: float) -> Scene:
        managers = self._pipeline.managers()
        waiting = '' if managers else self._missing(f'for {now - self._started_at:.0f} s')
        return Scene(self._node.namespace, managers, self._controls, now, waiting)

    def _missing(self, how_long: str) -> str:
        """Return a message about the missing manager, and where the monitor looks for it."""
        node = self._node
        lines = [
            f'no diagnostics from a manager in {node.namespace} on {node.topic} {how_long}',
            f'ROS_DOMAIN_ID: {node.domain}, {RANGE}: {os.environ.get(RANGE, "SUBNET")}',
        ]
        if self._pipeline.other_namespaces:
            others = ', '.join(sorted(self._pipeline.other_namespaces))
            lines.append(f'there are pipelines in: {others}')
        return '\n'.join(lines)


class _TerminalClosedError(Exception):
    """The terminal was closed."""


@contextlib.contextmanager
def _until_terminal_closes() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise _TerminalClosedError from error
