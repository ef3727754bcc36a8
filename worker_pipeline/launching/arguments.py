# SPDX-License-Identifier: Apache-2.0
"""Reads and checks the arguments of the launch files, before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from worker_pipeline.config import MAX_WORKERS
from worker_pipeline.parameter import did_you_mean, short_repr
from worker_pipeline.parameter_sections import sections_of


class LaunchArgumentError(ValueError):
    """An invalid argument; the message has its name, the value, and the allowed values."""


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Raise LaunchArgumentError if one of the ``name:=value`` has an unknown name.

    Launch itself accepts any name and silently ignores a misspelt one.
    """
    for each in given:
        name, means, _ = each.partition(':=')
        if means and name not in known:
            raise LaunchArgumentError(
                f'found {short_repr(name)}, which is no argument; {did_you_mean(name, list(known))}'
            )


def read_parameter_file(argument: str, path: Path) -> list[Mapping[str, Any]]:
    """Return the parameters of each node in a file.

    ``argument`` is the launch argument with the file, for errors. Raises LaunchArgumentError if the
    file cannot be read or has no parameters.
    """
    try:
        tables = [table for _, table in sections_of(yaml.safe_load(path.read_text()))]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise LaunchArgumentError(
            f'{argument}: found {short_repr(str(path))}, which cannot be read: {reason}'
        ) from None
    if not tables:
        raise LaunchArgumentError(
            f'{argument}: found {short_repr(str(path))} without parameters; allowed: a file with '
            'ros__parameters under the name of the node'
        )
    return tables


def stages_of(params_file: Path) -> list[str]:
    """Return the stages in a parameter file. Raises LaunchArgumentError if there are none."""
    for parameters in read_parameter_file('params_file', params_file):
        stages = parameters.get('stages')
        if isinstance(stages, list):
            return [each for each in stages if isinstance(each, str)]
    raise LaunchArgumentError(
        f'params_file: found {short_repr(str(params_file))} without a list of stages; allowed: a '
        'file with the parameters of the node manager'
    )


def worker_counts(text: str, stages: Collection[str]) -> dict[str, int]:
    """Return the counts in a text like ``detect_target=3 geolocation=2``, by stage.

    Raises LaunchArgumentError for an invalid text, an unknown stage or an invalid count.
    """
    counts: dict[str, int] = {}
    for each in text.split():
        name, equals, count = each.partition('=')
        if not equals:
            raise LaunchArgumentError(
                f'workers: found {short_repr(each)}; allowed: stage=count, as in {_example(stages)}'
            )
        if name in counts:
            raise LaunchArgumentError(f'workers: found {name} twice; allowed: each stage once')
        check_stage('workers', name, stages)
        counts[name] = worker_count(f'workers of {name}', count)
    return counts


def check_stage(argument: str, name: str, stages: Collection[str]) -> None:
    """Raise LaunchArgumentError if ``name`` is not one of the stages.

    Args:
        argument: The name of the launch argument.
        name: Its value.
        stages: The names of the stages.
    """
    if name not in stages:
        hint = did_you_mean(name, list(stages))
        raise LaunchArgumentError(
            f'{argument}: found {short_repr(name)}, which is no stage; {hint}'
        )


def worker_count(argument: str, text: str) -> int:
    """Return the number of workers in an argument. Raises LaunchArgumentError if it is invalid."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_WORKERS):
        raise LaunchArgumentError(
            f'{argument}: found {short_repr(text)}; allowed: an int from 1 to {MAX_WORKERS}'
        )
    return int(text)


def _example(stages: Collection[str]) -> str:
    return ' '.join(f'{name}=2' for name in list(stages)[:2])
