"""The monitor's node: hears diagnostics, and asks other nodes by their services."""

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

from worker_pipeline.monitor.commands import ChangeState, Command, Outcome, SetWorkers, Trigger
from worker_pipeline.nodes import qos
from worker_pipeline.nodes.executor import Spinner
from worker_pipeline.runtime import dds
from worker_pipeline.runtime.package_share import package_share

SERVICE_IS_THERE = 3.0  # s, for a service to be found


@attrs.define
class _Request:
    """One that waits: for the service to be found, or for its answer."""

    command: Command
    client: Any
    message: Any
    since: float  # s
    future: Any = None


class Remote:
    """Listens in a thread of its own. ``on_statuses`` is called there, with the statuses and when.

    Times are those of ``time.monotonic``.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        namespace: str,
        on_statuses: Callable[[Sequence[Any], float], None],
    ) -> None:
        self._on_statuses = on_statuses
        self._requests: list[_Request] = []
        self._clients: dict[str, Any] = {}
        self._context = Context()
        settings = dds.apply_defaults(package_share() / 'config')
        # As workers do, not by shared memory: whoever dies there may hold up the manager.
        participant = (
            dds.participant(settings.common, settings.worker)
            if settings
            else contextlib.nullcontext()
        )
        with participant:
            # What is logged would stand in the middle of the view.
            rclpy.init(
                args=[*arguments, '--ros-args', '--disable-stdout-logs'], context=self._context
            )
            # Hidden from lists of nodes; and there may be several, and a stage named monitor.
            self._node = rclpy.create_node(
                f'_monitor_{os.getpid()}',
                namespace=namespace,
                context=self._context,
                start_parameter_services=False,
            )
        subscription = self._node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS
        )
        self.topic = str(subscription.topic_name)
        self.namespace = str(self._node.get_namespace())
        self.domain = self._context.get_domain_id()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._spinner = Spinner(self._executor)

    def _on_diagnostics(self, message: Any) -> None:
        self._on_statuses(message.status, time.monotonic())

    def close(self) -> None:
        """Leave the graph."""
        self._spinner.close(2.0)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    # -- asking ----------------------------------------------------------------------------------

    def prepare(self, commands: Iterable[Command]) -> None:
        """Look for the services of what may be asked soon.

        An answer is lost where the one who asks is not known to the service yet.
        """
        for command in commands:
            self._client(command)

    def ask(self, command: Command, now: float) -> None:
        """Ask, as soon as the service is found; ``outcomes`` tells what came of it."""
        self._requests.append(_Request(command, self._client(command), _message(command), now))

    def forget(self, command: Command) -> None:
        """Wait no longer for an answer."""
        for request in [each for each in self._requests if each.command == command]:
            self._drop(request)

    def outcomes(self, now: float) -> list[Outcome]:
        """What has come of what was asked. To be called often while something is."""
        results = []
        for request in list(self._requests):
            text, is_done = self._progress(request, now)
            if text:
                self._drop(request)
                results.append(Outcome(request.command, is_done, text))
        return results

    def _progress(self, request: _Request, now: float) -> tuple[str, bool]:
        """What has come of a request, and whether it was done; no text as long as it waits."""
        command, waited = request.command, now - request.since
        if request.future is None:
            if request.client.service_is_ready():
                request.since = now
                request.future = request.client.call_async(request.message)
            elif waited > SERVICE_IS_THERE:
                return f'no service {command.service} was found within {waited:.0f} s', False
            return '', False
        if not request.future.done():
            if waited > command.timeout:
                return f'no answer of {command.service} within {waited:.0f} s', False
            return '', False
        answer = request.future.result()
        if isinstance(command, ChangeState) and not isinstance(
            answer, lifecycle.ChangeState.Response
        ):
            return f'refused: it is {answer.current_state.label}', False
        if isinstance(command, ChangeState) and not answer.success:
            # The service does not tell why. The state does.
            request.client = self._state_client(command)
            request.message, request.future = lifecycle.GetState.Request(), None
            request.since = now
            return '', False
        return _read(command, answer)

    def _drop(self, request: _Request) -> None:
        self._requests.remove(request)
        if request.future is not None and not request.future.done():
            request.client.remove_pending_request(request.future)

    def _client(self, command: Command) -> Any:
        if isinstance(command, ChangeState):
            self._state_client(command)
        return self._client_of(SERVICES[type(command)], command.service)

    def _state_client(self, command: ChangeState) -> Any:
        return self._client_of(lifecycle.GetState, f'{command.node}/get_state')

    def _client_of(self, service: Any, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(service, name)
        return self._clients[name]


SERVICES: dict[type[Command], Any] = {
    ChangeState: lifecycle.ChangeState,
    SetWorkers: SetParameters,
    Trigger: std_srvs.Trigger,
}


def _message(command: Command) -> Any:
    request = SERVICES[type(command)].Request()
    if isinstance(command, ChangeState):
        request.transition.label = command.label
    elif isinstance(command, SetWorkers):
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=command.count)
        request.parameters = [Parameter(name=command.parameter, value=value)]
    return request


def _read(command: Command, answer: Any) -> tuple[str, bool]:
    if isinstance(command, SetWorkers):
        result = answer.results[0]
        return ('done', True) if result.successful else (f'refused: {result.reason}', False)
    if isinstance(command, Trigger):
        done = bool(answer.success)
        return answer.message or ('done' if done else 'refused'), done
    return 'done', True
