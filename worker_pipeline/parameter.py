"""A stage's own parameters: declaration and checking, without ROS."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

# How much of a value an error message shows, in characters.
LONGEST_SHOWN = 120


class ParameterError(ValueError):
    """Parameters that do not fit their declaration. ``problems`` holds one line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__('; '.join(problems))
        self.problems = list(problems)


@attrs.frozen
class Parameter:
    """One parameter of a stage: its default, and what is allowed.

    The default's type is the parameter's type (bool, int, float, str, or a list of one of them). An
    int is taken where a float is declared, as on the command line ``5`` stands for ``5.0``.
    ``minimum`` and ``maximum`` are inclusive and hold for each element of a list; ``unit`` follows
    REP 103 (m, s, rad) unless it says otherwise.
    """

    default: Any
    description: str = ''
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()

    def allowed(self) -> str:
        """What is allowed, in words, for error messages and for ``ros2 param describe``."""
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
        """Return ``value`` in the declared type; raise ValueError where it is not allowed."""
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
    # type() rather than isinstance(): a bool is an int to Python, and not to a user.
    if type(value) is not type(model):
        raise ValueError
    return value


def type_name(value: Any) -> str:
    """The name ROS users know a Python value's type by."""
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
    """Text as one printable line: what would break it, or deceive a reader, is escaped."""
    if text.isprintable():
        return text
    return ''.join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def shown(value: Any) -> str:
    """A value as a message shows it: one line, and no longer than can be read."""
    if type(value).__name__ == 'array':
        value = list(value)  # as ROS gives lists of numbers
    text = one_line(repr(value))
    half = LONGEST_SHOWN // 2
    return text if len(text) <= LONGEST_SHOWN else f'{text[:half]} ... {text[-half:]}'


def declared(parameters: Mapping[str, Any]) -> dict[str, Parameter]:
    """A stage's ``parameters`` with every plain default wrapped in a :class:`Parameter`."""
    return {
        name: each if isinstance(each, Parameter) else Parameter(each)
        for name, each in parameters.items()
    }


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint that ends an "unknown name" message: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return 'known: ' + (', '.join(sorted(known)) or 'none')


def check_parameters(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """All of ``parameters`` with the values ``given``, checked, and defaults for the rest.

    Raises :class:`ParameterError` with every problem: the name, what was found, what is allowed.
    """
    specs = declared(parameters)
    values = {name: spec.default for name, spec in specs.items()}
    problems = []
    for name, value in given.items():
        if name not in specs:
            problems.append(one_line(f'{name}: unknown parameter; {nearest(name, list(specs))}'))
            continue
        try:
            values[name] = specs[name].check(value)
        except (ValueError, TypeError):
            problems.append(
                one_line(
                    f'{name}: found {shown(value)} ({type_name(value)}); '
                    f'allowed: {specs[name].allowed()}'
                )
            )
    if problems:
        raise ParameterError(problems)
    return values
