# SPDX-License-Identifier: Apache-2.0
"""Exceptions and values of a stage's code become texts that anything can carry."""

from __future__ import annotations

import builtins
import sys

import pytest

from worker_pipeline.error_text import (
    MAX_ERROR,
    MAX_LOG,
    describe_error,
    plain_text,
    traceback_text,
)


class RaisingTextError(Exception):
    def __str__(self):
        raise KeyboardInterrupt

    __repr__ = __str__


class NoTextError(Exception):
    def __str__(self):
        return 5  # type: ignore[return-value]


class HostileError(Exception):
    @property
    def __notes__(self):
        raise SystemExit

    @property
    def __cause__(self):
        raise SystemExit


def is_sendable(text: str) -> bool:
    """Return whether text has no surrogates and no zero byte."""
    return '\0' not in text.encode().decode()


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (ValueError('no'), 'ValueError: no'),
        (SystemExit('no camera'), 'SystemExit: no camera'),
        (SystemExit(), 'SystemExit'),
        (KeyboardInterrupt(), 'KeyboardInterrupt'),
        (StopIteration(), 'StopIteration'),
        (KeyError('x'), "KeyError: 'x'"),
        (OSError(2, 'No such file'), 'FileNotFoundError: [Errno 2] No such file'),
        (ValueError('two\n  lines\t\x07'), 'ValueError: two lines \\x07'),
        (ValueError('a\0b \udcff'), 'ValueError: a\\x00b \\udcff'),
        (RaisingTextError(), 'RaisingTextError: no text'),
        (NoTextError(), 'NoTextError: no text'),
        (HostileError('words'), 'HostileError: words'),
    ],
)
def test_an_exception_is_described_in_one_line(error, expected):
    """By its type and its text, if it has one."""
    assert describe_error(error) == expected
    assert is_sendable(traceback_text(error))


@pytest.mark.skipif(not hasattr(builtins, 'BaseExceptionGroup'), reason='Python 3.10')
def test_the_exceptions_of_a_group_are_described():
    """The first of them, also in nested groups; the length stays bounded."""
    group = getattr(builtins, 'BaseExceptionGroup')  # noqa: B009 - unknown to Python 3.10
    inner = group('inner', [KeyboardInterrupt('stop')])
    assert describe_error(group('outer', [ValueError('no'), inner])) == (
        'BaseExceptionGroup: outer (2 sub-exceptions): ValueError: no; '
        'BaseExceptionGroup: inner (1 sub-exception): KeyboardInterrupt: stop'
    )
    many = group('many', [ValueError(number) for number in range(100)])
    assert describe_error(many).endswith('ValueError: 2; ...')
    deep = ValueError('x' * 10_000)
    for _ in range(200):
        deep = group('y' * 10_000, [deep, ValueError('x' * 10_000)])
    assert len(describe_error(deep)) < 2 * MAX_ERROR + 100


@pytest.mark.parametrize(
    'length', [10, MAX_ERROR, MAX_ERROR + 1, pytest.param(10**8, marks=pytest.mark.slow)]
)
def test_long_texts_lose_their_middle(length: int):
    """Beginning and end are kept, and the length is stated."""
    text = 'begin' + 'x' * (length - 8) + 'end'
    described = describe_error(ValueError(text))
    assert described.startswith('ValueError: begin')
    assert described.endswith('end')
    assert len(described) < MAX_ERROR + 100
    assert len(plain_text(text)) < MAX_ERROR + 100
    assert len(traceback_text(ValueError(text))) < MAX_LOG + 100


def test_a_traceback_has_its_causes_and_its_place():
    """As the interpreter prints it."""
    try:
        try:
            raise KeyError('first')
        except KeyError as error:
            raise SystemExit('second') from error
    except SystemExit as error:
        text = traceback_text(error)
    assert "KeyError: 'first'" in text
    assert 'test_error_text.py' in text
    assert text.endswith('SystemExit: second\n')


def test_a_traceback_that_cannot_be_formatted_still_has_its_place():
    """Attributes of the exception raise."""
    try:
        raise HostileError('words')
    except HostileError as error:
        text = traceback_text(error)
    assert 'test_error_text.py' in text
    assert 'HostileError: words' in text


@pytest.mark.slow
def test_a_deep_recursion_is_shown():
    """Its traceback is as long as the recursion is deep."""

    def fall(number: int) -> int:
        return fall(number + 1) + 1

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        with pytest.raises(RecursionError) as failed:
            fall(0)
    finally:
        sys.setrecursionlimit(before)
    assert describe_error(failed.value).startswith('RecursionError: maximum recursion depth')
    assert len(traceback_text(failed.value)) < MAX_LOG + 100


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('words', 'words'),
        (ValueError('no'), 'no'),
        (None, 'None'),
        ('\ud800\0', '\\ud800\\x00'),
        (RaisingTextError(), '<RaisingTextError whose text raises KeyboardInterrupt>'),
    ],
)
def test_any_value_has_a_plain_text(value, expected):
    """Which is encodable, and a plain ``str``."""
    assert plain_text(value) == expected
    assert type(plain_text(value)) is str


def opaque(name: str) -> BaseException:
    """Return an exception of which reading an attribute raises."""

    def refuse(*_: object) -> None:
        raise ValueError(f'no {name}')

    body = {name: refuse if name == '__getattribute__' else property(refuse)}
    return type('OpaqueError', (Exception,), body)('words')


@pytest.mark.parametrize(
    'name',
    ['__getattribute__', '__traceback__', '__class__', '__cause__', '__suppress_context__', 'args'],
)
def test_an_exception_that_shows_nothing_of_itself_is_described(name: str):
    """It was raised by a user's code; what describes it must not fail in its stead."""
    try:
        raise opaque(name)
    except Exception as caught:
        error = caught
    assert describe_error(error).startswith('OpaqueError')
    text = traceback_text(error)
    assert 'test_error_text.py' in text
    assert 'OpaqueError' in text
