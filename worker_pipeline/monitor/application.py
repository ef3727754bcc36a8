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
from worker_pipeline.monitor.keys import KeyDecoder
from worker_pipeline.monitor.model import Pipeline
from worker_pipeline.monitor.remote import Remote
from worker_pipeline.monitor.signs import BEAUTIFUL, PLAIN
from worker_pipeline.monitor.terminal import Painter, errors_kept_back, keys_one_by_one
from worker_pipeline.monitor.view import Scene, screen, snapshot
from worker_pipeline.monitor.wakeup import Wakeup
from worker_pipeline.runtime.dds import RANGE
from worker_pipeline.runtime.ros_errors import in_words

EXIT_NOTHING_HEARD = 1
EXIT_BAD_ARGUMENTS = 2
EXIT_INTERRUPTED = 130
TURN = 0.5  # s, between two looks at the clock
BUSY_TURN = 0.05  # s, while something is asked
ESCAPE_ALONE = 0.05  # s, after which nothing follows it
WIDE = 200  # for a file or a pipe


def run_monitor(arguments: Sequence[str]) -> int:
    """Show a pipeline until it is told to quit; ``arguments`` as in ``sys.argv``.

    Exit code 0: told to quit, or all was printed; 1: no manager was heard within --timeout; 2: bad
    arguments; 130: interrupted before anything was printed.
    """
    try:
        options = _options(remove_ros_args(list(arguments))[1:])
    except Exception as error:  # what ROS itself cannot take, in many classes
        return _tell_of_ros(error)
    wakeup = Wakeup()
    heard: queue.SimpleQueue[tuple[Sequence[Any], float]] = queue.SimpleQueue()

    def on_statuses(statuses: Sequence[Any], at: float) -> None:
        heard.put((statuses, at))
        wakeup.wake()

    try:
        remote = Remote(arguments, '/' + options.namespace.strip('/'), on_statuses)
    except Exception as error:  # what ROS itself cannot take, in many classes
        return _tell_of_ros(error)
    try:
        monitor = _Monitor(remote, heard, wakeup)
        has_screen = monitor.console.is_interactive and os.isatty(0) and os.isatty(1)
        if options.once or not has_screen:
            return monitor.show_once(options.timeout)
        return monitor.run()
    finally:
        remote.close()


def _tell_of_ros(error: Exception) -> int:
    print(f'monitor: {in_words(error)}', file=sys.stderr)
    return EXIT_BAD_ARGUMENTS


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline monitor',
        description='Show a pipeline in a terminal, and steer it with keys (? tells which).',
    )
    parser.add_argument('--namespace', default='/airside', help="the pipeline's (/airside)")
    parser.add_argument(
        '--once',
        action='store_true',
        help='print what there is once, as where it goes to a file or a pipe',
    )
    parser.add_argument(
        '--timeout', type=float, default=10.0, help='s, how long that waits to hear of it (10)'
    )
    return parser.parse_args(arguments)


class _Monitor:
    """The loop: what was heard, typed and answered goes in, and the screen is drawn."""

    def __init__(
        self,
        remote: Remote,
        heard: queue.SimpleQueue[tuple[Sequence[Any], float]],
        wakeup: Wakeup,
    ) -> None:
        self.console = Console(highlight=False)
        self._remote = remote
        self._heard = heard
        self._wakeup = wakeup
        self._began = time.monotonic()
        self._pipeline = Pipeline(remote.namespace)
        self._controls = Controls()
        self._signs = PLAIN if self.console.options.ascii_only else BEAUTIFUL

    def show_once(self, timeout: float) -> int:
        """Print what is heard first."""
        while not self._wakeup.stopped:
            left = self._began + timeout - time.monotonic()
            if self._listen():
                width = self.console.width if os.isatty(1) else WIDE
                self.console.width = width
                for line in snapshot(self._scene(time.monotonic()), width, self._signs):
                    line.rstrip()
                    self.console.print(line, no_wrap=True, crop=False, overflow='ignore')
                return 0
            if left <= 0:
                first, *others = self._missing(f'within {timeout:g} s').splitlines()
                print('\n'.join((f'monitor: {first}', *others)), file=sys.stderr)
                return EXIT_NOTHING_HEARD
            self._wakeup.wait(left)
        return EXIT_INTERRUPTED

    def run(self) -> int:
        """Fill the screen until it is told to quit."""
        keyboard = sys.stdin.fileno()
        painter = Painter(self.console)
        with (
            contextlib.suppress(_TerminalGoneError),
            errors_kept_back(),
            keys_one_by_one(keyboard),
            _while_there_is_one(),
            painter,
        ):
            self._wakeup.watch(keyboard)
            decoder = KeyDecoder()
            self._draw(painter)
            while not self._wakeup.stopped and not self._controls.ended:
                turn = BUSY_TURN if self._controls.pending else TURN
                ready = self._wakeup.wait(ESCAPE_ALONE if decoder.is_waiting else turn)
                if keyboard in ready:
                    self._turn(decoder.feed(self._typed(keyboard)))
                else:
                    self._turn([] if ready else decoder.flush())
                self._draw(painter)
        return 0

    def _typed(self, keyboard: int) -> bytes:
        typed = os.read(keyboard, 1024)
        if not typed:
            raise _TerminalGoneError
        return typed

    def _turn(self, keys: Sequence[str]) -> None:
        self._listen()
        now, managers = time.monotonic(), self._pipeline.managers()
        for key in keys:
            for command in self._controls.press(key, managers, now):
                self._remote.ask(command, now)
        for outcome in self._remote.outcomes(now):
            self._controls.settle(outcome, now)
        for command in self._controls.seen_done(managers, now):
            self._remote.forget(command)
        self._remote.prepare(self._controls.possible(managers, now))

    def _listen(self) -> bool:
        """Take in what was heard; whether some of it was of a manager of ours."""
        is_ours = False
        while not self._heard.empty():
            is_ours |= self._pipeline.hear(*self._heard.get())
        return is_ours

    def _draw(self, painter: Painter) -> None:
        if self._wakeup.resized:
            self._wakeup.resized = False
            painter.forget()
        # The window's, whatever COLUMNS and LINES say, as they stay when it changes; those where it
        # says none, as a serial console may.
        window = os.get_terminal_size(self.console.file.fileno())
        width, height = window if all(window) else self.console.size
        painter.paint(screen(self._scene(time.monotonic()), width, height, self._signs), width)

    def _scene(self, now: float) -> Scene:
        managers = self._pipeline.managers()
        waiting = '' if managers else self._missing(f'for {now - self._began:.0f} s')
        return Scene(self._remote.namespace, managers, self._controls, now, waiting)

    def _missing(self, how_long: str) -> str:
        """What did not come, and where it was looked for."""
        remote = self._remote
        lines = [
            f'nothing of a manager in {remote.namespace} heard on {remote.topic} {how_long}',
            f'ROS_DOMAIN_ID: {remote.domain}, {RANGE}: {os.environ.get(RANGE, "SUBNET")}',
        ]
        if self._pipeline.elsewhere:
            lines.append(f'there are pipelines in: {", ".join(sorted(self._pipeline.elsewhere))}')
        return '\n'.join(lines)


class _TerminalGoneError(Exception):
    """There is nobody any more who could read or type."""


@contextlib.contextmanager
def _while_there_is_one() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise _TerminalGoneError from error
