# SPDX-License-Identifier: Apache-2.0
"""Bytes become lines of bounded length, however they arrive."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.output.lines import PartialLine, last_state, parts_from_last, printable


def split(*pieces: bytes, max_bytes: int = 20) -> list[bytes]:
    line = PartialLine(max_bytes)
    lines = []
    for piece in pieces:
        *ended, begun = piece.split(b'\n')
        lines += [line.end(part) for part in ended]
        line.extend(begun)
    rest = line.take()
    return [*lines, rest] if rest else lines


@pytest.mark.parametrize(
    ('pieces', 'lines'),
    [
        ((b'one\ntwo\n',), [b'one', b'two']),
        ((b'o', b'ne\n\nt', b'wo'), [b'one', b'', b'two']),
        ((b'windows\r\nline\r', b'\n'), [b'windows', b'line']),
        ((b'\r10 %\r20 %\r', b'30 %\r100 %\ndone\n'), [b'100 %', b'done']),
        ((b'10 %\r', b'\r', b'20 %'), [b'20 %']),
        ((b'10 %\r',), [b'10 %']),
        ((b'\r10 %\r', b'9 %\n'), [b'9 %']),
        ((b'\r', b'one\n', b'tw', b'o\n'), [b'one', b'two']),
        ((b'x' * 20 + b'\n',), [b'x' * 20]),
        ((b'x' * 23, b'yy\n', b'z\n'), [b'x' * 20 + b' ... (cut: 5 more bytes)', b'z']),
        ((b'x' * 23, b'\rshort\n'), [b'short']),
    ],
)
def test_lines(pieces, lines):
    assert split(*pieces) == lines


@given(st.binary(), st.data())
def test_the_lines_do_not_depend_on_how_the_bytes_arrive(data, draw):
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)))))
    edges = [0, *cuts, len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert split(*pieces) == split(data)


@given(st.lists(st.sampled_from([b'abc', b'\r', b'abc\r', b'\rab\rc', b'\xff', b'x' * 30])))
def test_a_partial_line_is_bounded(pieces):
    line = PartialLine(20)
    for piece in pieces:
        line.extend(piece)
    assert len(line.take()) < 60
    assert not line.is_begun


@given(st.lists(st.sampled_from([b'', b'abc', b' ', b'\t \r', b'a ', b'x' * 700, b' ' * 700])))
def test_lines_from_the_last_one_without_blank_ones(lines):
    data = b''.join(line + b'\n' for line in lines)
    assert [*parts_from_last(data)] == [line for line in reversed(lines) if line.strip()]


@given(st.lists(st.sampled_from([b'', b'abc', b'x' * 30, b'\r', b' '])))
def test_the_last_state_of_a_line_is_what_a_partial_line_keeps(pieces):
    line = PartialLine()
    line.extend(b''.join(pieces))
    assert last_state(b''.join(pieces)) == line.take()


@pytest.mark.parametrize(
    ('line', 'text'),
    [
        ('déjà\tvu'.encode(), 'déjà\tvu'),
        (b'\x1b[31mred\x1b[0m', '\x1b[31mred\x1b[0m'),
        (b'a\x00b\x07\x7f', r'a\x00b\x07\x7f'),
        (b'\xff\xfe', r'\xff\xfe'),
        ('é'.encode()[:1], r'\xc3'),
    ],
)
def test_printable(line, text):
    assert printable(line) == text


@given(st.binary())
def test_every_line_can_be_printed(line):
    text = printable(line)
    text.encode()
    assert '\n' not in text
    assert '\0' not in text
