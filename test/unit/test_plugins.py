"""What a stage's class tells of itself, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from std_msgs.msg import Header

from worker_pipeline import Stage
from worker_pipeline.config import PluginDescription, load
from worker_pipeline.runtime.plugins import describe


class Plain(Stage):
    input_type = Header
    output_type = Header


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


def described(stage: type[Stage]) -> PluginDescription:
    plugin = f'{stage.__module__}:{stage.__name__}'
    return describe(load({'stages': ['one'], 'one.plugin': plugin}).stages['one'])


@pytest.mark.parametrize(
    ('stage', 'remembers'), [(Plain, False), (Remembers, True), (RemembersToo, True)]
)
def test_a_class_that_saves_its_state_is_one_that_remembers(stage: type[Stage], remembers: bool):
    """Itself, or by what it inherits."""
    header = 'std_msgs/msg/Header'
    assert described(stage) == PluginDescription(header, header, remembers=remembers, problems=[])


@pytest.mark.parametrize(
    ('stage', 'told'),
    [
        (OnlySaves, ['plugin: found save_state without restore_state; allowed: both or neither']),
        (
            OnlyRestores,
            ['plugin: found restore_state without save_state; allowed: both or neither'],
        ),
    ],
)
def test_half_a_memory_is_refused(stage: type[Stage], told: Sequence[str]):
    """What is saved must be taken back, and the other way round."""
    assert described(stage).problems == told
