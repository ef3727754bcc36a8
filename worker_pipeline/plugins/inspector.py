# SPDX-License-Identifier: Apache-2.0
"""Inspects stage classes without importing them into the manager.

A plugin is user code: importing it may take long, print, or crash. So a short-lived process imports
it and sends back a description.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import attrs
import rclpy

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.config.schema import TOPIC
from worker_pipeline.error_text import describe_error
from worker_pipeline.parameter import (
    ParameterError,
    as_parameters,
    check_parameters,
    one_line,
    short_repr,
)
from worker_pipeline.plugins.class_checks import class_problems
from worker_pipeline.plugins.loader import PluginError, load_stage_class
from worker_pipeline.plugins.parameter_checks import parameter_problems
from worker_pipeline.ros import message_types
from worker_pipeline.stage import Stage
from worker_pipeline.state_codec import BYTES, CODECS, JSON, is_available
from worker_pipeline.system import processes
from worker_pipeline.system.proc import is_stopped
from worker_pipeline.system.processes import WorkerProcess
from worker_pipeline.topic import AbsoluteTopic, message_type_of, topic_name_of
from worker_pipeline.transient_errors import file_may_appear, is_transient

# The names allowed for a stage's extra topics: not those that every stage has. With a slash, as in
# picture/compressed, they are those of variants of a topic.
TOPIC_NAME = re.compile(
    r'(?!(input|output|transition_event)$|worker_)[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*'
)
# How often a wait for a plugin checks whether it was interrupted, s.
POLL_PERIOD = 0.1
# How often in a row a plugin's process is found stopped by a signal before it counts as killed.
STOPPED_POLLS = 10
# How much longer than its startup_timeout a plugin's process may live, s.
GRACE = 2.0
# How long to wait for the exit of a plugin's process, and of those that it has started, s.
EXIT_TIMEOUT = 3.0


def _type_name(message_class: Any) -> str:
    """Return the name by which the manager finds a message class. Raises TypeError for others."""
    with contextlib.suppress(ImportError, AttributeError, ValueError):
        name = message_types.name_of(message_class)
        # The manager would have to import a class of any other module, so none is allowed.
        if '/msg/' in name and message_types.class_of(name) is message_class:
            return name
    raise TypeError(f'found {short_repr(message_class)}; allowed: a ROS message class')


def describe(stage: StageConfig) -> PluginDescription:
    """Import a stage's class and return its types and its errors."""
    was_initialised = rclpy.ok()
    try:
        stage_class = load_stage_class(stage.plugin)
        if rclpy.ok() and not was_initialised:
            raise PluginError(
                f'found {short_repr(stage.plugin)}; importing it calls rclpy.init(), which the '
                'worker has to do itself; allowed: nodes made in configure'
            )
        return _describe_class(stage, stage_class)
    except PluginError as error:
        may_pass = is_transient(error) or file_may_appear(error)
        return PluginDescription(problems=[one_line(f'plugin: {error}')], may_pass=may_pass)
    # A class may be wrong in ways that are not checked here, and may even call sys.exit().
    except BaseException as error:
        found = short_repr(stage.plugin)
        text = f'plugin: found {found}; inspecting it failed: {describe_error(error)}'
        return PluginDescription(problems=[one_line(text)], may_pass=is_transient(error))


