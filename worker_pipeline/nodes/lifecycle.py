"""A lifecycle node whose transitions may take their time, and whose failures are told.

rclpy runs a transition's hook inside the service callback: while a model loads or a queue drains,
the node hears nothing, and an exception in the hook vanishes. Here hooks are coroutines, the
services have a callback group of their own, and what goes wrong is logged with its traceback.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from worker_pipeline.config import ROS_KEYS

# The states that a node rests in. From any other it is on its way to one of these.
PRIMARY_STATES = ('unconfigured', 'inactive', 'active', 'finalized')

TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
SHUTDOWN_FROM = {
    'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
    'active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class TransitionRefusedError(Exception):
    """Raised by a hook: the transition is not made, and the node stays in the state it was in."""


class _Turn:
    """Awaited, it lets the executor run whatever else is due."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def until(fact: Callable[[], bool], timeout: float = float('inf')) -> bool:
    """Wait for a fact, at most ``timeout`` seconds; returns whether it came about.

    rclpy's events executor resumes a waiting coroutine over and over, so each turn sleeps for a
    moment: a wait costs a few per cent of a core and delays other callbacks by a millisecond.
    Transitions are rare and short; items pass while none is under way.
    """
    deadline = time.monotonic() + timeout
    while not fact():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.001)
        await _Turn()
    return True


def _refuse_changes(parameters: list[Parameter[Any]]) -> SetParametersResult:
    ours = [each.name for each in parameters if each.name not in ROS_KEYS]
    if not ours:
        return SetParametersResult(successful=True)
    return SetParametersResult(
        successful=False, reason=f'{", ".join(ours)}: cannot be changed while it runs'
    )


class ManagedNode(LifecycleNodeMixin, Node):  # type: ignore[misc]
    """A lifecycle node with coroutine hooks: ``do_configure`` and its kind.

    A hook that returns has succeeded; one that raises TransitionRefusedError leaves the state as
    it was; any other exception is logged and leads to error processing (``do_error``).
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        Node.__init__(self, name, **kwargs)
        # A group of their own, so that a node in transition still answers and still works.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._service_change_state.callback = self._serve_change_state

    # -- hooks ---------------------------------------------------------------------------------

    async def do_configure(self) -> None:
        """Unconfigured to inactive."""

    async def do_activate(self) -> None:
        """Inactive to active."""

    async def do_deactivate(self) -> None:
        """Active to inactive."""

    async def do_cleanup(self) -> None:
        """Inactive to unconfigured."""

    async def do_shutdown(self) -> None:
        """Any primary state to finalized."""

    async def do_error(self, error: Exception) -> bool:  # noqa: ARG002 - for overriding
        """After an exception in a hook: True to begin again unconfigured, False to be finalized."""
        return False

    def refuse_changes_of_parameters(self) -> None:
        """From now on a parameter of ours cannot be set: it would have no effect, unnoticed."""
        self.add_on_set_parameters_callback(_refuse_changes)

    # -- state ---------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The label of the current lifecycle state."""
        return str(self._state_machine.current_state[1])

    async def transition(self, label: str) -> bool:
        """Make a transition by name (``configure``, ``shutdown``); returns whether it was made."""
        number = SHUTDOWN_FROM.get(self.state) if label == 'shutdown' else TRANSITIONS[label]
        return await self._transition(number, label)

    async def _transition(self, number: int | None, label: str) -> bool:
        start = self.state
        known = {entry[0]: entry[1] for entry in self._state_machine.available_transitions}
        if number is None or number not in known:
            self.get_logger().error(
                f'Cannot {label}: state is {start}; '
                f'possible now: {", ".join(known.values()) or "nothing"}'
            )
            return False
        self._trigger(number)
        result = await self._run_hook(known[number])
        self._state_machine.trigger_transition_by_label(result.to_label(), True)
        if result is TransitionCallbackReturn.ERROR:
            recovered = await self._recover()
            outcome = (
                TransitionCallbackReturn.SUCCESS if recovered else TransitionCallbackReturn.FAILURE
            )
            self._state_machine.trigger_transition_by_label(outcome.to_label(), True)
        self.state_changed()
        return bool(result is TransitionCallbackReturn.SUCCESS)

    def state_changed(self) -> None:
        """Called whenever the lifecycle state has changed, also into a passing state."""

    def _trigger(self, number: int) -> None:
        self._state_machine.trigger_transition_by_id(number, True)
        self.state_changed()

    async def _run_hook(self, label: str) -> TransitionCallbackReturn:
        hooks: dict[str, Callable[[], Awaitable[None]]] = {
            'configure': self.do_configure,
            'activate': self.do_activate,
            'deactivate': self.do_deactivate,
            'cleanup': self.do_cleanup,
        }
        self._error: Exception | None = None
        try:
            await hooks.get(label, self.do_shutdown)()
        except TransitionRefusedError as error:
            self.get_logger().error(f'Cannot {label}: {error}')
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.get_logger().error(f'{label} failed:\n{traceback.format_exc()}')
            self._error = error
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    async def _recover(self) -> bool:
        assert self._error is not None
        try:
            return await self.do_error(self._error)
        except Exception:
            self.get_logger().error(f'error processing failed:\n{traceback.format_exc()}')
            return False

    async def _serve_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        label = request.transition.label or str(request.transition.id)
        number = request.transition.id
        if request.transition.label:
            # As rclpy does: a label, where given, says which transition is meant.
            names = {entry[1]: entry[0] for entry in self._state_machine.available_transitions}
            number = names.get(request.transition.label)
        response.success = await self._transition(number, label)
        return response
