"""A node beside a pipeline: feeds it, kills its workers, and sees what anybody can see."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from worker_pipeline.nodes.executor import Spinner
from worker_pipeline.runtime import dds
from worker_pipeline.runtime.package_share import package_share
from worker_pipeline.runtime.proc import start_of
from worker_pipeline.testing.waiting import NotSeenError, wait_for

DEPTH = 5000
ANSWER_TIMEOUT = 3.0  # s
MOST_ASKED = 20


class PipelineProbe:
    """Spins by itself in a thread; what it has heard is kept in lists, newest last.

    ``namespace``: of the pipeline. ``domain``: ROS domain; None for that of the environment. Names
    of nodes, topics and services are relative to the namespace: ``detect_target/worker_0``. Every
    wait raises NotSeenError when it ends in vain. Where the environment does not say otherwise it
    talks as the pipeline does, by UDP on this machine alone: a process that is killed may hold up
    whoever it shares memory with, and a probe is to outlive them all.
    """

    def __init__(self, namespace: str = '/airside', domain: int | None = None) -> None:
        self._namespace = '/' + namespace.strip('/')
        self._context = Context()
        with _by_udp():
            rclpy.init(context=self._context, domain_id=domain)
            self.node = rclpy.create_node(
                'probe',
                namespace=self._namespace,
                context=self._context,
                use_global_arguments=False,
            )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.diagnostics: list[dict[str, DiagnosticStatus]] = []  # by full name
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
        self._clients: dict[str, Any] = {}
        self._asked: dict[str, int] = {}
        self._spinner = Spinner(self._executor)

    def __enter__(self) -> PipelineProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the graph; once is enough."""
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
        """The newest status of ``manager``, a stage or a worker; None before any."""
        full_name = f'{self._namespace}/{name}'
        return next(
            (each[full_name] for each in reversed(self.diagnostics) if full_name in each), None
        )

    def values(self, name: str) -> dict[str, str]:
        """The newest diagnostic values of ``manager``, a stage or a worker; empty before any."""
        status = self.status(name)
        return {entry.key: entry.value for entry in status.values} if status else {}

    def count(self, name: str, key: str) -> int:
        """A counter of a stage or a worker; 0 before it was told."""
        return int(self.values(name).get(key, 0))

    def wait_for_status(
        self, name: str, level: bytes, message: str = '', timeout: float = 20.0
    ) -> DiagnosticStatus:
        """Wait until the newest status has a level, and a message that begins so."""

        def newest() -> DiagnosticStatus | None:
            status = self.status(name)
            fits = status and status.level == level and status.message.startswith(message)
            return status if fits else None

        return wait_for(
            newest,
            f'a status of {name} with level {level[0]} and a message {message!r}',
            timeout,
            lambda: self.status(name),
        )

    # -- stages and workers ----------------------------------------------------------------------

    def wait_until_active(
        self, stage: str, workers: int | None = None, timeout: float = 30.0
    ) -> None:
        """Wait until so many workers of a stage are at work; None: as many as it is to have.

        And until it has found who collects its output here.
        """
        listeners = 1 if f'{stage}/output' in self._collected else 0

        def is_active() -> bool:
            values = self.values(stage)
            wanted = values.get('workers') if workers is None else str(workers)
            return (
                values.get('workers_active') == wanted is not None
                and int(values['listeners']) >= listeners
            )

        wait_for(
            is_active,
            f'{"all" if workers is None else workers} workers of {stage} active, and '
            f'{listeners} listeners',
            timeout,
            lambda: self.values(stage),
        )

    def pid_of(self, worker: str, but: int = 0, timeout: float = 20.0) -> int:
        """The pid in a worker's newest heartbeat; waits for one of another process than ``but``.

        Never 0, which to ``os.kill`` means the whole process group, the tests' own.
        """
        host, pid = self._process_of(worker, but, timeout)
        if host != socket.gethostname():
            raise NotSeenError(f'{worker}: found on {host}; this is {socket.gethostname()}')
        return pid

    def _process_of(self, worker: str, but: int, timeout: float) -> tuple[str, int]:
        def newest() -> tuple[str, int] | None:
            for heartbeat in reversed(self.heartbeats):
                if heartbeat.name == worker:
                    host, _, pid = heartbeat.hardware_id.rpartition(':')
                    return None if int(pid) == but else (host, int(pid))
            return None

        what = f'a heartbeat of {worker}' + (f' from another process than {but}' if but else '')
        return wait_for(newest, what, timeout)

    def kill(self, worker: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal a worker, which is to be on this machine; returns its pid.

        Where the last that was heard of it is of a process that is dead, it waits for the next one.
        """

        def killed() -> int:
            pid = self.pid_of(worker)
            if start_of(pid) is None:
                return 0
            os.kill(pid, number)
            return pid

        return wait_for(killed, f'a heartbeat of {worker} from a process that lives')

    def wait_until_replaced(self, worker: str, victim: int, timeout: float = 30.0) -> int:
        """Wait until another process than ``victim`` is active in its place; returns its pid."""

        def successor() -> int:
            values = self.values(worker)
            pid = values.get('pid', '')
            is_there = values.get('state') == 'active' and pid not in ('', str(victim))
            return int(pid) if is_there else 0

        return wait_for(
            successor,
            f'{worker} active, another process than {victim}',
            timeout,
            lambda: self.values(worker),
        )

    # -- items -----------------------------------------------------------------------------------

    def collect(self, topic: str, message_type: Any) -> list[Any]:
        """A list that fills with what is published on a topic from now on."""
        heard: list[Any] = []
        self._collected.add(topic)
        self.node.create_subscription(message_type, topic, heard.append, DEPTH)
        return heard

    def feeder(
        self, topic: str, message_type: Any, listeners: int = 1, qos: QoSProfile | int = DEPTH
    ) -> Any:
        """A publisher whose listeners have been found."""
        publisher = self.node.create_publisher(message_type, topic, qos)
        wait_for(
            lambda: publisher.get_subscription_count() >= listeners,
            f'{listeners} subscriptions of {topic}',
        )
        return publisher

    def feed(self, topic: str, messages: Iterable[Any]) -> None:
        """Publish messages, of one type, to whoever listens; it waits until somebody does."""
        for message in messages:
            if topic not in self._feeders:
                self._feeders[topic] = self.feeder(topic, type(message))
            self._feeders[topic].publish(message)

    # -- control ---------------------------------------------------------------------------------

    def state_of(self, node: str) -> str:
        """A node's lifecycle state, asked by its service."""
        answer = self.ask(GetState, f'{node}/get_state', GetState.Request())
        return str(answer.current_state.label)

    def change_state(self, node: str, label: str) -> bool:
        """Ask a node for a transition, as ``ros2 lifecycle set`` does; whether it was done."""
        before = self.state_of(node)
        request = ChangeState.Request()
        request.transition.label = label
        while True:
            answer = self._ask(ChangeState, f'{node}/change_state', request)
            if answer is not None:
                return bool(answer.success)
            if self.state_of(node) != before:
                return True  # it was done, and only the answer was lost

    def trigger(self, name: str) -> tuple[bool, str]:
        """Call a ``std_srvs/Trigger``, ``detect_target/drain``: (success, message)."""
        answer = self.ask(Trigger, name, Trigger.Request())
        return bool(answer.success), str(answer.message)

    def set_parameter(self, node: str, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter, as ``ros2 param set`` does: (whether it was set, why not)."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        answer = self.ask(SetParameters, f'{node}/set_parameters', request)
        return answer.results[0].successful, answer.results[0].reason

    def ask(self, service: Any, name: str, request: Any) -> Any:
        """Call a service, again where no answer comes; its answer."""
        while True:
            answer = self._ask(service, name, request)
            if answer is not None:
                return answer

    def _ask(self, service: Any, name: str, request: Any) -> Any:
        """Call a service; None when no answer came.

        rmw_fastrtps drops an answer when it has not found the asker's reader within 0.1 s, which
        happens to those who ask as soon as they have found the service. So ask again.
        """
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self.node.create_client(service, name)
        wait_for(client.service_is_ready, f'the service {name}')
        self._asked[name] = self._asked.get(name, 0) + 1
        if self._asked[name] > MOST_ASKED:
            raise NotSeenError(f'no answer of {name}, asked {MOST_ASKED} times')
        future = client.call_async(request)
        try:
            wait_for(future.done, f'an answer of {name}', ANSWER_TIMEOUT)
        except NotSeenError:
            client.remove_pending_request(future)
            return None
        self._asked[name] = 0
        return future.result()


@contextlib.contextmanager
def _by_udp() -> Iterator[None]:
    """Have the participant made within the context talk as those of a pipeline do."""
    with mock.patch.dict(os.environ):
        settings = dds.apply_defaults(package_share() / 'config')
        if settings is None:
            yield
        else:
            with dds.participant(settings.common, settings.worker):
                yield