def _describe_class(stage: StageConfig, found: type[Stage]) -> PluginDescription:
    problems = []
    for attribute in ('contexts', 'parameters', 'topics'):
        value = getattr(found, attribute)
        if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value):
            problems.append(
                f'plugin: {attribute} of {stage.plugin}: found {short_repr(value)}; '
                'allowed: a mapping from names'
            )
    if not problems:
        problems += [f'plugin: {each}' for each in parameter_problems(found)]
    if problems:
        return PluginDescription(problems=[one_line(each) for each in problems])
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
                f'{where}: found {short_repr(name)}; allowed: small letters, digits and _, but not '
                "'input', 'output', 'transition_event' nor what begins with 'worker_'"
            )
        absolute = topic_name_of(name, declared_type)
        if isinstance(declared_type, AbsoluteTopic) and not TOPIC.match(str(absolute)):
            problems.append(
                f'{where}: found the name {short_repr(absolute)}; allowed: an absolute topic'
            )
        try:
            _type_name(message_type_of(declared_type))
        except TypeError as error:
            problems.append(f'{where}: {error}')
    if unknown := [each for each in found.optional_contexts if each not in found.contexts]:
        problems.append(
            f'plugin: optional_contexts of {stage.plugin}: found {short_repr(unknown[0])}; '
            'allowed: names of its contexts'
        )
    remembers = found.save_state is not Stage.save_state
    if remembers != (found.restore_state is not Stage.restore_state):
        pair = ('save_state', 'restore_state')
        has, misses = pair if remembers else reversed(pair)
        problems.append(f'plugin: found {has} without {misses}; allowed: both or neither')
    if not isinstance(found.exclusive, bool):
        problems.append(
            f'plugin: exclusive of {stage.plugin}: found {short_repr(found.exclusive)}; '
            'allowed: True or False'
        )
    problems += _codec_problems(found, remembers)
    problems += [f'plugin: {each}' for each in class_problems(found)]
    try:
        check_parameters(found.parameters, stage.params)
    except ParameterError as error:
        problems += [f'params.{text}' for text in error.problems]
    return PluginDescription(
        input_type=names.get('input_type', ''),
        output_type=names.get('output_type', ''),
        contexts={name: names.get(f'contexts[{name!r}]', '') for name in found.contexts},
        optional_contexts=tuple(found.optional_contexts),
        problems=[one_line(each) for each in problems],
        remembers=remembers,
        exclusive=found.exclusive is True,
        separate_states=bool(found.separate_states),
        parameters=as_parameters(found.parameters),
    )


def _codec_problems(found: type[Stage], remembers: bool) -> list[str]:
    """Return what is wrong with the codec of a class's state."""
    codec = found.state_codec
    if codec not in CODECS:
        allowed = ', '.join(repr(each) for each in CODECS)
        return [f'plugin: state_codec: found {short_repr(codec)}; allowed: {allowed}']
    if codec != BYTES and not remembers:
        return [f'plugin: state_codec: found {codec!r} without save_state; allowed: with it']
    if not is_available(codec):
        missing = f'found {codec!r}, a Python package that is not installed'
        return [f'plugin: state_codec: {missing}; allowed: {JSON!r}, or to install it']
    return []


class InspectionInterruptedError(Exception):
    """The inspection was interrupted because the pipeline is to stop."""


def inspect(
    stages: Mapping[str, StageConfig],
    launcher: processes.Launcher,
    interrupted: Callable[[], bool] = lambda: False,
    warn: Callable[[str], None] = lambda _text: None,
) -> dict[str, PluginDescription]:
    """Describe every stage's class, in parallel, each in its own process.

    Nothing is raised for a bad plugin: a class that on import crashes its process, or takes longer
    than the stage's ``startup_timeout``, is described by that problem. What may pass by itself,
    such as a process that was killed, is tried once more within that time. The processes, and
    those that a plugin has started during its import, are killed in the end.

    Args:
        stages: The stages' configurations by name.
        launcher: Starts the processes.
        interrupted: Polled; becomes true when the inspection should stop.
        warn: Called with a text on each module that is tried once more, or whose import has left
            processes behind.

    Returns:
        The descriptions by stage.

    Raises:
        InspectionInterruptedError: ``interrupted`` became true.
    """
    begin = time.monotonic()
    descriptions = _describe_all(stages, launcher, interrupted, warn)
    elapsed = time.monotonic() - begin
    again = {
        name: stages[name]
        for name, each in descriptions.items()
        if each.may_pass and elapsed < stages[name].startup_timeout
    }
    for name in again:
        warn(f'{name}: {descriptions[name].problems[0]}; importing it once more')
    return descriptions | (_describe_all(again, launcher, interrupted, warn) if again else {})


