# SPDX-License-Identifier: Apache-2.0
"""A plain rclpy node beside the pipeline of a test."""

from __future__ import annotations

from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from worker_pipeline.ros.shared_memory import mapped_by
from worker_pipeline.testing import PipelineProbe, wait_for
from worker_pipeline.testing.probe import DEPTH


class Observer(PipelineProbe):
    """A probe that subscribes to headers by default, and reads the graph too."""

    def __init__(self, domain: int) -> None:
        super().__init__('/airside', domain)
        if mapped_by('self'):
            # Profiles are read once in a process, before its first participant.
            raise RuntimeError('shared memory is used: another node of this process came before')

    def collect(self, topic: str, message_type: Any = Header) -> list[Any]:
        return super().collect(topic, message_type)

    def feeder(
        self,
        topic: str,
        message_type: Any = Header,
        listeners: int = 1,
        qos: QoSProfile | int = DEPTH,
    ) -> Any:
        return super().feeder(topic, message_type, listeners, qos)

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

    def ask_to_trigger(self, name: str) -> Any:
        """Ask once, and do not wait: a future. To be called after an answered ``trigger``."""
        return self._calls.client(Trigger, name).call_async(Trigger.Request())

    def ask_to_change_state(self, node: str, label: str) -> Any:
        """Ask once, and do not wait: a future. To be called after an answered ``change_state``."""
        request = ChangeState.Request()
        request.transition.label = label
        return self._calls.client(ChangeState, f'{node}/change_state').call_async(request)


def header(number: int) -> Header:
    """An item: the n-th millisecond."""
    message = Header(frame_id=str(number))
    message.stamp.sec, message.stamp.nanosec = divmod((number + 1) * 1_000_000, 1_000_000_000)
    return message


def number_of(message: Header) -> int:
    """Which item a message is."""
    nanoseconds: int = message.stamp.sec * 1_000_000_000 + message.stamp.nanosec
    return nanoseconds // 1_000_000 - 1
