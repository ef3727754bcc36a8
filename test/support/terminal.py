# SPDX-License-Identifier: Apache-2.0
"""A process in a terminal of its own, with a readable screen and a keyboard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pyte

from worker_pipeline.testing import wait_for


class Terminal:
    """A pseudo-terminal with an emulator, and one process in it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        self.written = b''
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._master, self._slave = os.openpty()
        self._set_size(columns, lines)
        self.before = self.attributes()
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**environment, 'TERM': 'xterm-256color'},
            start_new_session=True,
            # So that Ctrl-C is a signal, and so is another size.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack('HHHH', lines, columns, 0, 0))

    def _read(self) -> None:
        while not self._closed.is_set():
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            with contextlib.suppress(OSError):
                data = os.read(self._master, 65536)
                with self._lock:
                    self.written += data
                    self._stream.feed(data)

    def attributes(self) -> list[Any]:
        """Return the settings of the terminal."""
        return termios.tcgetattr(self._slave)

    @property
    def lines(self) -> list[str]:
        """Return the lines of the screen."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def line(self, *words: str) -> str:
        """Return the first line with all these words in this order; '' if there is none."""
        for line in self.lines:
            place = 0
            for word in words:
                place = line.find(word, place)
                if place < 0:
                    break
                place += len(word)
            else:
                return line
        return ''

    def wait_for(self, *words: str, timeout: float = 60.0) -> str:
        """Wait for a line with all these words in this order."""
        return str(
            wait_for(
                lambda: self.line(*words),
                f'a line with {words}',
                timeout,
                lambda: '\n' + '\n'.join(self.lines),
            )
        )

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Resize the window; the kernel notifies the process."""
        with self._lock:
            self._screen.resize(lines, columns)
            self._set_size(columns, lines)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the process to exit; return its exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            shown = '\n'.join(self.lines)
            raise AssertionError(
                f'it did not exit within {timeout:g} s; its screen:\n{shown}'
            ) from None

    def hang_up(self) -> None:
        """Close the window."""
        self._closed.set()
        self._reader.join()
        os.close(self._slave)
        os.close(self._master)

    def close(self) -> None:
        """Kill the process and close the terminal."""
        self.process.kill()
        self.process.wait()
        if not self._closed.is_set():
            self.hang_up()
