"""The terminal, while keys are read from it one by one and a view fills its screen."""

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

LOCAL_FLAGS, CONTROL_CHARACTERS = 3, 6  # where they stand in what tcgetattr gives


@contextlib.contextmanager
def keys_one_by_one(terminal: int) -> Iterator[None]:
    r"""Have a terminal give each key at once and show none. It is restored, whatever happens.

    Ctrl-C stays a signal. Ctrl-Z and Ctrl-\ are none meanwhile: they would leave it as it is.
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
        with contextlib.suppress(termios.error):  # it has gone
            termios.tcsetattr(terminal, termios.TCSANOW, before)


@contextlib.contextmanager
def errors_kept_back() -> Iterator[None]:
    """Keep what is written to stderr, by native code too, and write it at the end.

    On the screen it would stand in the middle of the view. Does nothing where stderr is a file.
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
            with contextlib.suppress(OSError):  # it has gone
                shutil.copyfileobj(kept, terminal)
                terminal.flush()


class Painter:
    """Fills the terminal's screen, and gives back what was there before.

    Writes only the lines that have changed: nothing flickers, and little goes by a slow link.
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

    def forget(self) -> None:
        """Whatever the screen shows now, as after another size: it is to be painted anew."""
        self._shown = []

    def paint(self, lines: Sequence[Text], width: int) -> None:
        """Show these lines, none of them wider than ``width``."""
        with self._console as console:  # all of it is written at once
            for index, line in enumerate(lines):
                if index < len(self._shown) and self._shown[index] == line:
                    continue
                console.control(Control.move_to(0, index))
                console.print(line, end='', no_wrap=True, overflow='ignore', crop=False)
                if line.cell_len < width:
                    console.control(Control((ControlType.ERASE_IN_LINE, 0)))
        self._shown = list(lines)
