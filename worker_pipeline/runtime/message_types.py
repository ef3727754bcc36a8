"""Message classes and their names: ``std_msgs/msg/Header``."""

from __future__ import annotations

import importlib
from typing import Any


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
