# SPDX-License-Identifier: Apache-2.0
"""The commands that the monitor can send to the nodes of a pipeline, and their results."""

from __future__ import annotations

import attrs


@attrs.frozen
class Command:
    """A call of one of a node's services. ``description`` is for the user."""

    description: str
    service: str  # its full name
    timeout: float = 5.0  # s, for the response


@attrs.frozen
class TransitionCommand(Command):
    """A lifecycle transition of a node: ``activate`` or ``deactivate``."""

    node: str = attrs.field(kw_only=True)
    label: str = attrs.field(kw_only=True)
    # A node that is deactivated finishes the items it holds first.
    timeout: float = 30.0

    @property
    def target_state(self) -> str:
        """Return the state after the transition."""
        return 'active' if self.label == 'activate' else 'inactive'


@attrs.frozen
class ScaleCommand(Command):
    """A change of a stage's number of workers, which is a parameter of its manager."""

    stage: str = attrs.field(kw_only=True)  # its node
    parameter: str = attrs.field(kw_only=True)
    count: int = attrs.field(kw_only=True)


@attrs.frozen
class TriggerCommand(Command):
    """A call of a service without arguments: ``flush`` or ``drain``."""


@attrs.frozen
class CommandResult:
    """The result of a command. ``text`` is for the user."""

    command: Command
    done: bool
    text: str
