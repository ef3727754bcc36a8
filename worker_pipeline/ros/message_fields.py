# SPDX-License-Identifier: Apache-2.0
"""The values of a message's fields: sent as they are meant, or not at all.

Since Jazzy, the generated classes check nothing unless told to, and the conversion to C then sends
other numbers without an error: an ``int`` or a ``numpy.float32`` in a float field arrives as
garbage, a 1 in a bool field as False, and a number that is too large is cut.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

_INTEGERS = {
    f'{sign}int{bits}': (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ('', 'u')
    for bits in (8, 16, 32, 64)
}


@attrs.frozen
class _Fields:
    """The fields of a class that have to be looked at: name and slot; an integer's limits."""

    texts: tuple[tuple[str, str], ...]
    floats: tuple[tuple[str, str], ...]
    bools: tuple[tuple[str, str], ...]
    integers: tuple[tuple[str, str, int, int], ...]
    messages: tuple[tuple[str, str], ...]
    sequences: tuple[tuple[str, str], ...]  # of messages


_known: dict[type, _Fields] = {}


def check_fields(message: Any) -> None:
    """Check numbers and texts; give each number the type of its field if it is the same number.

    Raises:
        TypeError: A field of a number or a text has something else.
        OverflowError: A field has a number that is too large or too small.
    """
    fields = _known.get(type(message)) or _fields_of(type(message))
    # Read from the slots, and not through the properties: this is done for every output.
    for name, slot in fields.texts:
        if not isinstance(getattr(message, slot), str):
            found = type(getattr(message, slot)).__name__
            raise TypeError(f'{name}: found {found}; allowed: a text')
    for name, slot in fields.floats:
        value = getattr(message, slot)
        if type(value) is not float:
            setattr(message, slot, _float(name, value))
    for name, slot in fields.bools:
        value = getattr(message, slot)
        if type(value) is not bool:
            setattr(message, slot, _bool(name, value))
    for name, slot, low, high in fields.integers:
        value = getattr(message, slot)
        if type(value) is not int:
            value = _integer(name, value)
            setattr(message, slot, value)
        if not low <= value <= high:
            raise OverflowError(f'{name}: found {value}; allowed: {low} to {high}')
    for name, slot in fields.messages:
        _check_within(name, getattr(message, slot))
    for name, slot in fields.sequences:
        for index, each in enumerate(getattr(message, slot)):
            _check_within(f'{name}[{index}]', each)


def _check_within(name: str, message: Any) -> None:
    try:
        check_fields(message)
    except AttributeError:
        found = type(message).__name__
        raise TypeError(f'{name}: found {found}; allowed: a message') from None
    except (TypeError, OverflowError) as error:
        raise type(error)(f'{name}.{error}') from None


def _float(name: str, value: Any) -> float:
    if isinstance(value, float | int | np.floating | np.integer):
        return float(value)
    raise TypeError(f'{name}: found {type(value).__name__}; allowed: a number')


def _bool(name: str, value: Any) -> bool:
    if isinstance(value, np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise TypeError(f'{name}: found {type(value).__name__}; allowed: True or False')


def _integer(name: str, value: Any) -> int:
    if isinstance(value, int | np.integer):
        return int(value)
    raise TypeError(f'{name}: found {type(value).__name__}; allowed: an integer')


def _fields_of(kind: Any) -> _Fields:
    described = kind.get_fields_and_field_types()
    slots = {name: (name, f'_{name}') for name in described}
    messages = {name: text for name, text in described.items() if '/' in text}
    fields = _known[kind] = _Fields(
        texts=tuple(
            slots[name] for name, text in described.items() if text in ('string', 'wstring')
        ),
        floats=tuple(slots[name] for name in described if described[name] in ('float', 'double')),
        bools=tuple(slots[name] for name in described if described[name] == 'boolean'),
        integers=tuple(
            (*slots[name], *_INTEGERS[text])
            for name, text in described.items()
            if text in _INTEGERS
        ),
        messages=tuple(slots[name] for name, text in messages.items() if not _is_many(text)),
        sequences=tuple(slots[name] for name, text in messages.items() if _is_many(text)),
    )
    return fields


def _is_many(text: str) -> bool:
    return text.startswith('sequence<') or text.endswith(']')
