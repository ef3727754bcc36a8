"""The keys that were pressed, by what the terminal sends."""

from __future__ import annotations

import codecs
import re

# What terminals send: ESC [ or ESC O, numbers, one letter or a tilde.
SEQUENCE = re.compile(r'\x1b(?:\[([0-9;:<=>?]*)[ -/]*([@-~])|O([0-9;]*)([@-~]))')
# The beginning of one of which the rest is still to come.
BEGINNING = re.compile(r'\x1b(?:\[[0-9;:<=>?]*[ -/]*|O[0-9;]*)?')
BY_LETTER = {'A': 'up', 'B': 'down', 'H': 'home', 'F': 'end'}
BY_NUMBER = {'1': 'home', '4': 'end', '5': 'page up', '6': 'page down', '7': 'home', '8': 'end'}
BY_SIGN = {'\r': 'enter', '\n': 'enter', '\x03': 'interrupt'}


class KeyDecoder:
    """Makes keys of bytes, however these are cut: letters as they are, others by name.

    ``up``, ``down``, ``home``, ``end``, ``page up``, ``page down``, ``enter``, ``escape`` and
    ``interrupt`` (Ctrl-C, where it is no signal). What is none of these is left out.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder('utf-8')('ignore').decode
        self._waiting = ''

    @property
    def is_waiting(self) -> bool:
        """Whether an escape sequence has begun; alone it is the key of that name."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete with this."""
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
        """Nothing has followed for a while: an escape that has begun was the key alone."""
        rest, self._waiting = self._waiting, ''
        return ['escape'] if rest == '\x1b' else []


def _first(text: str) -> tuple[list[str], int]:
    """The first key, or none, and how many signs it takes; 0 where more are to come."""
    if text[0] != '\x1b':
        key = BY_SIGN.get(text[0], text[0])
        return ([key] if len(key) > 1 or key.isprintable() else []), 1
    sequence = SEQUENCE.match(text)
    if sequence:
        numbers, letter = sequence[1] or '', sequence[2] or sequence[4]
        name = BY_NUMBER.get(numbers.partition(';')[0]) if letter == '~' else BY_LETTER.get(letter)
        return ([name] if name else []), sequence.end()
    if BEGINNING.fullmatch(text):
        return [], 0
    # An escape that begins nothing, as the key with Alt or two escapes.
    return ['escape'], 1
