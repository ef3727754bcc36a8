# SPDX-License-Identifier: Apache-2.0
"""Reads the configuration from ROS parameters, and collects every problem on the way."""

from __future__ import annotations

import graphlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from worker_pipeline.config.model import ConfigurationError, PipelineConfig, StageConfig
from worker_pipeline.config.schema import (
    MAX_INPUTS,
    MAX_NAME_LENGTH,
    MAX_STAGES,
    MAX_TOPIC_LENGTH,
    MIN_PERIOD,
    NAME,
    NODE_FLAGS,
    NODE_PARAMETERS,
    PIPELINE_KEYS,
    PLUGIN,
    RESERVED_NAMES,
    STAGE_KEYS,
    STAGE_TABLES,
    TOPIC,
)
from worker_pipeline.core.ledger import Overflow
from worker_pipeline.parameter import Parameter, did_you_mean, short_repr, suggestion, type_name


def load(parameters: Mapping[str, Any]) -> PipelineConfig:
    """Return the configuration that ROS parameters describe.

    ``parameters`` maps full names (``detect_target.params.confidence``) to values. Raises
    :class:`ConfigurationError` with every problem: the key, what was found, what is allowed.
    """
    problems = _Problems()
    names = _stage_names(parameters.get('stages'), problems)
    reader = _StageReader(names, problems)
    settings, sections = _sort_keys(parameters, names, problems)
    stages = {name: reader.read(name, section) for name, section in sections.items()}
    _check_cycles(stages, problems)
    settings = {name: spec.default for name, spec in PIPELINE_KEYS.items()} | settings
    _check_heartbeat(settings, problems)
    if problems.lines:
        raise ConfigurationError(problems.lines)
    return PipelineConfig(stages=stages, **settings)


class _Problems:
    """The problems found so far, and the keys that have one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        # A key with a problem has no value that others could be compared with: such checks are
        # skipped, so that one mistake is one problem.
        self.keys: set[str] = set()

    def add(self, key: str, text: str) -> None:
        self.keys.add(key)
        # An empty or blank key is shown in quotes, or the line would begin with nothing.
        self.lines.append(f'{key if key.strip() else short_repr(key)}: {text}')

    def add_wrong_type(self, key: str, value: Any, allowed: str) -> None:
        self.add(key, f'found {short_repr(value)} ({type_name(value)}); allowed: {allowed}')

    def checked(self, key: str, spec: Parameter, value: Any) -> Any:
        """Return ``value`` in its type if it is allowed; else add a problem, return the default."""
        try:
            return spec.check(value)
        except (ValueError, TypeError):
            self.add_wrong_type(key, value, spec.allowed())
            return spec.default


def _sort_keys(
    parameters: Mapping[str, Any], names: list[str], problems: _Problems
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the pipeline's settings, and for each stage its keys with their values, unchecked."""
    settings: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {name: {} for name in names}
    unlisted: set[str] = set()  # so that a whole section is one problem
    for key, value in parameters.items():
        head, dot, rest = key.partition('.')
        if key in NODE_FLAGS:
            # ROS itself would only log that it ignores a value of another type.
            flag = problems.checked(key, Parameter(False), value)
            if key == 'use_sim_time':
                settings[key] = flag
        if key == 'stages' or head in NODE_PARAMETERS:
            continue
        if dot and head in sections:
            sections[head][rest] = value
        elif dot and names:
            if head not in unlisted:
                unlisted.add(head)
                hint = did_you_mean(head, names)
                problems.add(key, f'{short_repr(head)} is not in stages; {hint}')
        elif key in PIPELINE_KEYS:
            settings[key] = problems.checked(key, PIPELINE_KEYS[key], value)
        elif not dot:
            problems.add(key, f'unknown key; {did_you_mean(key, [*PIPELINE_KEYS, "stages"])}')
    return settings, sections


def _stage_names(found: Any, problems: _Problems) -> list[str]:
    """Return the valid names in ``stages``."""
    allowed = f'a list of 1 to {MAX_STAGES} stage names'
    if found is None:
        hint = 'is there a parameter file with a section /**/manager?'
        problems.add('stages', f'not given; allowed: {allowed}; {hint}')
    elif not _is_list(found):
        problems.add_wrong_type('stages', found, allowed)
    elif not 1 <= len(found) <= MAX_STAGES:
        problems.add('stages', f'found {len(found) or "an empty list"}; allowed: {allowed}')
    else:
        names: list[str] = []
        for name in found:
            problem = _name_problem(name, names)
            if problem:
                problems.add('stages', problem)
            else:
                names.append(name)
        return names
    return []


def _name_problem(name: Any, others: list[str]) -> str:
    """Return what is wrong with a stage's name, '' if it is valid."""
    if not isinstance(name, str) or not NAME.match(name):
        return (
            f'found {short_repr(name)}; allowed: names of letters, digits and underscores '
            'that begin with a letter'
        )
    if len(name) > MAX_NAME_LENGTH:
        return f'found {short_repr(name)}; allowed: a name of up to {MAX_NAME_LENGTH} characters'
    if name in RESERVED_NAMES:
        return f'found {name!r}; allowed: a name that is not taken already'
    if name in others:
        return f'found {name!r} twice; allowed: each name once'
    return ''


