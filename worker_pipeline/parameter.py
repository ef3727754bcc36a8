# SPDX-License-Identifier: Apache-2.0
"""The declaration and checking of a stage's own parameters, without ROS."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

# How many characters of a value an error message shows.
MAX_SHOWN = 120


class ParameterError(ValueError):
    """Invalid parameters. ``problems`` holds one line for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__('; '.join(problems))
        self.problems = list(problems)


@attrs.frozen
class Parameter:
    """The declaration of one parameter: its default value and the values that are allowed.

    >>> confidence = Parameter(0.5, 'least confidence of a detection', minimum=0.0, maximum=1.0)
    >>> confidence.allowed()
    'a float from 0 to 1'
    >>> confidence.check(1)
    1.0

    Attributes:
        default: the default value. Its type is the parameter's type: bool, int, float, str, or a
            list of one of them. An int is accepted for a float, since ``5`` on a command line may
            stand for ``5.0``.
        description: one line, shown by ``ros2 param describe``.
        unit: the unit of the value, by REP 103 (m, s, rad) unless stated otherwise.
        minimum: the smallest allowed value; in a list, of each element.
        maximum: the largest allowed value, likewise.
        choices: the allowed values; empty if any value is allowed.
    """

    default: Any
    description: str = ''
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()

    def allowed(self) -> str:
        """Return a description of the allowed values, as in ``a float from 0 to 1 [m]``."""
        if self.choices:
            return 'one of ' + ', '.join(repr(choice) for choice in self.choices)
        text = type_name(self.default)
        if self.minimum is not None and self.maximum is not None:
            text += f' from {self.minimum:.9g} to {self.maximum:.9g}'
        elif self.minimum is not None:
            text += f' of {self.minimum:.9g} or more'
        elif self.maximum is not None:
            text += f' of {self.maximum:.9g} or less'
        return f'{text} [{self.unit}]' if self.unit else text

    def check(self, value: Any) -> Any:
        """Return ``value`` in the declared type; raise ValueError if it is not allowed."""
        value = self._converted(value)
        elements = value if isinstance(value, list) else [value]
        for element in elements:
            if self.choices and element not in self.choices:
                raise ValueError
            if self.minimum is not None and not element >= self.minimum:
                raise ValueError
            if self.maximum is not None and not element <= self.maximum:
                raise ValueError
        return value

    def _converted(self, value: Any) -> Any:
        if isinstance(self.default, (list, tuple)):
            if isinstance(value, (str, bytes)) or not hasattr(value, '__iter__'):
                raise ValueError
            model = self.default[0] if len(self.default) else None
            values = list(value)
            return values if model is None else [_as_type_of(model, each) for each in values]
        return _as_type_of(self.default, value)


def _as_type_of(model: Any, value: Any) -> Any:
    if isinstance(model, float) and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError from None
    # type() rather than isinstance(): in Python a bool is an int, for users it is not.
    if type(value) is not type(model):
        raise ValueError
    return value


def type_name(value: Any) -> str:
    """Return the type of a value in the words of ROS users, as in ``a list of an int``."""
    if isinstance(value, (list, tuple)) or type(value).__name__ in ('array', 'ndarray'):
        return f'a list of {type_name(value[0])}' if len(value) else 'a list'
    names = {
        bool: 'a bool',
        int: 'an int',
        float: 'a float',
        str: 'a string',
        type(None): 'nothing',
    }
    return names.get(type(value), type(value).__name__)


def one_line(text: str) -> str:
    """Return text as one printable line; line breaks and invisible characters are escaped."""
    if text.isprintable():
        return text
    return ''.join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def short_repr(value: Any) -> str:
    """Return a value as error messages show it: its repr in one line, shortened if it is long."""
    if type(value).__name__ == 'array':
        value = list(value)  # ROS passes lists of numbers as arrays
    text = one_line(repr(value))
    half = MAX_SHOWN // 2
    return text if len(text) <= MAX_SHOWN else f'{text[:half]} ... {text[-half:]}'


def as_parameters(parameters: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return a stage's ``parameters`` with plain defaults wrapped in :class:`Parameter`."""
    return {
        name: each if isinstance(each, Parameter) else Parameter(each)
        for name, each in parameters.items()
    }


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a hint for an unknown name: the known name closest to it, or all known names."""
    return suggestion(name, known) or 'known: ' + (', '.join(sorted(known)) or 'none')


def suggestion(name: str, known: Sequence[str], likeness: float = 0.5) -> str:
    """Return a hint that names the known name closest to an unknown one, '' if none is close.

    Args:
        name: the unknown name.
        known: the known names.
        likeness: how close a name has to be, from 0, any, to 1, the same.
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=likeness)
    return f"did you mean '{close[0]}'?" if close else ''


def check_parameters(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all ``parameters``: those ``given``, checked, and defaults for the rest.

    Raises :class:`ParameterError` with every problem: the name, the value, the allowed values.
    """
    specs = as_parameters(parameters)
    values = {name: spec.default for name, spec in specs.items()}
    problems = []
    for name, value in given.items():
        if name not in specs:
            problems.append(
                one_line(f'{name}: unknown parameter; {did_you_mean(name, list(specs))}')
            )
            continue
        try:
            values[name] = specs[name].check(value)
        except (ValueError, TypeError):
            problems.append(
                one_line(
                    f'{name}: found {short_repr(value)} ({type_name(value)}); '
                    f'allowed: {specs[name].allowed()}'
                )
            )
    if problems:
        raise ParameterError(problems)
    return values
