"""Finding a stage's class, and asking it about itself without letting it into the manager.

A plugin is a user's code: importing it may take long, print, or crash. So the manager never does;
a short-lived process does, and tells what it found.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.parameter import ParameterError, check_parameters
from worker_pipeline.runtime import message_types, processes
from worker_pipeline.stage import Stage


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
                f'found {plugin!r}; no module {error.name!r} on the Python path'
            ) from error
        raise PluginError(f'found {plugin!r}; importing it failed: {error}') from error
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f'found {plugin!r}; importing it failed: {type(error).__name__}: {error} '
            f'({where.filename}:{where.lineno})'
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise PluginError(f'found {plugin!r}; {module_name} has no {class_name!r}')
    if not isinstance(found, type) or not issubclass(found, Stage):
        raise PluginError(f'found {plugin!r}; allowed: a subclass of worker_pipeline.Stage')
    return found


def describe(stage: StageConfig) -> PluginDescription:
    """Import a stage's class and tell its types and what is wrong with it."""
    try:
        found = load_stage_class(stage.plugin)
    except PluginError as error:
        return PluginDescription(problems=[f'plugin: {error}'])
    problems = []
    names: dict[str, str] = {}
    typed = {'input_type': found.input_type, 'output_type': found.output_type}
    typed |= {f'contexts[{name!r}]': each for name, each in found.contexts.items()}
    for attribute, message_class in typed.items():
        try:
            names[attribute] = message_types.name_of(message_class)
            if not message_types.has_header(message_class):
                problems.append(
                    f'plugin: {attribute} of {stage.plugin} is {names[attribute]}; allowed: '
                    'std_msgs/msg/Header, or a message whose first field is one named header'
                )
        except TypeError as error:
            problems.append(f'plugin: {attribute} of {stage.plugin}: {error}')
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
        problems=problems,
        remembers=remembers,
    )


def inspect(
    stages: Mapping[str, StageConfig], launcher: processes.Launcher
) -> dict[str, PluginDescription]:
    """Describe every stage's class, each in a process of its own, all at once.

    Bounded by each stage's ``startup_timeout``. A class whose import ends or hangs its process is
    described by that problem. Raises nothing for a bad plugin; its description tells.
    """
    asked: dict[str, tuple[Any, Connection]] = {}
    for name, stage in stages.items():
        receiver, sender = launcher.pipe()
        process = launcher.start_helper(_describe_into, (stage, sender))
        sender.close()
        asked[name] = (process, receiver)
    told: dict[str, PluginDescription] = {}
    for name, (process, receiver) in asked.items():
        stage = stages[name]
        try:
            if receiver.poll(stage.startup_timeout):
                told[name] = receiver.recv()
            else:
                told[name] = _undescribed(
                    stage, f'took longer than startup_timeout, {stage.startup_timeout:g} s'
                )
        except EOFError:
            process.join(1.0)
            reason = processes.exit_reason(process.exitcode)
            told[name] = _undescribed(stage, f'ended the process: {reason}')
        finally:
            receiver.close()
            process.kill()
            process.join(1.0)
    return told


def _undescribed(stage: StageConfig, what: str) -> PluginDescription:
    return PluginDescription(problems=[f'plugin: found {stage.plugin!r}; importing it {what}'])


def _describe_into(stage: StageConfig, sender: Connection) -> None:
    # A plugin may print while it is imported; that must not look like the manager's own words.
    sys.stdout = sys.stderr
    sender.send(describe(stage))
    sender.close()
