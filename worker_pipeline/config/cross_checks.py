# SPDX-License-Identifier: Apache-2.0
"""Checks the configuration against the declarations of the stages' classes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from worker_pipeline.config.model import (
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    StageConfig,
    has_separate_states,
    is_source,
)
from worker_pipeline.config.schema import LONGEST_SERVICE, MAX_TOPIC_LENGTH, TICK_TYPE
from worker_pipeline.parameter import one_line, short_repr


def check_links(
    config: PipelineConfig, plugins: Mapping[str, PluginDescription], namespace: str = '/airside'
) -> list[str]:
    """Check the links between stages: message types, periods, standbys, contexts, topics, names.

    Args:
        config: the configuration.
        plugins: the declarations of each stage's class.
        namespace: the pipeline's namespace.

    Returns:
        Warnings about settings that have no effect, or one that may surprise; one line each.

    Raises:
        ConfigurationError: with every problem found.
    """
    namespace = namespace.rstrip('/')
    problems: list[str] = []
    passing: list[str] = []  # those that may pass by themselves
    warnings: list[str] = []
    types = _known_topics(plugins, namespace)
    for name, stage in config.stages.items():
        plugin = plugins[name]
        problems += _name_problems(name, namespace)
        if plugin.problems:
            found = passing if plugin.may_pass else problems
            found += [f'{name}.{text}' for text in plugin.problems]
            continue
        problems += _input_problems(stage, plugin, plugins)
        problems += _setting_problems(stage, plugin)
        problems += _context_problems(stage, plugin, plugins)
        problems += _topic_problems(stage, plugin, types)
        warnings += [*_unused_contexts(stage, plugin), *_separate_states(stage, plugin)]
    if (
        config.exit_when_done
        and not problems
        and not passing
        and not _has_finite_source(config, plugins)
    ):
        problems.append(
            'exit_when_done: found True without any source; '
            'allowed: False, as nothing could ever be exhausted'
        )
    if problems or passing:
        raise ConfigurationError([*problems, *passing], may_pass=not problems)
    return warnings


def _name_problems(name: str, namespace: str) -> list[str]:
    longest = MAX_TOPIC_LENGTH - len(f'{namespace}/{LONGEST_SERVICE}')
    if len(name) <= longest:
        return []
    return [
        (
            f'stages: found {short_repr(name)}; allowed: a name of up to {max(0, longest)} '
            f'characters in the namespace {short_repr(namespace or "/")}'
        )
    ]


def _input_problems(
    stage: StageConfig, plugin: PluginDescription, plugins: Mapping[str, PluginDescription]
) -> list[str]:
    problems = []
    for source in stage.inputs:
        upstream = plugins.get(source)
        if upstream and not upstream.problems and upstream.output_type != plugin.input_type:
            problems.append(
                f'{stage.name}.input: found {source}, whose output is {upstream.output_type}; '
                f'allowed: {plugin.input_type}, the input of {stage.plugin}'
            )
    return problems


def _setting_problems(stage: StageConfig, plugin: PluginDescription) -> list[str]:
    problems = []
    if stage.period and not is_source(stage, plugin):
        problems.append(
            f'{stage.name}.period: found {stage.period!r}; allowed: 0.0, as only a source has a '
            f'period (no input, and input_type {TICK_TYPE})'
        )
    if stage.standby and plugin.remembers:
        problems.append(
            f'{stage.name}.standby: found {stage.standby}; allowed: 0, as {stage.plugin} saves its '
            'state, and a saved state belongs to one slot'
        )
    if plugin.exclusive:
        only = f'as {stage.plugin} is exclusive: only one of its workers may exist at a time'
        for key, value, allowed in (('workers', stage.workers, 1), ('standby', stage.standby, 0)):
            if value != allowed:
                problems.append(f'{stage.name}.{key}: found {value}; allowed: {allowed}, {only}')
    return problems


def _context_problems(
    stage: StageConfig, plugin: PluginDescription, plugins: Mapping[str, PluginDescription]
) -> list[str]:
    problems = []
    unknown = [name for name in stage.context if name not in plugin.contexts]
    for name, wanted in plugin.contexts.items():
        source = stage.context.get(name)
        if source is None and name in plugin.optional_contexts:
            continue
        if source is None:
            close = difflib.get_close_matches(name, unknown, n=1)
            hint = f'; found {close[0]!r} instead' if close else ''
            problems.append(
                f'{stage.name}.context.{name}: not given; '
                f'allowed: a stage or an absolute topic of {wanted}{hint}'
            )
        elif source in plugins and not plugins[source].problems:
            found = plugins[source].output_type
            if found != wanted:
                problems.append(
                    f'{stage.name}.context.{name}: found {source}, whose output is {found}; '
                    f'allowed: {wanted}'
                )
    return problems


def _unused_contexts(stage: StageConfig, plugin: PluginDescription) -> list[str]:
    return [
        one_line(f'{stage.name}.context.{each}: has no effect; {stage.plugin} has no such context')
        for each in stage.context
        if each not in plugin.contexts
    ]


def _separate_states(stage: StageConfig, plugin: PluginDescription) -> list[str]:
    if not has_separate_states(stage, plugin):
        return []
    text = (
        f'{stage.name}.workers: found {stage.workers}, and {stage.plugin} saves a state: each slot '
        'has a state of its own, made of the items that it happened to get; '
        'separate_states = True in the class says that this is meant'
    )
    return [one_line(text)]


def _known_topics(
    plugins: Mapping[str, PluginDescription], namespace: str
) -> dict[str, tuple[str, str]]:
    """Return the topics of ROS and of the pipeline itself: the type of each, and its owner."""
    status = 'diagnostic_msgs/msg/DiagnosticStatus'
    topics = {
        '/rosout': ('rcl_interfaces/msg/Log', 'ROS'),
        '/parameter_events': ('rcl_interfaces/msg/ParameterEvent', 'ROS'),
        '/diagnostics': ('diagnostic_msgs/msg/DiagnosticArray', 'ROS'),
        f'{namespace}/heartbeats': (status, 'the manager'),
        f'{namespace}/quarantine': (status, 'the manager'),
    }
    for name, plugin in plugins.items():
        if not plugin.problems:
            topics[f'{namespace}/{name}/output'] = (plugin.output_type, name)
            topics[f'{namespace}/{name}/input'] = (plugin.input_type, name)
    return topics


def _topic_problems(
    stage: StageConfig, plugin: PluginDescription, types: dict[str, tuple[str, str]]
) -> list[str]:
    """Return the topics that would have two types, which DDS does not allow.

    ``types`` holds the topics known so far; those of this stage are added.
    """
    wanted = [(f'{stage.name}.input', each, plugin.input_type) for each in stage.inputs]
    wanted += [
        (f'{stage.name}.context.{name}', source, plugin.contexts[name])
        for name, source in stage.context.items()
        if name in plugin.contexts
    ]
    problems = []
    for key, topic, message_type in wanted:
        if not topic.startswith('/'):
            continue
        found, by = types.setdefault(topic, (message_type, key))
        if found != message_type:
            problems.append(
                f'{key}: found {topic}, which has {found} for {by}; '
                f'allowed: a topic of {message_type}'
            )
    return problems


def _has_finite_source(config: PipelineConfig, plugins: Mapping[str, PluginDescription]) -> bool:
    """Return whether there is a source that ends the pipeline when it is exhausted."""
    return any(
        is_source(each, plugins[each.name]) and not config.is_context_only(each.name)
        for each in config.stages.values()
    )
