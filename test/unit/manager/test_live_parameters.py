# SPDX-License-Identifier: Apache-2.0
"""Parameters of a running manager: which may change, and that a change is checked as a whole."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rclpy.parameter import Parameter as RosParameter
from support.offline_pipeline import HEADER

from worker_pipeline.config import PluginDescription, load
from worker_pipeline.manager.live_parameters import LiveParameters, describe
from worker_pipeline.parameter import Parameter

VALUES = {'stages': ['a'], 'a.plugin': 'support.stages:Echo', 'a.params.gain': 2.0}
PLUGIN = PluginDescription(HEADER, HEADER, parameters={'gain': Parameter(1.0, minimum=0.0)})


class FakeParameterNode:
    def __init__(self):
        self.values = dict(VALUES)
        self.descriptors = {}
        self.warnings = []

    def has_parameter(self, name):
        return name in self.values

    def set_descriptor(self, name, descriptor):
        self.descriptors[name] = descriptor

    def declare_parameter(self, name, value, descriptor):
        self.values[name], self.descriptors[name] = value, descriptor

    def add_on_set_parameters_callback(self, callback):
        self.check = callback

    def add_post_set_parameters_callback(self, callback):
        self.changed = callback

    def get_parameter(self, name):
        return RosParameter(name, value=self.values[name])

    def describe_parameter(self, name):
        return self.descriptors[name]

    def get_parameters_by_prefix(self, _prefix):
        return {name: SimpleNamespace(value=value) for name, value in self.values.items()}

    def get_namespace(self):
        return '/airside'

    def get_logger(self):
        return SimpleNamespace(warning=self.warnings.append)

    def set(self, **values):
        """Set parameters, as rclpy does; returns why they were refused, '' if they were not."""
        return self.change(
            [RosParameter(name.replace('__', '.'), value=each) for name, each in values.items()]
        )

    def change(self, changes):
        """Set parameters, as ``set`` does."""
        for each in changes:
            if each.name in self.descriptors:
                self.descriptors[each.name].type = each.type_.value  # before it is checked
        result = self.check(changes)
        if result.successful:
            self.changed(changes)
        return result.reason


def take(applied):
    """Return what the manager does with a new configuration: it is added to a list."""
    return lambda config, _named: applied.append(config)


@pytest.fixture
def applied():
    return []


@pytest.fixture
def node(applied):
    found = FakeParameterNode()
    LiveParameters(found, load(VALUES), {'a': PLUGIN}, take(applied))
    return found


@pytest.mark.parametrize(
    ('name', 'is_live'),
    [
        ('stages', False),
        ('spares', False),
        ('a.plugin', False),
        ('a.workers', True),
        ('a.queue_size', True),
        ('a.params.gain', True),
        ('a.ordered', False),
    ],
)
def test_only_live_parameters_can_be_written(node, name, is_live):
    assert node.descriptors[name].read_only is not is_live


def test_parameters_that_were_not_given_have_their_defaults(node):
    assert node.values['a.workers'] == load(VALUES).stages['a'].workers
    assert node.values['a.params.gain'] == 2.0


def test_a_live_change_is_applied(node, applied):
    assert node.set(a__workers=3, a__params__gain=4.0) == ''
    (config,) = applied
    assert config.stages['a'].workers == 3
    assert config.stages['a'].params['gain'] == 4.0


def test_whoever_sets_a_parameter_names_its_stage_and_the_manager_itself_does_not():
    """The report of a failed change ends with the next one, but not when it is taken back."""
    found, named = FakeParameterNode(), []
    parameters = LiveParameters(
        found, load(VALUES), {'a': PLUGIN}, lambda _, each: named.append(each)
    )
    found.set_parameters = found.change
    assert found.set(a__params__gain=2.0) == ''
    parameters.revert('a', {'params.gain': 1.0})
    assert found.set(use_sim_time=False) == ''
    assert [*map(list, named)] == [['a'], [], []]


def test_other_keys_cannot_be_changed(node, applied):
    assert node.set(spares=3, a__workers=2) == 'spares: cannot be changed while it runs'
    assert applied == []


def test_an_invalid_value_is_refused(node, applied):
    assert node.set(a__workers=0).startswith('a.workers: found 0')
    assert node.set(a__params__gain=-1.0).startswith('a.params.gain: found -1.0')
    assert node.set(a__params__gian=1.0).startswith('a.params.gian: unknown parameter')
    assert applied == []


def test_after_a_refusal_a_parameter_is_described_by_the_type_that_it_keeps(node):
    kept = RosParameter.Type.DOUBLE.value
    assert node.set(a__params__gain='much')
    assert node.descriptors['a.params.gain'].type == kept
    assert node.set(a__params__gain=3, a__workers=0)
    assert node.descriptors['a.params.gain'].type == kept


def test_a_parameter_that_is_unset_has_its_default_again(node, applied):
    changes = [RosParameter('a.params.gain', RosParameter.Type.NOT_SET)]
    assert node.check(changes).successful
    node.changed(changes)
    assert 'gain' not in applied[0].stages['a'].params


@pytest.mark.parametrize(
    ('spec', 'low', 'high'),
    [
        (Parameter(1.0, minimum=0.5, maximum=2.0), 0.5, 2.0),
        (Parameter(1.0, minimum=0.5), 0.5, 1.7976931348623157e308),
        (Parameter(1, minimum=0, maximum=9), 0, 9),
        (Parameter(1, maximum=9), -(2**63) + 1, 9),
    ],
)
def test_limits_are_shown_as_a_range(spec, low, high):
    found = describe(spec, is_live=True)
    (limits,) = [*found.floating_point_range, *found.integer_range]
    assert (limits.from_value, limits.to_value) == (low, high)


@pytest.mark.parametrize('default', ['text', True, 1.0])
def test_a_parameter_without_limits_has_no_range(default):
    found = describe(Parameter(default), is_live=False)
    assert not found.floating_point_range
    assert not found.integer_range
    assert found.read_only


def test_a_change_is_warned_of_like_the_configuration_at_the_start(applied):
    """Once, as long as it lasts."""
    node = FakeParameterNode()
    remembers = PluginDescription(HEADER, HEADER, remembers=True)
    node.values = {name: each for name, each in VALUES.items() if 'params' not in name}
    LiveParameters(
        node, load(node.values), {'a': remembers}, lambda config, _: applied.append(config)
    )
    for workers in (2, 2, 1, 2):
        node.values['a.workers'] = workers
        assert node.set(a__workers=workers) == ''
    assert len(applied) == 4
    first, second = node.warnings
    assert first == second
    assert first.startswith('a.workers: found 2, and support.stages:Echo saves a state: ')


def test_a_change_that_does_not_fit_the_class_is_rejected(applied):
    """As at the start: a stage that remembers has no standby."""
    node = FakeParameterNode()
    plugin = PluginDescription(HEADER, HEADER, parameters=PLUGIN.parameters, remembers=True)
    LiveParameters(node, load(VALUES), {'a': plugin}, take(applied))
    assert 'a.standby' in node.set(a__standby=1)
    assert applied == []
