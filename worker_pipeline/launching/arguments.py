"""What the launch files make of their arguments, before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from worker_pipeline.config import MOST_WORKERS
from worker_pipeline.parameter import nearest, shown


class LaunchArgumentError(ValueError):
    """An argument that cannot be; the message names it, what was found, and what is allowed."""


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Raises LaunchArgumentError where one of ``name:=value`` has a name that is not known.

    Launch itself takes any, and a misspelt one changes nothing without a word.
    """
    for each in given:
        name, means, _ = each.partition(':=')
        if means and name not in known:
            raise LaunchArgumentError(
                f'found {shown(name)}, which is no argument; {nearest(name, list(known))}'
            )


def read_parameter_file(argument: str, path: Path) -> list[Mapping[str, Any]]:
    """The parameters of each node that a file has some for. Raises LaunchArgumentError.

    ``argument``: that named the file.
    """
    try:
        tables = _tables_of_parameters(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        told = ' '.join(str(error).split())
        raise LaunchArgumentError(
            f'{argument}: found {shown(str(path))}, which cannot be read: {told}'
        ) from None
    if not tables:
        raise LaunchArgumentError(
            f'{argument}: found {shown(str(path))} without parameters; allowed: a file in which '
            'ros__parameters stands under the name of the node'
        )
    return tables


def stages_of(params_file: Path) -> list[str]:
    """The stages that a parameter file names. Raises LaunchArgumentError."""
    for parameters in read_parameter_file('params_file', params_file):
        stages = parameters.get('stages')
        if isinstance(stages, list):
            return [each for each in stages if isinstance(each, str)]
    raise LaunchArgumentError(
        f'params_file: found {shown(str(params_file))} without a list of stages; allowed: a file '
        'with the parameters of the node manager'
    )


def _tables_of_parameters(content: Any) -> list[Mapping[str, Any]]:
    """All that stand under ``ros__parameters``, however deep a node's name is nested."""
    if not isinstance(content, Mapping):
        return []
    found: list[Mapping[str, Any]] = []
    for key, value in content.items():
        if key == 'ros__parameters' and isinstance(value, Mapping):
            found.append(value)
        else:
            found += _tables_of_parameters(value)
    return found


def worker_counts(text: str, stages: Collection[str]) -> dict[str, int]:
    """``'detect_target=3 geolocation=2'`` as a mapping. Raises LaunchArgumentError."""
    counts: dict[str, int] = {}
    for each in text.split():
        name, equals, count = each.partition('=')
        if not equals:
            raise LaunchArgumentError(
                f'workers: found {shown(each)}; allowed: stage=count, as in {_example(stages)}'
            )
        if name in counts:
            raise LaunchArgumentError(f'workers: found {name} twice; allowed: each stage once')
        check_stage('workers', name, stages)
        counts[name] = worker_count(f'workers of {name}', count)
    return counts


def check_stage(argument: str, name: str, stages: Collection[str]) -> None:
    """Raises LaunchArgumentError for a name that is no stage."""
    if name not in stages:
        raise LaunchArgumentError(
            f'{argument}: found {shown(name)}, which is no stage; {nearest(name, list(stages))}'
        )


def worker_count(argument: str, text: str) -> int:
    """How many workers an argument asks for. Raises LaunchArgumentError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WORKERS):
        raise LaunchArgumentError(
            f'{argument}: found {shown(text)}; allowed: an int from 1 to {MOST_WORKERS}'
        )
    return int(text)


def _example(stages: Collection[str]) -> str:
    return ' '.join(f'{name}=2' for name in list(stages)[:2])
