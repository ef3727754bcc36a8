# SPDX-License-Identifier: Apache-2.0
"""The inspector describes stage classes and reports their errors."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

import pytest
from std_msgs.msg import Header

from worker_pipeline import AbsoluteTopic, Latched, Stage
from worker_pipeline.config import PluginDescription, load
from worker_pipeline.plugins.inspector import describe


class Plain(Stage):
    input_type = Header
    output_type = Header

    def process(self, item):
        return item


class Remembers(Plain):
    def save_state(self):
        return b'state'

    def restore_state(self, state):
        pass


class RemembersToo(Remembers):
    pass


class OnlySaves(Plain):
    def save_state(self):
        return b'state'


class OnlyRestores(Plain):
    def restore_state(self, state):
        pass


def description_of(stage: type[Stage]) -> PluginDescription:
    plugin = f'{stage.__module__}:{stage.__name__}'
    return describe(load({'stages': ['one'], 'one.plugin': plugin}).stages['one'])


@pytest.mark.parametrize(
    ('stage', 'remembers'), [(Plain, False), (Remembers, True), (RemembersToo, True)]
)
def test_a_class_with_save_state_remembers(stage: type[Stage], remembers: bool):
    """Its own, or an inherited one."""
    header = 'std_msgs/msg/Header'
    assert description_of(stage) == PluginDescription(
        header, header, remembers=remembers, problems=[]
    )


@pytest.mark.parametrize(
    ('stage', 'expected'),
    [
        (OnlySaves, ['plugin: found save_state without restore_state; allowed: both or neither']),
        (
            OnlyRestores,
            ['plugin: found restore_state without save_state; allowed: both or neither'],
        ),
    ],
)
def test_saving_without_restoring_is_rejected(stage: type[Stage], expected: Sequence[str]):
    """And restoring without saving."""
    assert description_of(stage).problems == expected


class RemembersInJson(Remembers):
    state_codec = 'json'
    separate_states = True


class RemembersInPickle(Remembers):
    state_codec = 'pickle'


class RemembersInNothing(Remembers):
    state_codec = None


class NamesACodecOnly(Plain):
    state_codec = 'json'


class RemembersInMsgpack(Remembers):
    state_codec = 'msgpack'


@pytest.mark.parametrize(
    ('stage', 'expected'),
    [
        (RemembersInJson, []),
        (
            RemembersInPickle,
            ["plugin: state_codec: found 'pickle'; allowed: 'bytes', 'json', 'msgpack'"],
        ),
        (
            RemembersInNothing,
            ["plugin: state_codec: found None; allowed: 'bytes', 'json', 'msgpack'"],
        ),
        (
            NamesACodecOnly,
            ["plugin: state_codec: found 'json' without save_state; allowed: with it"],
        ),
        (
            RemembersInMsgpack,
            [
                (
                    "plugin: state_codec: found 'msgpack', a Python package that is not "
                    "installed; allowed: 'json', or to install it"
                )
            ],
        ),
    ],
)
def test_the_codec_of_a_state_is_checked(stage: type[Stage], expected: Sequence[str], monkeypatch):
    """Here without msgpack."""
    monkeypatch.setattr(
        'worker_pipeline.plugins.inspector.is_available', lambda each: each != 'msgpack'
    )
    description = description_of(stage)
    assert description.problems == expected
    assert description.separate_states is (stage is RemembersInJson)


# -- plugins that are bad in other ways ----------------------------------------------------------

MODULES = {
    'raises': ("raise ValueError('no')", 'ValueError: no (', 1),
    'raises_base': ('class Odd(BaseException): pass\nraise Odd', 'Odd (', 2),
    'exits': ("import sys\nsys.exit('usage')", 'SystemExit: usage (', 2),
    'interrupts': ('raise KeyboardInterrupt', 'KeyboardInterrupt (', 1),
    'has_a_wrong_import': (
        'import no_such_module_at_all',
        'ModuleNotFoundError: No module named',
        0,
    ),
    'says_much': ("raise ImportError('one\\n  two\\x07')", r'ImportError: one two\x07 (', 1),
    'says_nothing': (
        'class Mute(Exception):\n def __str__(self): return 1 / 0\nraise Mute',
        'Mute: no text (',
        3,
    ),
}


@pytest.mark.parametrize('name', MODULES)
def test_a_failed_import_is_reported_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With the exception, of any type, and where it was raised."""
    text, expected, line = MODULES[name]
    name = f'plugin_that_{name}'
    (tmp_path / f'{name}.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = describe(
        load({'stages': ['one'], 'one.plugin': f'{name}:X'}).stages['one']
    ).problems
    assert problem.isprintable()
    assert problem.startswith(f"plugin: found '{name}:X'; importing it failed: {expected}")
    assert not line or problem.endswith(f'{name}.py:{line})')