def _describe_all(
    stages: Mapping[str, StageConfig],
    launcher: processes.Launcher,
    interrupted: Callable[[], bool],
    warn: Callable[[str], None],
) -> dict[str, PluginDescription]:
    """Describe every stage's class, as ``inspect`` does, in one attempt."""
    begin = time.monotonic()
    started: dict[str, tuple[WorkerProcess, Connection]] = {}
    descriptions: dict[str, PluginDescription] = {}
    try:
        for name, stage in stages.items():
            receiver, sender = launcher.pipe()
            with sender:
                started[name] = launcher.start_helper(_describe_into, (stage, sender)), receiver
        for name, (process, receiver) in started.items():
            problem = _wait(process, receiver, begin, stages[name].startup_timeout, interrupted)
            descriptions[name] = (
                _failed_import(stages[name], problem, may_pass=True)
                if problem
                else _receive(stages[name], process, receiver)
            )
    finally:
        for process, receiver in started.values():
            receiver.close()
            process.send_signal(signal.SIGKILL)
        for name, (process, _) in started.items():
            process.join(EXIT_TIMEOUT)
            if process.left_behind:
                warn(f'{name}: importing {stages[name].plugin} left {process.left_behind}')
    return descriptions


def _wait(
    process: WorkerProcess,
    receiver: Connection,
    begin: float,
    timeout: float,
    interrupted: Callable[[], bool],
) -> str:
    """Wait for a description; return '' when it has arrived, or why it is waited for no longer.

    Args:
        process: Sends it.
        receiver: Receives it.
        begin: When the process was started, s.
        timeout: How long it may take, s.
        interrupted: As in ``inspect``.
    """
    stopped = 0
    while not interrupted():
        remaining = begin + timeout - time.monotonic()
        if receiver.poll(max(0.0, min(remaining, POLL_PERIOD))):
            return ''
        stopped = stopped + 1 if is_stopped(process.pid) else 0
        if stopped >= STOPPED_POLLS:
            return 'was stopped by a signal'
        if remaining <= 0.0:
            return f'took longer than startup_timeout, {timeout:g} s'
    raise InspectionInterruptedError


def _receive(stage: StageConfig, process: WorkerProcess, receiver: Connection) -> PluginDescription:
    try:
        description: PluginDescription = receiver.recv()
    except (EOFError, OSError):
        process.join(EXIT_TIMEOUT)
        reason = processes.exit_reason(process.exit_code)
        # A signal may be the kernel's, as when memory is short. An exit code is the module's own.
        by_signal = process.exit_code is None or process.exit_code < 0
        return _failed_import(stage, f'ended the process: {reason}', may_pass=by_signal)
    return description


def _failed_import(stage: StageConfig, result: str, *, may_pass: bool) -> PluginDescription:
    problem = f'plugin: found {short_repr(stage.plugin)}; importing it {result}'
    return PluginDescription(problems=[problem], may_pass=may_pass)


def _describe_into(stage: StageConfig, sender: Connection) -> None:
    # Ends this process even if the manager is killed while the plugin hangs.
    signal.setitimer(signal.ITIMER_REAL, stage.startup_timeout + GRACE)
    # The output of a plugin's import must not look like the manager's output.
    sys.stdout = sys.stderr
    before = set(sys.modules)
    description = describe(stage)
    files = _files_of(name for name in sys.modules if name not in before)
    sender.send(attrs.evolve(description, files=files))
    sender.close()


def _files_of(modules: Iterable[str]) -> list[tuple[str, int, int]]:
    """Return the files of modules: their paths, times of change, ns, and sizes."""
    paths = {getattr(sys.modules[name], '__file__', None) for name in list(modules)}
    found = []
    for path in sorted(each for each in paths if isinstance(each, str)):
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found.append((path, status.st_mtime_ns, status.st_size))
    return found
