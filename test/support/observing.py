"""A plain rclpy node beside the pipeline: feeds it, and sees what anybody can see."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from support.outside import without_shared_memory
from support.waiting import wait_for

DEPTH = 5000


class Observer:
    """Spins by itself in a thread; what it heard is kept in lists."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        with without_shared_memory():
            rclpy.init(context=self._context, domain_id=domain)
            self.node = rclpy.create_node('observer', namespace='/airside', context=self._context)
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
        self._clients: dict[str, Any] = {}
        self._asked: dict[str, int] = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics.append({status.name: status for status in message.status})

    def close(self) -> None:
        """Leave the graph; once is enough."""
        if not self._context.ok():
            return
        self._executor.shutdown()
        self._thread.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    # -- seeing ----------------------------------------------------------------------------------

    def collect(self, topic: str, message_type: Any = Header) -> list[Any]:
        """A list that fills with what is published on a topic."""
        heard: list[Any] = []
        self._collected.add(topic)
        self.node.create_subscription(message_type, topic, heard.append, DEPTH)
        return heard

    def values(self, name: str) -> dict[str, str]:
        """The newest diagnostic values of a node, ``detect_target/worker_0``; empty before any."""
        for statuses in reversed(self.diagnostics):
            status = statuses.get(f'/airside/{name}')
            if status is not None:
                return {entry.key: entry.value for entry in status.values}
        return {}

    def count(self, stage: str, key: str) -> int:
        """A counter of a stage."""
        return int(self.values(stage).get(key, 0))

    def pid_of(self, worker: str, but: int = 0) -> int:
        """The pid in a worker's newest heartbeat; waits for one of another process than ``but``.

        Never 0, which to ``os.kill`` means the whole process group, the tests' own.
        """

        def newest() -> int:
            for heartbeat in reversed(self.heartbeats):
                if heartbeat.name == worker:
                    pid = int(heartbeat.hardware_id.rpartition(':')[2])
                    return 0 if pid == but else pid
            return 0

        return int(wait_for(newest, f'a heartbeat of {worker} from another process than {but}'))

    def wait_until_active(self, stage: str, workers: int, timeout: float = 30.0) -> None:
        """Wait until so many workers of a stage are at work, and it has found who collects."""
        listeners = 1 if f'{stage}/output' in self._collected else 0
        wait_for(
            lambda: (
                self.count(stage, 'workers_active') == workers
                and self.count(stage, 'listeners') >= listeners
            ),
            f'{workers} active workers of {stage}, and {listeners} listeners',
            timeout,
            lambda: self.values(stage),
        )

    def types_of(self, topic: str) -> list[str]:
        """A topic's types, as soon as it is in the graph."""
        name = f'/airside/{topic}'
        return list(
            wait_for(
                lambda: dict(self.node.get_topic_names_and_types()).get(name), f'the topic {name}'
            )
        )

    def listeners_of(self, topic: str) -> list[str]:
        """The names of the nodes that subscribe to a topic."""
        listeners = self.node.get_subscriptions_info_by_topic(f'/airside/{topic}')
        return [each.node_name for each in listeners]

    # -- feeding ---------------------------------------------------------------------------------

    def feeder(
        self,
        topic: str,
        message_type: Any = Header,
        listeners: int = 1,
        qos: QoSProfile | int = DEPTH,
    ) -> Any:
        """A publisher whose listeners have been found."""
        publisher = self.node.create_publisher(message_type, topic, qos)
        wait_for(
            lambda: publisher.get_subscription_count() >= listeners,
            f'{listeners} subscriptions of {topic}',
        )
        return publisher

    # -- lifecycle -------------------------------------------------------------------------------

    def state_of(self, node: str) -> str:
        """A node's lifecycle state, asked by its service."""
        while True:
            answer = self._ask(GetState, f'{node}/get_state', GetState.Request())
            if answer is not None:
                return str(answer.current_state.label)

    def change_state(self, node: str, label: str) -> bool:
        """Ask a node for a transition, as ``ros2 lifecycle set`` does."""
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
        """Call a ``std_srvs/Trigger``: (success, message). Asked again where no answer comes."""
        while True:
            answer = self._ask(Trigger, name, Trigger.Request())
            if answer is not None:
                return bool(answer.success), str(answer.message)

    def ask(self, service: Any, name: str, request: Any) -> Any:
        """Call a service, again where no answer comes; its answer."""
        while True:
            answer = self._ask(service, name, request)
            if answer is not None:
                return answer

    def ask_to_trigger(self, name: str) -> Any:
        """Ask once, and do not wait: a future. To be called after an answered ``trigger``."""
        return self._clients[name].call_async(Trigger.Request())

    def ask_to_change_state(self, node: str, label: str) -> Any:
        """Ask once, and do not wait: a future. To be called after an answered ``change_state``."""
        request = ChangeState.Request()
        request.transition.label = label
        return self._clients[f'{node}/change_state'].call_async(request)

    def set_parameter(self, node: str, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter, as ``ros2 param set`` does: (whether it was set, why not)."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        while True:
            answer = self._ask(SetParameters, f'{node}/set_parameters', request)
            if answer is not None:
                return answer.results[0].successful, answer.results[0].reason

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
        assert self._asked[name] < 20, f'no answer of {name}, asked {self._asked[name]} times'
        future = client.call_async(request)
        try:
            wait_for(future.done, f'an answer of {name}', 3.0)
        except AssertionError:
            client.remove_pending_request(future)
            return None
        self._asked[name] = 0
        return future.result()


def header(number: int) -> Header:
    """An item: the n-th millisecond."""
    message = Header(frame_id=str(number))
    message.stamp.sec, message.stamp.nanosec = divmod((number + 1) * 1_000_000, 1_000_000_000)
    return message


def number_of(message: Header) -> int:
    """Which item a message is."""
    return (message.stamp.sec * 1_000_000_000 + message.stamp.nanosec) // 1_000_000 - 1
