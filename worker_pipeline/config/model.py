# SPDX-License-Identifier: Apache-2.0
"""The configuration as the rest of the package uses it: read, checked and immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from worker_pipeline.config.schema import TICK_TYPE
from worker_pipeline.core.ledger import Overflow
from worker_pipeline.parameter import Parameter, one_line


class ConfigurationError(ValueError):
    """An invalid configuration, or one that cannot be checked for now.

    Attributes:
        problems: one line for each problem.
        may_pass: whether they may all pass by themselves: no value is known to be wrong.
    """

    def __init__(self, problems: Sequence[str], *, may_pass: bool = False) -> None:
        self.problems = [one_line(each) for each in problems]
        self.may_pass = may_pass
        super().__init__('\n'.join(self.problems))


@attrs.frozen
class StageConfig:
    """The configuration of one stage. The fields are the configuration's keys.

    Times are in seconds, ``memory_limit`` in MB.
    """

    name: str
    plugin: str
    inputs: tuple[str, ...]
    period: float
    workers: int
    standby: int
    concurrency: int
    queue_size: int
    overflow: Overflow
    accept_external: bool
    stamps: str
    stamp_offset: float
    ordered: bool
    task_timeout: float
    startup_timeout: float
    max_attempts: int
    threads: int
    memory_limit: float
    max_items_per_worker: int
    max_worker_age: float
    context: Mapping[str, str]
    params: Mapping[str, Any]

    @property
    def subscribed_inputs(self) -> tuple[str, ...]:
        """Return the inputs that the stage subscribes to.

        Not stages of the same manager, unless other nodes may publish on their topics.
        """
        return tuple(each for each in self.inputs if self.accept_external or each.startswith('/'))


@attrs.frozen
class PipelineConfig:
    """The configuration of a pipeline. The fields are the configuration's keys.

    Times are in seconds, ``frame_memory`` in MB.
    """

    stages: Mapping[str, StageConfig]
    heartbeat_period: float
    heartbeat_timeout: float
    restart_backoff_max: float
    restart_limit: int
    restart_window: float
    spares: int
    orphan_timeout: float
    shutdown_timeout: float
    journal: bool
    frame_memory: float
    exit_when_done: bool
    use_sim_time: bool = False

    def followers(self, name: str) -> list[str]:
        """Return the stages fed by this stage's output."""
        return [each.name for each in self.stages.values() if name in each.inputs]

    def is_context(self, name: str) -> bool:
        """Return whether this stage's output is a context of another stage."""
        return any(name in each.context.values() for each in self.stages.values())

    def is_context_only(self, name: str) -> bool:
        """Return whether this stage's output is a context and no stage's input."""
        return self.is_context(name) and not self.followers(name)


@attrs.frozen
class PluginDescription:
    """The declarations of a stage's class, sent by a helper process that imported it.

    Attributes:
        input_type: the type of its items, written ``std_msgs/msg/Header``.
        output_type: the type of its outputs.
        contexts: the message type of each context by its name.
        problems: errors of the class or its parameters, one line for each, without the
            stage's name.
        may_pass: whether these may pass by themselves, as when the machine is short of memory.
        remembers: whether the class overrides ``save_state``.
        exclusive: whether only one worker of the stage may exist at a time.
        separate_states: whether it may have several workers, each with its own state.
        parameters: the stage's own parameters, as declared.
        files: those that its import has loaded: their paths, times of change, ns, and sizes.
        optional_contexts: the names of contexts that need not be given.
    """

    input_type: str = ''
    output_type: str = ''
    contexts: Mapping[str, str] = attrs.field(factory=dict)
    problems: Sequence[str] = ()
    may_pass: bool = False
    remembers: bool = False
    exclusive: bool = False
    separate_states: bool = False
    parameters: Mapping[str, Parameter] = attrs.field(factory=dict)
    files: Sequence[tuple[str, int, int]] = ()
    optional_contexts: Sequence[str] = ()


def has_separate_states(stage: StageConfig, plugin: PluginDescription) -> bool:
    """Return whether several workers each have a state of their own, which may be a mistake."""
    return stage.workers > 1 and plugin.remembers and not plugin.separate_states


def is_source(stage: StageConfig, plugin: PluginDescription) -> bool:
    """Return whether the manager asks this stage for items: it has no input and takes ticks."""
    return not stage.inputs and plugin.input_type == TICK_TYPE
