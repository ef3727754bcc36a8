# SPDX-License-Identifier: Apache-2.0
"""Decodes the bytes that a terminal sends into keys."""

from __future__ import annotations

import codecs
import re

# An escape sequence: ESC [ or ESC O, numbers, one letter or a tilde.
SEQUENCE = re.compile(r'\x1b(?:\[([0-9;:<=>?]*)[ -/]*([@-~])|O([0-9;]*)([@-~]))')
# The beginning of one.
BEGINNING = re.compile(r'\x1b(?:\[[0-9;:<=>?]*[ -/]*|O[0-9;]*)?')
BY_LETTER = {'A': 'up', 'B': 'down', 'H': 'home', 'F': 'end'}
BY_NUMBER = {'1': 'home', '4': 'end', '5': 'page up', '6': 'page down', '7': 'home', '8': 'end'}
BY_CHARACTER = {'\r': 'enter', '\n': 'enter', '\x03': 'interrupt'}


class KeyDecoder:
    """An incremental decoder from bytes to keys.

    Printable characters are keys by themselves; ``up``, ``down``, ``home``, ``end``, ``page up``,
    ``page down``, ``enter``, ``escape`` and ``interrupt`` (Ctrl-C, if it is not a signal) have
    names. All others are ignored.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder('utf-8')('ignore').decode
        self._waiting = ''

    @property
    def is_waiting(self) -> bool:
        """Return whether an escape sequence is incomplete; it may also be the escape key."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> list[str]:
        """Decode bytes, and return the keys that are complete."""
        self._waiting += self._decode(data)
        keys = []
        while self._waiting:
            key, length = _first(self._waiting)
            if not length:
                break
            self._waiting = self._waiting[length:]
            keys += key
        return keys

    def flush(self) -> list[str]:
        """Return the escape key if an escape was the last byte; drop an incomplete sequence."""
        rest, self._waiting = self._waiting, ''
        return ['escape'] if rest == '\x1b' else []


def _first(text: str) -> tuple[list[str], int]:
    """Return the first key, if any, and its length; 0 if it is incomplete."""
    if text[0] != '\x1b':
        key = BY_CHARACTER.get(text[0], text[0])
        return ([key] if len(key) > 1 or key.isprintable() else []), 1
    sequence = SEQUENCE.match(text)
    if sequence:
        numbers, letter = sequence[1] or '', sequence[2] or sequence[4]
        name = BY_NUMBER.get(numbers.partition(';')[0]) if letter == '~' else BY_LETTER.get(letter)
        return ([name] if name else []), sequence.end()
    if BEGINNING.fullmatch(text):
        return [], 0
    # An escape that begins no sequence, as of Alt and a key, or of two escapes.
    return ['escape'], 1
