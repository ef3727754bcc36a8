# SPDX-License-Identifier: Apache-2.0
"""Checks that the parameters that a stage class declares can be parameters of ROS.

The manager receives them from the process that has imported the class. A value of a class of the
user's own, such as an enumeration, would have the manager import the user's module.
"""

from __future__ import annotations

from typing import Any

from worker_pipeline.parameter import Parameter, as_parameters, short_repr
from worker_pipeline.stage import Stage

ALLOWED = 'a bool, an int, a float, a string, or a list of one of them'


def parameter_problems(found: type[Stage]) -> list[str]:
    """Return the parameters of a class that are of a wrong type, one line each."""
    problems = []
    for name, spec in as_parameters(found.parameters).items():
        if type(spec) is not Parameter:
            problems.append(
                f'parameters[{name!r}]: found a {type(spec).__name__}; allowed: a Parameter itself'
            )
            continue
        values = spec.default if isinstance(spec.default, (list, tuple)) else [spec.default]
        if not all(_is_plain(each) for each in values):
            problems.append(
                f'parameters[{name!r}]: found {short_repr(spec.default)}; allowed: {ALLOWED}'
            )
        problems += [
            f'parameters[{name!r}]: {field}: found {short_repr(value)}; allowed: {allowed}'
            for field, value, allowed, is_right in _fields(spec)
            if not is_right
        ]
    return problems


def _fields(spec: Parameter) -> list[tuple[str, Any, str, bool]]:
    """Return the other fields: name, value, what is allowed, and whether the value is that."""
    numbers = [
        (name, value, 'a number', type(value) in (int, float, type(None)))
        for name, value in (('minimum', spec.minimum), ('maximum', spec.maximum))
    ]
    texts = [
        (name, value, 'a string', type(value) is str)
        for name, value in (('description', spec.description), ('unit', spec.unit))
    ]
    choices: Any = spec.choices
    is_right = isinstance(choices, (list, tuple)) and all(_is_plain(each) for each in choices)
    return [*numbers, *texts, ('choices', choices, 'a tuple of values', is_right)]


def _is_plain(value: Any) -> bool:
    """Return whether ROS takes a value, and the manager can receive it without the user's module.

    None has no type yet; some numbers of numpy are numbers of Python too.
    """
    is_known = type(value).__module__ in ('builtins', 'numpy')
    return is_known and isinstance(value, (bool, int, float, str, type(None)))
