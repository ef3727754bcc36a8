# SPDX-License-Identifier: Apache-2.0
"""The monitor's ROS node: receives diagnostics, and calls the services of other nodes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs import srv as lifecycle
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_srvs import srv as std_srvs

from worker_pipeline.monitor.commands import (
    Command,
    CommandResult,
    ScaleCommand,
    TransitionCommand,
    TriggerCommand,
)
from worker_pipeline.ros import dds, qos
from worker_pipeline.ros.executor import Spinner
from worker_pipeline.ros.package_share import package_share

DISCOVERY_TIMEOUT = 3.0  # s, for a service


@attrs.define
class _PendingRequest:
    """A command that waits for its service to be discovered, or for the response."""

    command: Command
    client: Any
    message: Any
    since: float  # s
    future: Any = None


class MonitorNode:
    """A node that spins in a thread of its own. Times are those of ``time.monotonic``.

    Args:
        arguments: as in ``sys.argv``.
        namespace: of the pipeline.
        on_statuses: called in that thread with the statuses received, and when.
        on_failure: called in that thread with what has ended it: nothing is received any more.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        namespace: str,
        on_statuses: Callable[[Sequence[Any], float], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._on_statuses = on_statuses
        self._requests: list[_PendingRequest] = []
        self._clients: dict[str, Any] = {}
        self._context = Context()
        self._node = _create_node(arguments, namespace, self._context)
        subscription = self._node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS
        )
        self.topic = str(subscription.topic_name)
        self.namespace = str(self._node.get_namespace())
        self.domain = self._context.get_domain_id()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._spinner = Spinner(self._executor, on_failure)

    def _on_diagnostics(self, message: Any) -> None:
        self._on_statuses(message.status, time.monotonic())

    def close(self) -> None:
        """Leave the graph."""
        self._spinner.close(2.0)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    # -- commands --------------------------------------------------------------------------------

    def create_clients(self, commands: Iterable[Command]) -> None:
        """Create the clients of commands that may be sent soon.

        A service's response is lost if the service has not discovered the client yet.
        """
        for command in commands:
            self._client(command)

    def send(self, command: Command, now: float) -> None:
        """Send a command as soon as its service is discovered; ``results`` has its result."""
        self._requests.append(
            _PendingRequest(command, self._client(command), _message(command), now)
        )

    def cancel(self, command: Command) -> None:
        """Stop waiting for the response to a command."""
        for request in [each for each in self._requests if each.command == command]:
            self._drop(request)

    def results(self, now: float) -> list[CommandResult]:
        """Return new results; call it often while commands are pending."""
        results = []
        for request in list(self._requests):
            text, is_done = self._progress(request, now)
            if text:
                self._drop(request)
                results.append(CommandResult(request.command, is_done, text))
        return results

    def _progress(self, request: _PendingRequest, now: float) -> tuple[str, bool]:
        """Return the result of a request, and whether it succeeded; '' while it is pending."""
        command, waited = request.command, now - request.since
        if request.future is None:
            if request.client.service_is_ready():
                request.since = now
                request.future = request.client.call_async(request.message)
            elif waited > DISCOVERY_TIMEOUT:
                return f'service {command.service} not found within {waited:.0f} s', False
            return '', False
        if not request.future.done():
            if waited > command.timeout:
                return f'no response from {command.service} within {waited:.0f} s', False
            return '', False
        response = request.future.result()
        if isinstance(command, TransitionCommand) and not isinstance(
            response, lifecycle.ChangeState.Response
        ):
            return f'refused: it is {response.current_state.label}', False
        if isinstance(command, TransitionCommand) and not response.success:
            # The service gives no reason; the state does.
            request.client = self._state_client(command)
            request.message, request.future = lifecycle.GetState.Request(), None
            request.since = now
            return '', False
        return _read(command, response)

    def _drop(self, request: _PendingRequest) -> None:
        self._requests.remove(request)
        if request.future is not None and not request.future.done():
            request.client.remove_pending_request(request.future)

    def _client(self, command: Command) -> Any:
        if isinstance(command, TransitionCommand):
            self._state_client(command)
        return self._client_of(SERVICES[type(command)], command.service)

    def _state_client(self, command: TransitionCommand) -> Any:
        return self._client_of(lifecycle.GetState, f'{command.node}/get_state')

    def _client_of(self, service: Any, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(service, name)
        return self._clients[name]


def _create_node(arguments: Sequence[str], namespace: str, context: Context) -> Any:
    settings = dds.apply_defaults(package_share() / 'config')
    # Like workers, without shared memory: a process that dies in it may block the manager.
    participant = (
        dds.participant(settings.common, settings.worker) if settings else contextlib.nullcontext()
    )
    with participant:
        # Logs would appear in the middle of the view.
        rclpy.init(args=[*arguments, '--ros-args', '--disable-stdout-logs'], context=context)
        # The underscore hides it from lists of nodes. The pid is there as several may run.
        return rclpy.create_node(
            f'_monitor_{os.getpid()}',
            namespace=namespace,
            context=context,
            start_parameter_services=False,
        )


SERVICES: dict[type[Command], Any] = {
    TransitionCommand: lifecycle.ChangeState,
    ScaleCommand: SetParameters,
    TriggerCommand: std_srvs.Trigger,
}


def _message(command: Command) -> Any:
    request = SERVICES[type(command)].Request()
    if isinstance(command, TransitionCommand):
        request.transition.label = command.label
    elif isinstance(command, ScaleCommand):
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=command.count)
        request.parameters = [Parameter(name=command.parameter, value=value)]
    return request


def _read(command: Command, response: Any) -> tuple[str, bool]:
    if isinstance(command, ScaleCommand):
        result = response.results[0]
        return ('done', True) if result.successful else (f'refused: {result.reason}', False)
    if isinstance(command, TriggerCommand):
        done = bool(response.success)
        return response.message or ('done' if done else 'refused'), done
    return 'done', True
