# SPDX-License-Identifier: Apache-2.0
"""Splitting output into lines of bounded length, and making them printable."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The longest line that is shown in full, bytes.
MAX_LINE = 8192
# All control characters but the tabulator and the escape character, which begins a colour.
_CONTROL = re.compile('[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]')
_BLANK = b' \t\r\n'
_STEP = 256  # bytes of which blank ones are skipped at once


class PartialLine:
    """A line of a stream of bytes that has not ended yet.

    A carriage return starts the line again, as on a terminal, so of a progress bar only its last
    state remains. A line longer than ``max_bytes`` is cut, and says so.
    """

    def __init__(self, max_bytes: int = MAX_LINE) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._cut = 0  # bytes of this line that did not fit
        self._returned = False  # the next byte overwrites the line

    @property
    def is_begun(self) -> bool:
        """Return whether there is anything of the line."""
        return bool(self._line)

    def extend(self, part: bytes) -> None:
        """Append to the line. ``part``: without line ends."""
        first, has_return, others = part.partition(b'\r')
        self._append(first)
        if has_return:
            self._returned = True
            self._append(last_state(others))
            if others.endswith(b'\r'):
                self._returned = True

    def end(self, part: bytes) -> bytes:
        """Return the line that ends with this part, and begin another."""
        if not self._line and b'\r' not in part and len(part) <= self._max_bytes:
            return part
        self.extend(part)
        return self.take()

    def take(self) -> bytes:
        """Return the line, and begin another."""
        line = bytes(self._line)
        if self._cut:
            line += b' ... (cut: %d more bytes)' % self._cut
        self._clear()
        return line

    def _append(self, text: bytes) -> None:
        if not text:
            return
        if self._returned:
            self._clear()
        room = self._max_bytes - len(self._line)
        self._line += text[:room]
        self._cut += max(0, len(text) - room)

    def _clear(self) -> None:
        self._line.clear()
        self._cut = 0
        self._returned = False


def parts_from_last(data: bytes) -> Iterator[bytes]:
    """Yield the lines that are not blank, from the last to the first.

    They have no line ends, and are not yet split at carriage returns. What is not asked for costs
    nothing. ``data``: whole lines.
    """
    end = len(data)
    while end:
        start = max(0, end - _STEP)
        end = start + len(data[start:end].rstrip(_BLANK))
        if end > start:
            start = data.rfind(b'\n', 0, end) + 1
            yield data[start : data.find(b'\n', end)]
            end = start


def last_state(line: bytes) -> bytes:
    """Return what remains of a line whose carriage returns each start it again."""
    return line.rstrip(b'\r').rpartition(b'\r')[2]


def printable(line: bytes) -> str:
    r"""Return a line as text; bytes that are not UTF-8, and control characters, as ``\xff``."""
    text = line.decode('utf-8', 'backslashreplace')
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f'\\x{ord(found[0]):02x}', text)
