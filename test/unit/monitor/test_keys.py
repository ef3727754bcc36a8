# SPDX-License-Identifier: Apache-2.0
"""The decoding of bytes into keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.monitor.keys import KeyDecoder

SENT = {
    b'p': ['p'],
    b'jk': ['j', 'k'],
    b'\r': ['enter'],
    b'\x03': ['interrupt'],
    b'\x00\x01\x7f': [],
    'é猫'.encode(): ['é', '猫'],
    b'\xff\xfe': [],
    b'\x1b[A': ['up'],
    b'\x1b[B': ['down'],
    b'\x1bOA': ['up'],
    b'\x1bOB': ['down'],
    b'\x1b[1;5A': ['up'],
    b'\x1b[5~': ['page up'],
    b'\x1b[6;2~': ['page down'],
    b'\x1b[H': ['home'],
    b'\x1b[F': ['end'],
    b'\x1b[1~': ['home'],
    b'\x1b[4~': ['end'],
    b'\x1b[C\x1b[D\x1b[3~\x1bOP\x1b[15~\x1b[Z': [],
    b'\x1b[?1;2c': [],
    b'\x1b[<0;10;5M': [],
    b'\x1b\x1b[A': ['escape', 'up'],
    b'\x1bp': ['escape', 'p'],
}


@pytest.mark.parametrize('sent', SENT)
def test_the_bytes_of_a_terminal_are_decoded_into_keys(sent: bytes):
    decoder = KeyDecoder()
    assert decoder.feed(sent) == SENT[sent]
    assert not decoder.is_waiting


@given(st.lists(st.sampled_from(list(SENT)), max_size=5), st.data())
def test_the_result_does_not_depend_on_how_the_bytes_are_split(parts, data):
    """Sequences and characters may come in pieces."""
    sent = b''.join(parts)
    pieces, rest = [], sent
    while rest:
        length = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:length])
        rest = rest[length:]
    whole, cut = KeyDecoder(), KeyDecoder()
    assert [key for piece in pieces for key in cut.feed(piece)] == whole.feed(sent)
    assert cut.is_waiting == whole.is_waiting


def test_an_escape_followed_by_nothing_is_the_escape_key():
    decoder = KeyDecoder()
    assert decoder.feed(b'\x1b') == []
    assert decoder.is_waiting
    assert decoder.flush() == ['escape']
    assert not decoder.is_waiting
    assert decoder.flush() == []


def test_an_incomplete_sequence_is_dropped():
    """Keys that follow later are decoded by themselves."""
    decoder = KeyDecoder()
    assert decoder.feed(b'\x1b[1;') == []
    assert decoder.flush() == []
    assert decoder.feed(b'q') == ['q']


@given(st.binary(max_size=50))
def test_any_bytes_are_accepted(sent: bytes):
    """A key is a character or has a name."""
    decoder = KeyDecoder()
    keys = decoder.feed(sent) + decoder.flush()
    assert all(key.isprintable() and key for key in keys)
    assert not decoder.is_waiting
