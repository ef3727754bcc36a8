"""Finding a stage's class, and asking it about itself without letting it into the manager.

A plugin is a user's code: importing it may take long, print, or crash. So the manager never does;
a short-lived process does, and tells what it found.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.parameter import (
    ParameterError,
    check_parameters,
    declared,
    one_line,
    shown,
)
from worker_pipeline.runtime import message_types, processes
from worker_pipeline.stage import Stage
from worker_pipeline.topic import message_type_of

# Of a stage's further topics: not those that it has already.
TOPIC_NAME = re.compile(r'(?!(input|output|transition_event)$|worker_)[a-z][a-z0-9_]*')
# How often a wait for a plugin looks whether it is to go on, in seconds.
LOOK_AGAIN = 0.1
# How much longer than its startup_timeout a plugin's process may live, in seconds.
GRACE = 2.0


class PluginError(Exception):
    """A plugin that cannot be had, or is no stage."""


def load_stage_class(plugin: str) -> type[Stage]:
    """The class behind ``module:Class``; PluginError says what is wrong with it."""
    module_name, _, class_name = plugin.partition(':')
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Tell a plugin that is not there from one whose own imports fail.
        if error.name and (module_name == error.name or module_name.startswith(error.name + '.')):
            raise PluginError(
                f'found {shown(plugin)}; no module {shown(error.name)} on the Python path'
            ) from error
        raise PluginError(
            f'found {shown(plugin)}; importing it failed: {_in_words(error)}'
        ) from error
    # Also what is no Exception: a script that is no module calls sys.exit(), or is interrupted.
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f'found {shown(plugin)}; importing it failed: {_in_words(error)} '
            f'({where.filename}:{where.lineno})'
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise PluginError(f'found {shown(plugin)}; {module_name} has no {class_name!r}')
    if not isinstance(found, type) or not issubclass(found, Stage):
        raise PluginError(f'found {shown(plugin)}; allowed: a subclass of worker_pipeline.Stage')
    return found


def _in_words(error: BaseException) -> str:
    try:
        text = ' '.join(str(error).split())
    except Exception:  # a user's own exception
        text = 'no text'
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


def _type_name(message_class: Any) -> str:
    """The name of a message class by which the manager will find it too; TypeError for others."""
    with contextlib.suppress(ImportError, AttributeError, ValueError):
        name = message_types.name_of(message_class)
        # One of a user's own module would have the manager import that.
        if '/msg/' in name and message_types.class_of(name) is message_class:
            return name
    raise TypeError(f'found {shown(message_class)}; allowed: a ROS message class')


def describe(stage: StageConfig) -> PluginDescription:
    """Import a stage's class and tell its types and what is wrong with it."""
    try:
        return _described(stage, load_stage_class(stage.plugin))
    except PluginError as error:
        return PluginDescription(problems=[one_line(f'plugin: {error}')])
    except Exception as error:  # a class may be strange in more ways than are looked for
        text = f'plugin: found {shown(stage.plugin)}; asking it failed: {_in_words(error)}'
        return PluginDescription(problems=[one_line(text)])


