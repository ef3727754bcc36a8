# SPDX-License-Identifier: Apache-2.0
"""Finds parameters that are given to nodes of a pipeline that take none from outside.

ROS ignores in silence what is meant for a node that does not take it. All settings of a pipeline,
its stages and its workers are parameters of the manager.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from worker_pipeline.config import PipelineConfig
from worker_pipeline.parameter import short_repr
from worker_pipeline.parameter_sections import sections_of
from worker_pipeline.ros.arguments import ros_options

# That of libyaml takes a tenth of the time.
_LOADER: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_ALLOWED = (
    "allowed: the manager's section, with STAGE.KEY for a setting, STAGE.params.KEY for what the "
    'class declares, and use_sim_time, which all nodes follow'
)


def section_problems(arguments: Sequence[str], manager: str, config: PipelineConfig) -> list[str]:
    """Return which parameters of files and arguments would be ignored.

    Args:
        arguments: the manager's command line.
        manager: the full name of its node.
        config: the pipeline's configuration.
    """
    namespace = manager.rpartition('/')[0]
    ours = []
    for stage, settings in config.stages.items():
        ours.append(f'{namespace}/{stage}')
        slots = range(settings.workers + settings.standby)
        ours += [f'{namespace}/{stage}/worker_{index}' for index in slots]
    problems = []
    for where, pattern, names in _given(arguments):
        expression = _expression(pattern)
        if expression.fullmatch(manager):
            continue
        matched = next((each for each in ours if expression.fullmatch(each)), None)
        if matched is not None:
            keys = ', '.join(names) or 'no parameters'
            problems.append(
                f'{where}: found {keys} for the node {short_repr(pattern)}, which takes no '
                f'parameters from outside; {_ALLOWED}'
            )
    return problems


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what is given for named nodes: where, the pattern of the node, the parameters."""
    for flag, *values in ros_options(arguments):
        value = ''.join(values)
        if flag == '--params-file':
            for pattern, parameters in sections_of(_content(Path(value))):
                yield f'parameter file {value}', pattern, [str(each) for each in parameters]
        elif flag in ('-p', '--param'):
            name = value.partition(':=')[0]
            node, colon, parameter = name.rpartition(':')
            if colon:
                pattern = node if '/' in node else f'/**/{node}'
                yield f'{flag} {value}', pattern, [parameter]


def _content(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(), _LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # rclpy has read it, in its own way


def _expression(pattern: str) -> re.Pattern[str]:
    """Return the full names that a pattern of rcl matches: * is one part of a name, ** any."""
    parts = [part for part in pattern.split('/') if part]
    known = {'*': '/[^/]+', '**': '(?:/[^/]+)*'}
    return re.compile(''.join(known.get(part, '/' + re.escape(part)) for part in parts))