class _StageReader:
    """Reads the sections of the stages."""

    def __init__(self, names: list[str], problems: _Problems) -> None:
        self._names = names
        self._problems = problems

    def read(self, name: str, section: Mapping[str, Any]) -> StageConfig:
        """Return a stage's configuration, with defaults for keys that have a problem."""
        values: dict[str, Any] = {}
        tables: dict[str, dict[str, Any]] = {table: {} for table in STAGE_TABLES}
        for key, value in section.items():
            head, dot, rest = key.partition('.')
            if dot and head in tables:
                tables[head][rest] = value
            elif key != 'input':
                self._read_key(name, key, value, values)
        inputs = self._inputs(f'{name}.input', section.get('input', ()))
        context = {
            key: source
            for key, source in tables['context'].items()
            if self._is_stage_or_topic(f'{name}.context.{key}', source)
        }
        self._check_plugin(f'{name}.plugin', values.get('plugin'))
        settings = {key: spec.default for key, spec in STAGE_KEYS.items()} | values
        self._check_period(f'{name}.period', settings['period'])
        settings['overflow'] = Overflow(settings['overflow'])
        self._check_overflow(name, settings['overflow'], inputs)
        del settings['input']
        return StageConfig(
            name=name, inputs=inputs, context=context, params=tables['params'], **settings
        )

    def _read_key(self, stage: str, key: str, value: Any, values: dict[str, Any]) -> None:
        """Put the value of a key other than ``input`` into ``values``, if there is such a key."""
        full = f'{stage}.{key}'
        if key in STAGE_TABLES:
            allowed = f'a table of names, as in {full}.name'
            self._problems.add_wrong_type(full, value, allowed)
        elif key in STAGE_KEYS:
            values[key] = self._problems.checked(full, STAGE_KEYS[key], value)
        elif key in NODE_FLAGS:
            allowed = f"only the manager's own {key}, which holds for every node of the pipeline"
            self._problems.add(full, f'found {short_repr(value)}; allowed: {allowed}')
        else:
            known = [*STAGE_KEYS, *STAGE_TABLES]
            # Only a near match: the parameters of a class are often put here, whatever their names.
            hint = suggestion(key.partition('.')[0], known, likeness=0.65)
            if not hint:
                where = f'parameters of the class belong under {stage}.params'
                hint = f'{where}; known: {", ".join(sorted(known))}'
            self._problems.add(full, f'unknown key; {hint}')

    def _inputs(self, key: str, value: Any) -> tuple[str, ...]:
        listed = [value] if isinstance(value, str) else value
        if not _is_list(listed):
            allowed = 'a stage, an absolute topic, or a list of them'
            self._problems.add_wrong_type(key, value, allowed)
            return ()
        if len(listed) > MAX_INPUTS:
            self._problems.add(key, f'found {len(listed)}; allowed: up to {MAX_INPUTS} inputs')
            return ()
        inputs = [each for each in listed if self._is_stage_or_topic(key, each)]
        for each, count in sorted(Counter(inputs).items()):
            if count > 1:
                self._problems.add(key, f'found {each!r} twice; allowed: each input once')
        return tuple(inputs)

    def _is_stage_or_topic(self, key: str, found: Any) -> bool:
        allowed = 'a stage or an absolute topic'
        hint = ''
        if isinstance(found, str):
            if found in self._names:
                return True
            if TOPIC.match(found):
                if len(found) <= MAX_TOPIC_LENGTH:
                    return True
                allowed += f' of up to {MAX_TOPIC_LENGTH} characters'
            elif found and not found.startswith('/'):
                hint = f'; {did_you_mean(found, self._names)}'
        self._problems.add(key, f'found {short_repr(found)}; allowed: {allowed}{hint}')
        return False

    def _check_plugin(self, key: str, plugin: str | None) -> None:
        allowed = 'module:Class on the Python path'
        if plugin is None:
            self._problems.add(key, f'not given; allowed: {allowed}')
        elif key not in self._problems.keys and not PLUGIN.match(plugin):
            self._problems.add(key, f'found {short_repr(plugin)}; allowed: {allowed}')

    def _check_period(self, key: str, period: float) -> None:
        if 0.0 < period < MIN_PERIOD:
            allowed = f'0.0, or a float of {MIN_PERIOD:g} or more [s]'
            self._problems.add(key, f'found {period!r}; allowed: {allowed}')

    def _check_overflow(self, stage: str, overflow: Overflow, inputs: tuple[str, ...]) -> None:
        if overflow is not Overflow.BLOCK or f'{stage}.input' in self._problems.keys:
            return
        topics = [each for each in inputs if each.startswith('/')]
        if topics or not inputs:
            found = f'block with input {", ".join(topics) or "none"}'
            self._problems.add(
                f'{stage}.overflow',
                f'found {found}; allowed: drop_oldest, or block where every input is a stage',
            )


def _check_cycles(stages: Mapping[str, StageConfig], problems: _Problems) -> None:
    links = {
        name: [each for each in stage.inputs if each in stages] for name, stage in stages.items()
    }
    try:
        graphlib.TopologicalSorter(links).prepare()
    except graphlib.CycleError as error:
        cycle = ' -> '.join(error.args[1])
        problems.add(
            f'{error.args[1][-1]}.input',
            f'found a cycle, {cycle}; allowed: stages that do not feed themselves',
        )


def _check_heartbeat(settings: Mapping[str, Any], problems: _Problems) -> None:
    period, timeout = settings['heartbeat_period'], settings['heartbeat_timeout']
    if timeout <= period and not {'heartbeat_period', 'heartbeat_timeout'} & problems.keys:
        allowed = f'a float of more than heartbeat_period, {period!r} [s]'
        problems.add('heartbeat_timeout', f'found {timeout!r}; allowed: {allowed}')


def _is_list(value: Any) -> bool:
    return (
        hasattr(value, '__iter__')
        and hasattr(value, '__len__')
        and not isinstance(value, (str, bytes, Mapping))
    )
