"""Message classes and their names: ``std_msgs/msg/Header``."""

from __future__ import annotations

import importlib
import re
from typing import Any

# What the generated classes call the primitive types (in the language of IDL), and what .msg files
# do. The IDL's wchar and long double have no name there.
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
    """A message class's full name; TypeError for what is no message class."""
    if not isinstance(message_class, type) or not hasattr(
        message_class, 'get_fields_and_field_types'
    ):
        raise TypeError(f'found {message_class!r}; allowed: a ROS message class')
    package, kind = message_class.__module__.split('.')[:2]
    return f'{package}/{kind}/{message_class.__name__}'


def class_of(name: str) -> Any:
    """The message class of a full name; ImportError or AttributeError where there is none."""
    package, kind, message = name.split('/')
    return getattr(importlib.import_module(f'{package}.{kind}'), message)


def has_header(message_class: Any) -> bool:
    """Whether the first field is a ``std_msgs/Header``, or the class is Header itself."""
    if name_of(message_class) == 'std_msgs/msg/Header':
        return True
    fields = message_class.get_fields_and_field_types()
    return next(iter(fields.items()), None) == ('header', 'std_msgs/Header')


def definition_of(name: str) -> str:
    """The text of a type's ``.msg`` file and, below it, of every type it is made of.

    It has what is needed to read a serialised message: the fields in order. Constants, defaults and
    comments are not known to the generated classes. ImportError or AttributeError where a type is
    not installed; ValueError for a field that no ``.msg`` file can describe.
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
    """A field's type as a ``.msg`` file has it, and the message it is made of, or ''."""
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
