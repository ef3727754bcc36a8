# SPDX-License-Identifier: Apache-2.0
"""Random configurations: valid ones, mutated ones, and nonsense.

They are nested, as in a parameter file; ``support.configuring.flat`` flattens them as ROS does. The
classes are in ``support.stages``, so valid configurations can be run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

from support.configuring import stage
from worker_pipeline.config import PIPELINE_KEYS, STAGE_KEYS, STAGE_TABLES

NAMES = ('camera', 'detector', 'merge')
# Invalid names, and names that are only unusual.
ODD_NAMES = (
    *('', ' ', '_', '__', '_a', '1st', 'a.b', '.', '..', 'a..b', '.a', 'a.', '/x', 'x/y', '~', '*'),
    *('**', '/**', 'a b', 'a\nb', 'a\tb', 'a:b', "it's", '"', '{', '#', '%s', '\u202e', 'é', '猫'),
    *('manager', 'stages', 'heartbeats', 'use_sim_time', 'qos_overrides', 'ros__parameters'),
    *('null', 'true', '5', '1e3', 'Camera', 'CAMERA', 'worker_0', 'a' * 100, 'a' * 300),
)
WORDS = (
    *NAMES,
    *('block', 'drop_oldest', 'yes', 'support.stages:Echo', 'support.stages:None', 'm:C', 'a.b:C'),
    *('__main__:X', 'worker_pipeline.__main__:X', 'worker_pipeline:Stage', 'os:path', 'm:'),
    *('/', '/topic', '/a/b', '/a//b', '/a/', '/1a', '~/a', 'a/b', '/rosout', '/' + 'a' * 300),
)
NUMBERS = (0, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 10**400)
FLOATS = (0.0, -0.0, 1e-9, 5e-324, 0.001, 604_800.0, 604_801.0, 1e18, 1e308, -1.0)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    # No more workers than a machine bears, where it is their number.
    st.integers(-3, 4),
    st.sampled_from(NUMBERS),
    st.sampled_from(FLOATS),
    st.floats(),
    st.sampled_from(WORDS),
    st.sampled_from(ODD_NAMES),
    st.text(max_size=8),
)
LISTS = st.one_of(
    st.lists(SCALARS, max_size=4),
    st.lists(st.sampled_from(NAMES), max_size=4),
    st.lists(st.integers(-3, 4), max_size=4),
    st.lists(st.floats(), max_size=4),
    st.lists(st.booleans(), max_size=4),
    st.lists(st.lists(SCALARS, max_size=2), max_size=2),
    st.builds(lambda word: [word] * 300, st.sampled_from(WORDS)),
    st.builds(lambda count: [f's{index}' for index in range(count)], st.integers(101, 2000)),
)
VALUES = st.one_of(SCALARS, LISTS, st.binary(max_size=4))
KEYS = st.one_of(
    st.sampled_from([*NAMES, *PIPELINE_KEYS, *STAGE_KEYS, *STAGE_TABLES, 'stages']),
    st.sampled_from(ODD_NAMES),
    st.text(max_size=8),
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8),
    max_size=5,
)
# For every key some values that it may have; those of times leave room for a loaded machine.
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    'heartbeat_period': st.sampled_from([0.05, 0.1, 0.5]),
    'heartbeat_timeout': st.sampled_from([2.0, 5]),
    'restart_backoff_max': st.sampled_from([0, 0.5, 604_800.0]),
    'restart_limit': st.sampled_from([0, 5, 2**62]),
    'restart_window': st.sampled_from([0.1, 30]),
    'spares': st.integers(0, 2),
    'orphan_timeout': st.sampled_from([0.0, 1.5, 604_800]),
    'shutdown_timeout': st.sampled_from([1.0, 10]),
    'journal': st.booleans(),
    'exit_when_done': st.booleans(),
    'period': st.sampled_from([0.0, 0.001, 0.05]),
    'workers': st.integers(1, 2),
    'standby': st.just(0),
    'concurrency': st.sampled_from([1, 2, 1000]),
    'queue_size': st.sampled_from([1, 10, 1_000_000]),
    'overflow': st.sampled_from(['drop_oldest', 'block']),
    'ordered': st.booleans(),
    'accept_external': st.booleans(),
    'stamps': st.sampled_from(['header', 'arrival']),
    'stamp_offset': st.sampled_from([0, -0.25, 4e9]),
    'task_timeout': st.sampled_from([5, 604_800.0]),
    'startup_timeout': st.sampled_from([20.0, 604_800]),
    'max_attempts': st.sampled_from([1, 2, 2**62]),
    'threads': st.sampled_from([0, 1, 1024]),
    'memory_limit': st.sampled_from([0, 0.0, 1e6]),
    'max_items_per_worker': st.sampled_from([0, 1, 1_000_000_000]),
    'max_worker_age': st.sampled_from([0, 0.0, 604_800.0]),
}


@st.composite
def valid_trees(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid configuration, if not always a wise one: a camera, and one or two stages."""
    detector = stage('Work', input=draw(st.sampled_from(['camera', ['camera']])))
    tree: dict[str, Any] = {
        'stages': ['camera', 'detector'],
        'camera': stage('Counting', params={'items': draw(st.integers(0, 3))}),
        'detector': detector,
    }
    if draw(st.booleans()):
        detector['params'] = {'seconds': 0, 'mark': draw(st.sampled_from(['', 'é', 'a b']))}
    if draw(st.booleans()):
        tree['stages'] = draw(st.permutations(NAMES))
        tree['merge'] = stage(
            'WithContext',
            input=draw(st.sampled_from(['detector', ['camera', 'detector'], '/a', ['/a', '/b']])),
            context={'reference': draw(st.sampled_from(['camera', 'detector', '/reference']))},
        )
    _settle(draw, tree, [each for each in PIPELINE_KEYS if each in PLAUSIBLE])
    own = {'plugin', 'input', 'period', 'overflow'}
    for name in tree['stages']:
        _settle(draw, tree[name], [each for each in STAGE_KEYS if each not in own])
    if draw(st.booleans()):
        tree['camera']['period'] = draw(PLAUSIBLE['period'])
    if draw(st.booleans()):
        detector['overflow'] = draw(PLAUSIBLE['overflow'])
    return tree


