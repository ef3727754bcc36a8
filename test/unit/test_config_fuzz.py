# SPDX-License-Identifier: Apache-2.0
"""Any parameters at all: they load, or every problem is reported in a line of its own."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st
from support.configurations import NAMES, mutated_trees, trees, valid_trees
from support.configuring import flat

from worker_pipeline.config import (
    MAX_NAME_LENGTH,
    PIPELINE_KEYS,
    STAGE_KEYS,
    TICK_TYPE,
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    check_links,
    load,
)
from worker_pipeline.parameter import MAX_SHOWN, one_line

HEADER = 'std_msgs/msg/Header'
IMAGE = 'sensor_msgs/msg/Image'
# The value, and the allowed values.
PROBLEM = re.compile(
    r'found .+; allowed: .+'
    r'|not given; allowed: .+'
    r"|unknown (key|parameter); (did you mean '.+'\?|known: .+)"
    r'|unknown key; parameters of the class belong under .+\.params; known: .+'
    r"|'.*' is not in stages; (did you mean '.+'\?|known: .+)"
)
# The descriptions of the classes in `support.stages`.
TRUE_PLUGINS = {
    'camera': PluginDescription(TICK_TYPE, HEADER),
    'detector': PluginDescription(HEADER, HEADER),
    'merge': PluginDescription(HEADER, HEADER, {'reference': HEADER}),
}
PLUGINS = st.builds(
    PluginDescription,
    st.sampled_from([TICK_TYPE, IMAGE, HEADER]),
    st.sampled_from([IMAGE, HEADER]),
    st.dictionaries(st.sampled_from(['reference', 'x', 'a\nb']), st.just(HEADER), max_size=2),
    st.lists(st.just('plugin: found X; allowed: Y'), max_size=1),
    st.booleans(),
)


def loaded(parameters: dict[str, Any]) -> PipelineConfig | None:
    """Return the configuration, or None if its problems are reported correctly."""
    try:
        return load(parameters)
    except ConfigurationError as error:
        keys = {*parameters, 'stages', 'heartbeat_timeout'}
        # Problems with these are reported even if they are not given.
        keys |= {f'{name}.{key}' for name in _names(parameters) for key in ('plugin', 'input')}
        check_reported(error.problems, keys)
        return None


def check_reported(problems: list[str], keys: set[str]) -> None:
    assert problems
    for line in problems:
        note(line)
        assert line.isprintable()
        ours = [f'{one_line(key) if key.strip() else repr(key)}: ' for key in keys]
        heads = [each for each in ours if line.startswith(each)]
        assert heads, line
        assert any(PROBLEM.fullmatch(line[len(each) :]) for each in heads), line
        # Except for the key, and the names of stages, a line has a limited length.
        assert len(line) < max(map(len, heads)) + 3 * MAX_SHOWN + 5 * MAX_NAME_LENGTH, line


def _names(parameters: dict[str, Any]) -> list[Any]:
    names = parameters.get('stages')
    return names if isinstance(names, list) else []


@given(trees)
def test_any_parameters_load_or_raise_a_configuration_error(tree: dict[str, Any]):
    """No other exception is raised, and valid values are within their limits."""
    parameters = flat(tree)
    config = loaded(parameters)
    if config is None:
        return
    for key, spec in PIPELINE_KEYS.items():
        assert spec.check(getattr(config, key)) == getattr(config, key)
    assert config.heartbeat_timeout > config.heartbeat_period
    assert list(config.stages) == parameters['stages']
    for stage in config.stages.values():
        for key in set(STAGE_KEYS) - {'input', 'overflow'}:
            assert STAGE_KEYS[key].check(getattr(stage, key)) == getattr(stage, key)
        known = [*stage.inputs, *stage.context.values()]
        assert all(each in config.stages or each.startswith('/') for each in known)
        assert stage.name not in stage.inputs


@given(valid_trees())
def test_valid_parameters_load(tree: dict[str, Any]):
    """Otherwise the mutated ones would not get far into the checks."""
    config = load(flat(tree))
    check_links(config, TRUE_PLUGINS)


@given(mutated_trees(), st.fixed_dictionaries(dict.fromkeys(NAMES, PLUGINS)))
def test_any_classes_are_linked_or_raise_a_configuration_error(
    tree: dict[str, Any], plugins: dict[str, PluginDescription]
):
    """No other exception is raised by the cross-checks."""
    config = loaded(flat(tree))
    if config is None:
        return
    plugins |= {name: TRUE_PLUGINS['detector'] for name in config.stages if name not in plugins}
    keys = {'exit_when_done'}
    for name in config.stages:
        keys |= {f'{name}.{each}' for each in ('plugin', 'input', 'period')}
        keys |= {f'{name}.context.{each}' for each in plugins[name].contexts}
    try:
        remarks = check_links(config, plugins)
    except ConfigurationError as error:
        check_reported(error.problems, keys)
    else:
        assert all(each.isprintable() for each in remarks)
