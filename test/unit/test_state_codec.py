# SPDX-License-Identifier: Apache-2.0
"""What a stage saves is restored as it was, or refused."""

from __future__ import annotations

import collections
import datetime
import enum
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.state_codec import (
    BYTES,
    JSON,
    MSGPACK,
    StateError,
    decode_state,
    encode_state,
    is_available,
)

needs_msgpack = pytest.mark.skipif(not is_available(MSGPACK), reason='msgpack is not installed')
STRUCTURED = [JSON, pytest.param(MSGPACK, marks=needs_msgpack)]


class Colour(str, enum.Enum):
    RED = 'red'


def there_and_back(codec: str, state):
    return decode_state(codec, encode_state(codec, state))


@pytest.mark.parametrize(
    'state', [b'', b'\0\xff', bytearray(b'ab'), memoryview(b'abcd')[::2], memoryview(b'ab')]
)
def test_bytes_are_copied(state):
    """From anything of that kind."""
    saved = encode_state(BYTES, state)
    assert type(saved) is bytes
    assert saved == bytes(state)
    assert decode_state(BYTES, saved) == saved


@pytest.mark.parametrize(
    ('state', 'found'),
    [
        (41, 'a value of type int'),
        (True, 'a value of type bool'),
        ([1, 2], 'a value of type list'),
        ({3: 1}, 'a value of type dict'),
        ({'a': 1}, 'a value of type dict'),
        ('text', 'a value of type str'),
        (None, 'None'),
        (np.zeros(3), 'a value of type ndarray'),
        (2.5, 'a value of type float'),
    ],
)
def test_what_is_not_bytes_is_named(state, found: str):
    """bytes(41) would be 41 zero bytes."""
    with pytest.raises(StateError, match=r"allowed: bytes, or with state_codec = 'json'") as raised:
        encode_state(BYTES, state)
    assert str(raised.value).startswith(f'save_state() returned {found}; allowed: ')


@pytest.mark.parametrize('codec', STRUCTURED)
@pytest.mark.parametrize(
    'state',
    [
        {},
        [],
        '',
        0,
        False,
        {'a': [1, 2.5, None, True, 'grün \udcff'.encode(errors='replace').decode()]},
        {'deep': {'er': [{'x': [[]]}]}},
        Colour.RED,
        2**60,
        np.float64(2.5),
    ],
)
def test_a_structure_is_restored_as_it_was(codec: str, state):
    """Numbers of other classes come back as plain ones."""
    assert there_and_back(codec, state) == state


@pytest.mark.parametrize('codec', STRUCTURED)
def test_what_is_not_equal_may_be_equivalent(codec: str):
    """A tuple comes back as a list, and no number differs from itself."""
    state = {'a': (1, [2, (3,)]), 'b': [float('nan'), float('inf')]}
    restored = there_and_back(codec, state)
    assert restored['a'] == [1, [2, [3]]]
    assert math.isnan(restored['b'][0])
    assert restored['b'][1] == float('inf')


def circular() -> list[object]:
    state: list[object] = []
    state.append(state)
    return state


def deep() -> list[object]:
    state: list[object] = []
    for _ in range(10 * sys.getrecursionlimit()):
        state = [state]
    return state


@pytest.mark.parametrize('codec', STRUCTURED)
@pytest.mark.parametrize(
    ('state', 'words'),
    [
        (None, 'returned None; allowed: a value; is a return missing?'),
        ({1, 2}, 'what {codec} cannot hold: TypeError'),
        ([object()], 'what {codec} cannot hold: TypeError'),
        ({'a': np.zeros(3)}, 'what {codec} cannot hold: TypeError'),
        ({'a': np.int64(1)}, 'what {codec} cannot hold: TypeError'),
        (datetime.datetime(2026, 1, 1), 'what {codec} cannot hold: TypeError'),
        (1j, 'what {codec} cannot hold: TypeError'),
        (circular, 'what {codec} cannot hold: ValueError'),
        (deep, 'what {codec} cannot hold: '),
    ],
)
def test_what_a_codec_cannot_hold_is_refused(codec: str, state, words: str):
    """With the reason, and without a traceback of its own."""
    with pytest.raises(StateError) as raised:
        encode_state(codec, state() if state in (circular, deep) else state)
    assert words.format(codec=codec) in str(raised.value)


@pytest.mark.parametrize(
    ('state', 'where'),
    [
        ({3: 1}, 'the key 3 in state, which json turns into a string'),
        ({'a': [{None: 1}]}, "the key None in state['a'][0], which json"),
        ({1: 2, '1': 3}, 'the key 1 in state, which json'),
    ],
)
def test_json_has_strings_as_keys(state, where: str):
    """The json module turns other keys into strings in silence."""
    with pytest.raises(StateError) as raised:
        encode_state(JSON, state)
    assert where in str(raised.value)


def test_json_has_no_bytes():
    """Msgpack has."""
    with pytest.raises(StateError, match='what json cannot hold: TypeError'):
        encode_state(JSON, {'a': b'bytes'})


@needs_msgpack
def test_msgpack_has_bytes_and_any_keys():
    """Also numbers."""
    state = {3: b'bytes', 'a': {None: bytearray(b'x'), 2.5: [b'']}}
    assert there_and_back(MSGPACK, state) == state
    with pytest.raises(StateError, match='cannot hold: OverflowError'):
        encode_state(MSGPACK, 2**64)


@pytest.mark.parametrize('codec', STRUCTURED)
@pytest.mark.parametrize('data', [b'', b'\xc1', b'[1', b'{"a": 1'])
def test_bytes_that_no_codec_has_made_are_refused(codec: str, data: bytes):
    """As after a change of the class."""
    with pytest.raises(StateError, match=f'the saved state is no {codec}: '):
        decode_state(codec, data)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text('ab\udcff'),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner)
        | st.dictionaries(st.integers() | st.booleans() | st.none(), inner)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize('codec', STRUCTURED)
@given(VALUES)
def test_a_state_is_equivalent_or_refused(codec: str, state):
    """What is saved once is saved again as the same."""
    try:
        saved = encode_state(codec, state)
    except StateError:
        return
    assert encode_state(codec, decode_state(codec, saved)) == saved


def test_a_package_that_is_missing_is_known(monkeypatch):
    """Before anything is started."""
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    assert [is_available(codec) for codec in (BYTES, JSON, MSGPACK)] == [True, True, False]


Place = collections.namedtuple('Place', 'east north')


@pytest.mark.parametrize('codec', ['json', 'msgpack'])
@pytest.mark.parametrize(
    ('state', 'found'),
    [
        (collections.defaultdict(int), 'a defaultdict in state, which {} would restore as dict'),
        (collections.Counter('aa'), 'a Counter in state, which {} would restore as dict'),
        (collections.OrderedDict(a=1), 'a OrderedDict in state, which {} would restore as dict'),
        ({'seen': collections.defaultdict(int)}, "a defaultdict in state['seen'], which"),
        ([1, Place(1.0, 2.0)], 'a Place in state[1], which {} would restore as list; allowed: a l'),
    ],
)
def test_a_container_that_would_be_restored_as_a_plainer_one_is_refused(codec, state, found):
    """It is equal to that, and fails at the first item that needs what it could do."""
    if codec == 'msgpack':
        pytest.importorskip('msgpack')
    with pytest.raises(StateError, match=re.escape(found.format(codec))):
        encode_state(codec, state)


def test_a_bytearray_would_be_restored_as_bytes():
    pytest.importorskip('msgpack')
    with pytest.raises(StateError, match='would restore as bytes; allowed: a bytes, from'):
        encode_state('msgpack', {'a': bytearray(b'1')})
