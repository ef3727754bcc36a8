# SPDX-License-Identifier: Apache-2.0
"""The terminal: keys are read one by one, and a view fills the screen."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import termios
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

LOCAL_FLAGS, CONTROL_CHARACTERS = 3, 6  # indices in the result of tcgetattr


@contextlib.contextmanager
def cbreak_mode(terminal: int) -> Iterator[None]:
    r"""Put a terminal into cbreak mode without echo, and restore it afterwards.

    Ctrl-C stays a signal. Ctrl-Z and Ctrl-\ do not, as they would leave the terminal in this mode.
    """
    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
    characters = changed[CONTROL_CHARACTERS]
    none = bytes([os.fpathconf(terminal, 'PC_VDISABLE')])
    characters[termios.VSUSP] = characters[termios.VQUIT] = none
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, changed)
        yield
    finally:
        with contextlib.suppress(termios.error):  # it was closed
            termios.tcsetattr(terminal, termios.TCSANOW, before)


@contextlib.contextmanager
def stderr_held_back() -> Iterator[None]:
    """Hold back the text written to stderr, also by native code, and write it at the end.

    It would appear in the middle of the view. Does nothing if stderr is a file.
    """
    if not os.isatty(2):
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept, os.fdopen(os.dup(2), 'wb') as terminal:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), 2)
            kept.seek(0)
            with contextlib.suppress(OSError):  # the terminal was closed
                shutil.copyfileobj(kept, terminal)
                terminal.flush()


class Painter:
    """Draws on the terminal's alternate screen, and restores the former screen at the end.

    Only lines that have changed are written, so nothing flickers and slow links suffice.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: list[Text] = []

    def __enter__(self) -> Painter:
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._console.show_cursor(True)
        self._console.set_alt_screen(False)

    def invalidate(self) -> None:
        """Have the next ``paint`` write every line, as is needed after a resize."""
        self._shown = []

    def paint(self, lines: Sequence[Text], width: int) -> None:
        """Draw lines, none of them wider than ``width``."""
        with self._console as console:  # writes everything at once
            for index, line in enumerate(lines):
                if index < len(self._shown) and self._shown[index] == line:
                    continue
                console.control(Control.move_to(0, index))
                console.print(line, end='', no_wrap=True, overflow='ignore', crop=False)
                if line.cell_len < width:
                    console.control(Control((ControlType.ERASE_IN_LINE, 0)))
        self._shown = list(lines)