def _described(stage: StageConfig, found: type[Stage]) -> PluginDescription:
    problems = []
    for attribute in ('contexts', 'parameters', 'topics'):
        value = getattr(found, attribute)
        if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value):
            problems.append(
                f'plugin: {attribute} of {stage.plugin}: found {shown(value)}; '
                'allowed: a mapping from names'
            )
    if problems:
        return PluginDescription(problems=problems)
    names: dict[str, str] = {}
    typed = {'input_type': found.input_type, 'output_type': found.output_type}
    typed |= {f'contexts[{name!r}]': each for name, each in found.contexts.items()}
    for attribute, message_class in typed.items():
        try:
            names[attribute] = _type_name(message_class)
            if not message_types.has_header(message_class):
                problems.append(
                    f'plugin: {attribute} of {stage.plugin} is {names[attribute]}; allowed: '
                    'std_msgs/msg/Header, or a message whose first field is one named header'
                )
        except TypeError as error:
            problems.append(f'plugin: {attribute} of {stage.plugin}: {error}')
    for name, declared_type in found.topics.items():
        where = f'plugin: topics[{name!r}] of {stage.plugin}'
        if not TOPIC_NAME.fullmatch(name):
            problems.append(
                f'{where}: found {shown(name)}; allowed: small letters, digits and _, but not '
                "'input', 'output', 'transition_event' nor what begins with 'worker_'"
            )
        try:
            _type_name(message_type_of(declared_type))
        except TypeError as error:
            problems.append(f'{where}: {error}')
    remembers = found.save_state is not Stage.save_state
    if remembers != (found.restore_state is not Stage.restore_state):
        pair = ('save_state', 'restore_state')
        has, misses = pair if remembers else reversed(pair)
        problems.append(f'plugin: found {has} without {misses}; allowed: both or neither')
    try:
        check_parameters(found.parameters, stage.params)
    except ParameterError as error:
        problems += [f'params.{text}' for text in error.problems]
    return PluginDescription(
        input_type=names.get('input_type', ''),
        output_type=names.get('output_type', ''),
        contexts={name: names.get(f'contexts[{name!r}]', '') for name in found.contexts},
        problems=[one_line(each) for each in problems],
        remembers=remembers,
        parameters=declared(found.parameters),
    )


class InspectionInterruptedError(Exception):
    """The wait for plugins was broken off, as the pipeline is to end before it has begun."""


def inspect(
    stages: Mapping[str, StageConfig],
    launcher: processes.Launcher,
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, PluginDescription]:
    """Describe every stage's class, each in a process of its own, all at once.

    Bounded by each stage's ``startup_timeout``. A class whose import ends or hangs its process is
    described by that problem: nothing is raised for a bad plugin. Raises
    :class:`InspectionInterruptedError` soon after ``interrupted()`` has become true. Nothing is
    left of the processes, nor of those that a plugin started while it was imported.
    """
    begin = time.monotonic()
    asked: dict[str, tuple[Any, Connection]] = {}
    told: dict[str, PluginDescription] = {}
    try:
        for name, stage in stages.items():
            receiver, sender = launcher.pipe()
            with sender:
                asked[name] = launcher.start_helper(_describe_into, (stage, sender)), receiver
        for name, (process, receiver) in asked.items():
            deadline = begin + stages[name].startup_timeout
            if _wait(receiver, deadline, interrupted):
                told[name] = _answer(stages[name], process, receiver)
            else:
                told[name] = _undescribed(
                    stages[name],
                    f'took longer than startup_timeout, {stages[name].startup_timeout:g} s',
                )
    finally:
        for process, receiver in asked.values():
            receiver.close()
            _end(process)
    return told


def _wait(receiver: Connection, deadline: float, interrupted: Callable[[], bool]) -> bool:
    """Wait until there is something to receive; false where there was nothing in time."""
    while not interrupted():
        remaining = deadline - time.monotonic()
        if receiver.poll(max(0.0, min(remaining, LOOK_AGAIN))):
            return True
        if remaining <= 0.0:
            return False
    raise InspectionInterruptedError


def _answer(stage: StageConfig, process: Any, receiver: Connection) -> PluginDescription:
    try:
        description: PluginDescription = receiver.recv()
    except (EOFError, OSError):
        process.join(1.0)
        reason = processes.exit_reason(process.exitcode)
        return _undescribed(stage, f'ended the process: {reason}')
    return description


def _end(process: Any) -> None:
    """End a helper and whatever its plugin has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # It may not have come as far as to have a group of its own.
    if process.is_alive():
        process.kill()
    process.join(1.0)


def _undescribed(stage: StageConfig, what: str) -> PluginDescription:
    return PluginDescription(problems=[f'plugin: found {shown(stage.plugin)}; importing it {what}'])


def _describe_into(stage: StageConfig, sender: Connection) -> None:
    os.setpgid(0, 0)
    # Also where the manager is killed while a plugin hangs, and there is nobody to end it.
    signal.setitimer(signal.ITIMER_REAL, stage.startup_timeout + GRACE)
    # A plugin may print while it is imported; that must not look like the manager's own words.
    sys.stdout = sys.stderr
    sender.send(describe(stage))
    sender.close()
