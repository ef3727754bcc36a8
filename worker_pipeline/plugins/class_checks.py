# SPDX-License-Identifier: Apache-2.0
"""Checks that a worker can create a stage class and call its hooks.

Both would fail in every worker, and for every item; here it is found before anything starts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from worker_pipeline.parameter import short_repr, suggestion
from worker_pipeline.stage import Stage


class Hook(NamedTuple):
    """How a worker calls a method of a stage."""

    arguments: int
    how: str
    returns: str


_ALONE = Hook(0, 'without arguments', 'does its work before it returns')
HOOKS = {
    'process': Hook(1, 'with the item alone', 'returns one output, or None'),
    'configure': _ALONE,
    'activate': _ALONE,
    'deactivate': _ALONE,
    'cleanup': _ALONE,
    'save_state': Hook(0, 'without arguments', 'returns the state'),
    'restore_state': Hook(1, 'with the state alone', 'does its work before it returns'),
    'bind': Hook(
        2, 'by the worker, with parameters and contexts: an own method needs another name', 'binds'
    ),
}


def class_problems(found: type[Stage]) -> list[str]:
    """Return why a class cannot be created without arguments, or its hooks not be called."""
    name = found.__name__
    if inspect.isabstract(found):
        missing = ', '.join(sorted(getattr(found, '__abstractmethods__', ())))
        return [f'{name} is abstract: it does not define {missing}']
    problems = []
    if not _accepts(found):
        problems.append(
            f'{name} is created without arguments; found {name}{inspect.signature(found)}; its '
            "settings belong in 'parameters', and are read as self.params[...]"
        )
    if found.process is Stage.process:
        hint = suggestion('process', [each for each in dir(found) if not hasattr(Stage, each)])
        problem = f'{name} does not define process(self, item)'
        problems.append(f'{problem}; {hint}' if hint else problem)
    return [*problems, *filter(None, (_hook_problem(found, hook) for hook in HOOKS))]


def _hook_problem(found: type[Stage], hook: str) -> str:
    """Return why a hook cannot be called as the worker does; '' if it can."""
    method, name = getattr(found, hook), found.__name__
    if method is getattr(Stage, hook):
        return ''
    if not callable(method):
        return f'{hook} of {name}: found {short_repr(method)}; allowed: a method'
    allowed = f'allowed: a method that {HOOKS[hook].returns}'
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        return (
            f'{hook}() of {name} is a coroutine function; {allowed}, and which may call '
            'asyncio.run()'
        )
    if inspect.isgeneratorfunction(method):
        return f'{hook}() of {name} is a generator function; {allowed}'
    arguments = _arguments_of(inspect.getattr_static(found, hook), HOOKS[hook].arguments)
    if arguments is not None and not _accepts(method, *arguments):
        called = f'{hook}() of {name} is called {HOOKS[hook].how}'
        return f'{called}; found {hook}{inspect.signature(method)}'
    return ''


def _arguments_of(attribute: object, count: int) -> list[None] | None:
    """Return stand-ins for what a hook is called with on the class; None if unknown.

    Args:
        attribute: The hook, as the class has it.
        count: How many arguments the worker gives, without ``self``.
    """
    if inspect.isfunction(attribute):
        return [None] * (count + 1)
    return [None] * count if isinstance(attribute, (staticmethod, classmethod)) else None


def _accepts(call: Callable[..., Any], *arguments: Any) -> bool:
    """Return whether something can be called so; True where that cannot be known."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