def _settle(draw: st.DrawFn, section: dict[str, Any], keys: list[str]) -> None:
    for key in draw(st.lists(st.sampled_from(keys), max_size=3, unique=True)):
        section[key] = draw(PLAUSIBLE[key])


@st.composite
def mutated_trees(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid configuration with keys dropped, doubled, renamed or given other values."""
    tree = copy.deepcopy(draw(valid_trees()))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            break
        table, key = draw(st.sampled_from(places))
        way = draw(st.sampled_from(['drop', 'double', 'rename', 'retype', 'nest', 'swap']))
        if way in ('double', 'rename'):
            table[draw(_misspelt(key))] = copy.deepcopy(table[key])
        if way in ('drop', 'rename'):
            table.pop(key)
        elif way == 'retype':
            table[key] = draw(VALUES)
        elif way == 'nest':
            table[key] = {draw(KEYS): table[key]}
        elif way == 'swap':
            # A value that is valid for one key is invalid for another.
            other_table, other_key = draw(st.sampled_from(places))
            table[key] = copy.deepcopy(other_table[other_key])
    return tree


def _places(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for key, value in tree.items():
        yield tree, key
        if isinstance(value, dict):
            yield from _places(value)


def _misspelt(key: str) -> st.SearchStrategy[str]:
    half = len(key) // 2
    return st.sampled_from([key[:-1], key + 's', key[:half] + key[half + 1 :], key.upper()]) | KEYS


# Mostly values that reach the later checks.
trees = st.one_of(mutated_trees(), mutated_trees(), mutated_trees(), valid_trees(), TREES)


def as_file(tree: Any) -> str:
    """Return the text of a parameter file."""
    return yaml.safe_dump({'/**/manager': {'ros__parameters': tree}}, sort_keys=False)


@st.composite
def broken_files(draw: st.DrawFn) -> str:
    """Return the text of a valid parameter file with text inserted or removed anywhere."""
    text = as_file(draw(valid_trees()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=3))
        text = text[:place] + piece + text[place + draw(st.integers(0, 3)) :]
    return text


PIECES = (
    *(
        '\n',
        ' ',
        '\t',
        ':',
        ': ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        '#',
        '"',
        "'",
        '&a ',
        '*a',
        '!!binary ',
    ),
    *('---\n', '...\n', '|', '>', '~', '%', '\0', '\ufeff', '/**', '/', '.', 'ros__parameters:\n'),
)
files = st.one_of(
    broken_files(),
    st.text(max_size=20),
    st.sampled_from(['', '{{{', '- a', '/**/manager: 5', '/**/manager:\n', '"/a b": {}', 'a: *b']),
)
OPTIONS = (
    *(['-r', each] for each in ('quarantine:=/q', 'camera/output:=/elsewhere', '__ns:=/space')),
    *(['-r', each] for each in ('__ns:=/', '__ns:=space', f'__ns:=/{"a" * 150}')),
    *(['-r', each] for each in (f'__ns:=/{"a" * 240}', '__node:=other', '__node:=1', 'é:=ü')),
    *(['-r', each] for each in ('a', ':=', 'heartbeats:=/diagnostics', 'manager:a:=b', '')),
    *(['-p', each] for each in ('spares:=0', 'spares:=x', 'spares', 'stages:=[', 'stages:=[]')),
    *(['-p', each] for each in ('camera.input:=[]', 'x:=1', 'use_sim_time:=maybe', '"":=1')),
    *(['--log-level', each] for each in ('info', 'debug', 'manager:=info', 'nonsense', ':=')),
    *(['--params-file', each] for each in ('/nonexistent', '/', '')),
    *(['-e', '/enclave'], ['-e', ' '], ['--disable-rosout-logs'], ['--enable-external-lib-logs']),
    *(
        ['--log-config-file', '/nonexistent'],
        ['--frobnicate'],
        [''],
        ['--', 'stray'],
        ['-r'],
        ['-p'],
    ),
)
options = st.lists(st.sampled_from(OPTIONS), min_size=1, max_size=3).map(
    lambda chosen: [word for option in chosen for word in option]
)
