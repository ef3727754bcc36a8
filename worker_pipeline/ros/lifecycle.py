# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node with transitions that may take long, and with failures that are logged.

rclpy runs a transition's hook inside the service callback: the node is unresponsive while a model
loads or a queue drains, and an exception in the hook vanishes. Here hooks are coroutines, the
services have a callback group of their own, and exceptions are logged with their tracebacks.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from worker_pipeline.config import NODE_PARAMETERS
from worker_pipeline.core.hold_up import TimeLimit
from worker_pipeline.error_text import traceback_text
from worker_pipeline.ros.node_log import NodeLog
from worker_pipeline.ros.subscription_status import SubscriptionStatus

# What one turn of a wait counts at most, s: in a longer one this process has stood still.
LONGEST_TURN = 0.5
# The steady states; in any other a transition is in progress.
PRIMARY_STATES = ('unconfigured', 'inactive', 'active', 'finalized')

TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
# By transition, the states in which it is in progress or done.
_BEGUN = {
    'configure': ('configuring', 'inactive'),
    'activate': ('activating', 'active'),
    'deactivate': ('deactivating', 'inactive'),
}
SHUTDOWN_FROM = {
    'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
    'active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


def has_begun(label: str, state: str) -> bool:
    """Return whether a transition is in progress or done, so that a request for it is repeated."""
    return state in _BEGUN.get(label, ())


class TransitionRefusedError(Exception):
    """Raised by a hook to reject a transition; the node keeps its state."""


class HookError(Exception):
    """Raised by a hook for an exception that may not leave a coroutine itself, the ``cause``.

    A StopIteration would become a RuntimeError, a SystemExit would end the executor.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


class _Yield:
    """An awaitable that lets the executor run other callbacks."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class _Sleeps:
    """How often any waiting coroutine has slept."""

    count = 0


_sleeps = _Sleeps()


async def turns(count: int) -> None:
    """Let the executor run other callbacks, so many times."""
    for _ in range(count):
        await _Yield()


async def until(fact: Callable[[], bool], timeout: float = float('inf')) -> bool:
    """Wait up to ``timeout`` seconds until a fact is true; return whether it is.

    rclpy's events executor resumes a waiting coroutine continuously, so one of those that wait
    sleeps in each round: waiting costs a few per cent of a core and delays other callbacks by a
    millisecond, however many wait. Transitions are rare and short.
    """
    limit = TimeLimit(timeout, LONGEST_TURN, time.monotonic())
    seen = _sleeps.count
    while not fact():
        if limit.left(time.monotonic()) <= 0.0:
            return False
        if _sleeps.count == seen:  # since its last turn nobody has slept
            time.sleep(0.001)
            _sleeps.count += 1
        seen = _sleeps.count
        await _Yield()
    return True


def _refuse_changes(parameters: list[Parameter[Any]]) -> SetParametersResult:
    own = [each.name for each in parameters if each.name not in NODE_PARAMETERS]
    if not own:
        return SetParametersResult(successful=True)
    return SetParametersResult(
        successful=False, reason=f'{", ".join(own)}: cannot be changed while it runs'
    )


class ManagedNode(LifecycleNodeMixin, Node):  # type: ignore[misc]
    """A lifecycle node with coroutines as hooks: ``do_configure`` and so on.

    A hook that returns has succeeded. TransitionRefusedError rejects the transition; any other
    exception is logged and leads to error processing (``do_error``). HookError carries one that is
    no Exception.
    """

    def __init__(self, name: str, *, use_sim_time: bool | None = None, **kwargs: Any) -> None:
        """Create the node. ``use_sim_time``: if given, only ``set_sim_time`` changes it."""
        if use_sim_time is not None:
            kwargs['parameter_overrides'] = [Parameter('use_sim_time', value=use_sim_time)]
        self._withheld: frozenset[Any] = frozenset()
        Node.__init__(self, name, **kwargs)
        self._is_setting_time = False
        if use_sim_time is not None:
            self.add_on_set_parameters_callback(self._check_time)
        # Their own group, so that a node in transition still responds and works.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._service_change_state.callback = self._serve_change_state

    # -- hooks ---------------------------------------------------------------------------------

    async def do_configure(self) -> None:
        """Go from unconfigured to inactive."""

    async def do_activate(self) -> None:
        """Go from inactive to active."""

    async def do_deactivate(self) -> None:
        """Go from active to inactive."""

    async def do_cleanup(self) -> None:
        """Go from inactive to unconfigured."""

    async def do_shutdown(self) -> None:
        """Go from any primary state to finalized."""

    async def do_error(self, error: BaseException) -> bool:  # noqa: ARG002 - for overriding
        """Handle an exception in a hook; return True to become unconfigured, False finalized."""
        return False

    def reject_parameter_changes(self) -> None:
        """Reject changes of the node's own parameters, which would silently have no effect."""
        self.add_on_set_parameters_callback(_refuse_changes)

    def subscription_status(self, subscription: Any) -> SubscriptionStatus:
        """Return what DDS knows of a subscription."""
        return SubscriptionStatus(subscription)

    @property
    def subscriptions(self) -> Iterator[Any]:
        """Return the subscriptions that the executor reads."""
        return (each for each in super().subscriptions if each not in self._withheld)

    def withhold(self, subscriptions: Iterable[Any]) -> None:
        """Have the executor read all of this node's subscriptions but these."""
        self._withheld = frozenset(subscriptions)
        if self.executor is not None:
            self.executor.wake()

    def set_sim_time(self, *, is_simulated: bool) -> None:
        """Set the parameter ``use_sim_time``, as the manager says."""
        self._is_setting_time = True
        try:
            self.set_parameters([Parameter('use_sim_time', value=is_simulated)])
        finally:
            self._is_setting_time = False

    def _check_time(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        named = any(each.name == 'use_sim_time' for each in parameters)
        if not named or self._is_setting_time:
            return SetParametersResult(successful=True)
        reason = 'use_sim_time: is common to the pipeline; set it on the node manager'
        return SetParametersResult(successful=False, reason=reason)

    # -- state ---------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Return the label of the current lifecycle state."""
        return str(self._state_machine.current_state[1])

    async def transition(self, label: str) -> bool:
        """Make a transition by name (``configure``, ``shutdown``); return whether it succeeded."""
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
        """Handle a change of the lifecycle state, including changes to transition states."""

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
        self._error: BaseException | None = None
        try:
            await hooks.get(label, self.do_shutdown)()
        except TransitionRefusedError as error:
            self.get_logger().error(f'Cannot {label}: {error}')
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            cause = error.cause if isinstance(error, HookError) else error
            NodeLog(self).error(f'{label} failed:\n{traceback_text(cause)}')
            self._error = cause
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    async def _recover(self) -> bool:
        assert self._error is not None
        try:
            return await self.do_error(self._error)
        except Exception as error:
            NodeLog(self).error(f'error processing failed:\n{traceback_text(error)}')
            return False

    async def _serve_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        label = request.transition.label or str(request.transition.id)
        number = request.transition.id
        if request.transition.label:
            # As in rclpy, a label takes precedence over the number.
            names = {entry[1]: entry[0] for entry in self._state_machine.available_transitions}
            number = names.get(request.transition.label)
        response.success = await self._transition(number, label)
        return response
