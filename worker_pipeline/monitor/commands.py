"""What can be asked of the nodes of a pipeline, and what came of it."""

from __future__ import annotations

import attrs


@attrs.frozen
class Command:
    """Something asked of a node by one of its services. ``what`` it is, in the user's words."""

    what: str
    service: str  # its full name
    timeout: float = 5.0  # s, for the answer


@attrs.frozen
class ChangeState(Command):
    """A transition of a lifecycle node, to ``activate`` or to ``deactivate``."""

    node: str = attrs.field(kw_only=True)
    label: str = attrs.field(kw_only=True)
    # A node that is paused finishes first what it holds.
    timeout: float = 30.0

    @property
    def goal(self) -> str:
        """The state it leads to."""
        return 'active' if self.label == 'activate' else 'inactive'


@attrs.frozen
class SetWorkers(Command):
    """Another number of workers, by the parameter of its manager."""

    stage: str = attrs.field(kw_only=True)  # the node
    parameter: str = attrs.field(kw_only=True)
    count: int = attrs.field(kw_only=True)


@attrs.frozen
class Trigger(Command):
    """A service without arguments, flush or drain."""


@attrs.frozen
class Outcome:
    """What came of a command, in words."""

    command: Command
    done: bool
    text: str