def test_a_syntax_error_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the place in the file, which the error itself names."""
    (tmp_path / 'plugin_of_prose.py').write_text('this is no python\n')
    monkeypatch.syspath_prepend(tmp_path)
    one = load({'stages': ['one'], 'one.plugin': 'plugin_of_prose:X'}).stages['one']
    (problem,) = describe(one).problems
    assert 'SyntaxError: ' in problem
    assert 'plugin_of_prose.py, line 1' in problem


class Unmapped(Plain):
    parameters = ['gain']


class Numbered(Plain):
    contexts = {5: Header}


class Untyped(Stage):
    def process(self, item):
        return item


class OwnHeader(Header):
    pass


class OwnTyped(Plain):
    input_type = OwnHeader


class Talkative(Plain):
    topics = {'output': Header, 'Seen': Header, 'seen': Latched(Header), 'late': Latched(5)}


class Variants(Plain):
    topics = {
        'picture/compressed': Header,
        'output/compressed': Header,
        'tf': AbsoluteTopic('/tf', Header),
        'tf_static': AbsoluteTopic('/tf_static', Latched(Header)),
    }


class Astray(Plain):
    topics = {
        'picture/': Header,
        'input/Raw': Header,
        'tf': AbsoluteTopic('tf', 5),
        'other': AbsoluteTopic('tf', Header),
        'third': AbsoluteTopic(5, Latched(Header)),
    }


class Optional(Plain):
    contexts = {'odometry': Header, 'map': Header}
    optional_contexts = ('map',)


class Misnamed(Optional):
    optional_contexts = ('mop',)


class Hostile(type):
    def __getattribute__(cls, name):
        if name == 'contexts':
            raise RuntimeError('not\ntoday')
        return super().__getattribute__(name)


class Guarded(Plain, metaclass=Hostile):
    pass


def test_topics_may_be_variants_of_others_and_have_absolute_names():
    assert description_of(Variants).problems == []


def test_contexts_may_be_optional():
    assert description_of(Optional).problems == []
    assert description_of(Optional).optional_contexts == ('map',)


@pytest.mark.parametrize(
    ('stage', 'expected'),
    [
        (Unmapped, ["parameters of *: found ['gain']; allowed: a mapping from names"]),
        (
            Numbered,
            ["contexts of *: found {5: <class 'std_msgs.msg.*; allowed: a mapping from names"],
        ),
        (
            Untyped,
            [
                'input_type of *: found None; allowed: a ROS message class',
                'output_type of *: found None; allowed: a ROS message class',
            ],
        ),
        (OwnTyped, ['input_type of *: found <class *; allowed: a ROS message class']),
        (
            Talkative,
            [
                "topics['output'] of *: found 'output'; allowed: small letters, digits and _*",
                "topics['Seen'] of *: found 'Seen'; allowed: small letters, digits and _*",
                "topics['late'] of *: found 5; allowed: a ROS message class",
            ],
        ),
        (
            Astray,
            [
                "topics['picture/'] of *: found 'picture/'; allowed: small letters, digits and _*",
                "topics['input/Raw'] of *: found 'input/Raw'; allowed: small letters, digits *",
                "topics['tf'] of *: found the name 'tf'; allowed: an absolute topic",
                "topics['tf'] of *: found 5; allowed: a ROS message class",
                "topics['other'] of *: found the name 'tf'; allowed: an absolute topic",
                "topics['third'] of *: found the name 5; allowed: an absolute topic",
            ],
        ),
        (
            Misnamed,
            ["optional_contexts of *: found 'mop'; allowed: names of its contexts"],
        ),
        (Guarded, ['found *; inspecting it failed: RuntimeError: not today']),
    ],
)
def test_a_wrong_class_attribute_is_reported(stage: type[Stage], expected: Sequence[str]):
    """With the allowed values, never with a traceback."""
    problems = description_of(stage).problems
    assert len(problems) == len(expected)
    for problem, pattern in zip(problems, expected, strict=True):
        assert fnmatch.fnmatchcase(problem, f'plugin: {pattern}'.replace('[', '[[]')), problem
        assert problem.isprintable()


def test_a_missing_class_is_reported():
    """And one that is not a stage."""
    for plugin, expected in {
        f'{__name__}:Nobody': f"{__name__} has no 'Nobody'",
        f'{__name__}:Path': 'allowed: a subclass of worker_pipeline.Stage',
        f'{__name__}:description_of': 'allowed: a subclass of worker_pipeline.Stage',
        f'{__name__}.further:X': f"no module '{__name__}.further' on the Python path",
    }.items():
        one = load({'stages': ['one'], 'one.plugin': plugin}).stages['one']
        (problem,) = describe(one).problems
        assert problem == f'plugin: found {plugin!r}; {expected}'
