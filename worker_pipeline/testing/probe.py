# SPDX-License-Identifier: Apache-2.0
"""A node beside a pipeline that feeds it, kills its workers, and reads its outputs."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.event_handler import PublisherEventCallbacks, QoSPublisherMatchedInfo
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from worker_pipeline.ros.executor import Spinner
from worker_pipeline.system.pid_namespace import own_pid_namespace
from worker_pipeline.system.proc import start_of
from worker_pipeline.testing.participants import by_udp
from worker_pipeline.testing.service_calls import ServiceCalls
from worker_pipeline.testing.waiting import TIMEOUT, WaitTimeoutError, wait_for

DEPTH = 5000


class PipelineProbe:
    """A node in a thread of its own, used as a context manager or ended by ``close``.

    Names of nodes, topics and services are relative to the namespace: ``detect_target/worker_0``.
    Every wait raises :class:`WaitTimeoutError` when its time is over.

    Unless set in the environment, the probe uses UDP on this machine only, as the pipeline
    does: a process that is killed may block others that share memory with it, and the probe has to
    survive every kill.

    Args:
        namespace: the pipeline's namespace.
        domain: the ROS domain; None for that of the environment.

    Attributes:
        node: the rclpy node.
        diagnostics: the messages received on ``/diagnostics``, the newest last: each a dict of
            statuses by their full names.
        heartbeats: the messages received on ``heartbeats``, the newest last.
        quarantined: the messages received on ``quarantine``, the newest last.
    """

    def __init__(self, namespace: str = '/airside', domain: int | None = None) -> None:
        self._namespace = '/' + namespace.strip('/')
        self._context = Context()
        with by_udp():
            rclpy.init(context=self._context, domain_id=domain)
            self.node = rclpy.create_node(
                'probe',
                namespace=self._namespace,
                context=self._context,
                use_global_arguments=False,
            )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.diagnostics: list[dict[str, DiagnosticStatus]] = []
        self.heartbeats: list[DiagnosticStatus] = []
        self.quarantined: list[DiagnosticStatus] = []
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.node.create_subscription(DiagnosticStatus, 'heartbeats', self.heartbeats.append, 100)
        latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(
            DiagnosticStatus, 'quarantine', self.quarantined.append, latched
        )
        self._collected: set[str] = set()
        self._feeders: dict[str, Any] = {}
        self._matches: Counter[str] = Counter()
        self._calls = ServiceCalls(self.node)
        self._spinner = Spinner(self._executor)

    def __enter__(self) -> PipelineProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the graph. Further calls have no effect."""
        if not self._context.ok():
            return
        self._spinner.close(5.0)
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics.append({status.name: status for status in message.status})

    # -- diagnostics -----------------------------------------------------------------------------

    def status(self, name: str) -> DiagnosticStatus | None:
        """Return the newest status of ``manager``, a stage or a worker; None before the first."""
        full_name = f'{self._namespace}/{name}'
        return next(
            (each[full_name] for each in reversed(self.diagnostics) if full_name in each), None
        )

    def values(self, name: str) -> dict[str, str]:
        """Return the values of the newest status; empty before the first."""
        status = self.status(name)
        return {entry.key: entry.value for entry in status.values} if status else {}

    def count(self, name: str, key: str) -> int:
        """Return a counter of a stage or a worker; 0 before its first status."""
        return int(self.values(name).get(key, 0))

    def wait_for_status(
        self, name: str, level: bytes, message: str = '', timeout: float = TIMEOUT
    ) -> DiagnosticStatus:
        """Wait for a status, the newest or any that comes, and return it.

        Args:
            name: ``manager``, a stage or a worker.
            level: of ``DiagnosticStatus``.
            message: the beginning of its message.
            timeout: the longest wait, s.
        """
        full_name, before = f'{self._namespace}/{name}', len(self.diagnostics)
        newest = self.status(name)

        def fitting() -> DiagnosticStatus | None:
            later = (each.get(full_name) for each in self.diagnostics[before:])
            for status in (newest, *later):
                if status and status.level == level and status.message.startswith(message):
                    return status
            return None

        return wait_for(
            fitting,
            f'a status of {name} with level {level[0]} and a message {message!r}',
            timeout,
            lambda: self.status(name),
        )

    # -- stages and workers ----------------------------------------------------------------------

    def wait_until_active(
        self, stage: str, workers: int | None = None, timeout: float = TIMEOUT
    ) -> None:
        """Wait until workers of a stage are active, and its output is matched with ``collect``.

        Args:
            stage: its name.
            workers: how many; None for as many as are configured.
            timeout: the longest wait, s.
        """
        listeners = 1 if f'{stage}/output' in self._collected else 0

        def is_active() -> bool:
            values = self.values(stage)
            wanted = values.get('workers') if workers is None else str(workers)
            return (
                values.get('workers_active') == wanted is not None
                and int(values['listeners']) >= listeners
            )

        count = 'all' if workers is None else workers
        matched = ' and its output to be matched' if listeners else ''
        wait_for(
            is_active,
            f'{count} workers of {stage} to be active{matched}',
            timeout,
            lambda: (self._messages_of(stage), self.values(stage)),
        )

    def _messages_of(self, stage: str) -> dict[str, str]:
        """Return the newest messages of a stage and its workers, by their names."""
        own = f'{self._namespace}/{stage}'
        newest: dict[str, DiagnosticStatus] = next(
            (each for each in reversed(self.diagnostics) if own in each), {}
        )
        return {
            name.removeprefix(f'{self._namespace}/'): status.message
            for name, status in newest.items()
            if name == own or name.startswith(f'{own}/')
        }

    def pid_of(self, worker: str, but: int = 0, timeout: float = TIMEOUT) -> int:
        """Wait for a worker's heartbeat, and return the pid in the newest one.

        Never 0, for which ``os.kill`` would signal the whole process group of the tests; nor the
        pid of a process on another machine, or in a container with a PID namespace of its own,
        which is another process's here: that raises :class:`WaitTimeoutError`.

        Args:
            worker: its name.
            but: a pid that does not count: the worker's former process.
            timeout: the longest wait, s.
        """
        host, pid, pid_namespace = self._process_of(worker, but, timeout)
        if host != socket.gethostname():
            raise WaitTimeoutError(f'{worker}: found on {host}; this is {socket.gethostname()}')
        if pid_namespace not in ('', str(own_pid_namespace())):
            raise WaitTimeoutError(
                f'{worker}: found pid {pid} in another PID namespace, such as a container; here '
                'that pid is another process, or none'
            )
        return pid

    def _process_of(self, worker: str, but: int, timeout: float) -> tuple[str, int, str]:
        def newest() -> tuple[str, int, str] | None:
            for heartbeat in reversed(self.heartbeats):
                if heartbeat.name == worker:
                    host, _, pid = heartbeat.hardware_id.rpartition(':')
                    values = {each.key: each.value for each in heartbeat.values}
                    found = host, int(pid), values.get('pid_namespace', '')
                    return None if int(pid) == but else found
            return None

        what = f'a heartbeat of {worker}' + (f' from another process than {but}' if but else '')
        return wait_for(newest, what, timeout)

    def kill(self, worker: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a worker on this machine, and return its pid.

        If its newest heartbeat is from a process that is dead, wait for one from its successor.
        """

        def killed() -> int:
            pid = self.pid_of(worker)
            if start_of(pid) is None:
                return 0
            os.kill(pid, number)
            return pid

        return wait_for(killed, f'a heartbeat of {worker} from a living process')

    def wait_until_replaced(self, worker: str, victim: int, timeout: float = TIMEOUT) -> int:
        """Wait until a worker is active in a process other than ``victim``; return its pid.

        Args:
            worker: The name of the worker.
            victim: The pid of the former process.
            timeout: How long to wait, s.
        """

        def successor() -> int:
            values = self.values(worker)
            pid = values.get('pid', '')
            is_active = values.get('state') == 'active' and pid not in ('', str(victim))
            return int(pid) if is_active else 0

        return wait_for(
            successor,
            f'{worker} to be active in another process than {victim}',
            timeout,
            lambda: self.values(worker),
        )

    # -- items -----------------------------------------------------------------------------------

    def collect(self, topic: str, message_type: Any) -> list[Any]:
        """Subscribe to a topic, and return a list to which each message is appended."""
        received: list[Any] = []
        self._collected.add(topic)
        self.node.create_subscription(message_type, topic, received.append, DEPTH)
        return received

    def feeder(
        self, topic: str, message_type: Any, listeners: int = 1, qos: QoSProfile | int = DEPTH
    ) -> Any:
        """Return a publisher that is matched with its subscriptions.

        Args:
            topic: its name.
            message_type: the message class.
            listeners: for how many subscriptions to wait.
            qos: the publisher's profile, or its depth.
        """

        def on_matched(event: QoSPublisherMatchedInfo) -> None:
            self._matches[topic] += max(event.total_count_change, 0)

        publisher = self.node.create_publisher(
            message_type, topic, qos, event_callbacks=PublisherEventCallbacks(matched=on_matched)
        )
        wait_for(
            lambda: publisher.get_subscription_count() >= listeners,
            f'{listeners} subscriptions of {topic}',
        )
        return publisher

    def matches(self, topic: str) -> int:
        """Return how many subscriptions the topic's feeders have been matched with so far.

        Also those that are gone: the subscription of a killed manager stays matched for seconds,
        so a test that starts another manager waits until this number has grown.
        """
        return self._matches[topic]

    def feed(self, topic: str, messages: Iterable[Any]) -> None:
        """Publish messages of one type, as soon as there is a subscription."""
        for message in messages:
            if topic not in self._feeders:
                self._feeders[topic] = self.feeder(topic, type(message))
            self._feeders[topic].publish(message)

    # -- control ---------------------------------------------------------------------------------

    def state_of(self, node: str) -> str:
        """Return a node's lifecycle state."""
        response = self.call(GetState, f'{node}/get_state', GetState.Request())
        return str(response.current_state.label)

    def change_state(self, node: str, label: str) -> bool:
        """Request a transition, as ``ros2 lifecycle set`` does; return whether it succeeded."""
        before = self.state_of(node)
        request = ChangeState.Request()
        request.transition.label = label
        while True:
            response = self._calls.try_call(ChangeState, f'{node}/change_state', request)
            if response is not None:
                return bool(response.success)
            if self.state_of(node) != before:
                self._calls.forget(f'{node}/change_state')
                return True  # only the response was lost

    def trigger(self, name: str) -> tuple[bool, str]:
        """Call a ``std_srvs/Trigger``, as ``detect_target/drain``: return (success, message)."""
        response = self.call(Trigger, name, Trigger.Request())
        return bool(response.success), str(response.message)

    def set_parameter(self, node: str, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter, as ``ros2 param set`` does: return (whether it was set, why not).

        Args:
            node: The name of the node.
            name: The name of the parameter.
            value: Its new value.
        """
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        response = self.call(SetParameters, f'{node}/set_parameters', request)
        return response.results[0].successful, response.results[0].reason

    def set_stage_parameter(
        self, stage: str, key: str, value: Any, timeout: float = TIMEOUT
    ) -> tuple[bool, str]:
        """Set a live parameter of a stage, and wait until it is in effect or has been given up.

        A change of ``params`` or ``concurrency`` takes effect with new workers: the service answers
        before it is known whether they can start with it.

        Args:
            stage: The name of the stage.
            key: The key, as ``params.gain``.
            value: Its new value.
            timeout: How long to wait, s.

        Returns:
            (whether it is in effect, why not).
        """
        self._wait_for_statuses(1, timeout)
        before = self.values(stage).get('updates')
        was_set, why = self.set_parameter('manager', f'{stage}.{key}', value)
        if not was_set:
            return False, why
        # One may have been on its way.
        self._wait_for_statuses(2, timeout)
        wait_for(
            lambda: not self.values(stage)['update'],
            f'{stage}.{key}: {value!r} to be in effect or given up',
            timeout,
            lambda: self.status(stage),
        )
        values = self.values(stage)
        error = values['update_error'] if values['updates'] != before else ''
        return not error, error

    def _wait_for_statuses(self, count: int, timeout: float) -> None:
        enough = len(self.diagnostics) + count
        wait_for(lambda: len(self.diagnostics) >= enough, 'diagnostics', timeout)

    def call(self, service: Any, name: str, request: Any) -> Any:
        """Call a service, and return its response; the call is repeated if no response comes.

        Args:
            service: the service class.
            name: of the service.
            request: an instance of ``service.Request``.
        """
        return self._calls.call(service, name, request)

    ask = call  # the former name, kept for tests that use it
