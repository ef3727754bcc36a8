# SPDX-License-Identifier: Apache-2.0
"""Message classes and their names: ``std_msgs/msg/Header``."""

from __future__ import annotations

import importlib
import re
from typing import Any

# The generated classes' names of the primitive types, in IDL, and those in .msg files. IDL's wchar
# and long double have no name there.
_PRIMITIVES = {
    'boolean': 'bool',
    'octet': 'byte',
    'char': 'char',
    'float': 'float32',
    'double': 'float64',
    'string': 'string',
    'wstring': 'wstring',
    **{name: name for bits in (8, 16, 32, 64) for name in (f'int{bits}', f'uint{bits}')},
}
_SEQUENCE = re.compile(r'sequence<(?P<of>.+?)(?:, (?P<bound>\d+))?>')
_ARRAY = re.compile(r'(?P<of>.+)\[(?P<size>\d+)\]')
_BOUNDED_STRING = re.compile(r'(?P<of>w?string)<(?P<bound>\d+)>')


def name_of(message_class: Any) -> str:
    """Return a message class's full name. Raises TypeError for any other class."""
    if not isinstance(message_class, type) or not hasattr(
        message_class, 'get_fields_and_field_types'
    ):
        raise TypeError(f'found {message_class!r}; allowed: a ROS message class')
    package, kind = message_class.__module__.split('.')[:2]
    return f'{package}/{kind}/{message_class.__name__}'


def class_of(name: str) -> Any:
    """Return the message class of a full name. Raises ImportError or AttributeError."""
    package, kind, message = name.split('/')
    return getattr(importlib.import_module(f'{package}.{kind}'), message)


def has_header(message_class: Any) -> bool:
    """Return whether the first field is a ``std_msgs/Header``, or the class Header itself."""
    if name_of(message_class) == 'std_msgs/msg/Header':
        return True
    fields = message_class.get_fields_and_field_types()
    return next(iter(fields.items()), None) == ('header', 'std_msgs/Header')


def definition_of(name: str) -> str:
    """Return the text of a type's ``.msg`` file, followed by those of the types that it contains.

    It suffices to read a serialised message: the fields in order. The generated classes do
    not know constants, defaults and comments.

    Raises:
        ImportError, AttributeError: A type is not installed.
        ValueError: A field cannot be described in a ``.msg`` file.
    """
    texts: dict[str, str] = {}
    wanted = [name]
    for wanted_name in wanted:
        if wanted_name in texts:
            continue
        lines = []
        for field, idl_type in class_of(wanted_name).get_fields_and_field_types().items():
            type_name, made_of = _msg_type(idl_type)
            lines.append(f'{type_name} {field}\n')
            if made_of:
                package, message = made_of.split('/')
                wanted.append(f'{package}/msg/{message}')
        texts[wanted_name] = ''.join(lines)
    first, *others = texts
    heads = (f'{"=" * 80}\nMSG: {other.replace("/msg/", "/")}\n{texts[other]}' for other in others)
    return texts[first] + ''.join(heads)


def _msg_type(idl_type: str) -> tuple[str, str]:
    """Return a field's type as in a ``.msg`` file, and the message type in it, or ''."""
    if found := _SEQUENCE.fullmatch(idl_type):
        type_name, made_of = _msg_type(found['of'])
        return f'{type_name}[<={found["bound"]}]' if found['bound'] else f'{type_name}[]', made_of
    if found := _ARRAY.fullmatch(idl_type):
        type_name, made_of = _msg_type(found['of'])
        return f'{type_name}[{found["size"]}]', made_of
    if found := _BOUNDED_STRING.fullmatch(idl_type):
        return f'{found["of"]}<={found["bound"]}', ''
    if '/' in idl_type:
        return idl_type, idl_type
    if idl_type not in _PRIMITIVES:
        raise ValueError(f'found a field of type {idl_type!r}; allowed: the types of .msg files')
    return _PRIMITIVES[idl_type], ''
