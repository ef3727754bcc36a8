# SPDX-License-Identifier: Apache-2.0
"""A stage's end of the connection to one of its workers, and its public mirror.

The endpoints belong to the slot, the channel to the process that fills it. Items and answers go
through the channel, a Unix-domain socket; the topics ``work``, ``result`` and ``outcome`` show them
to subscribers, as ``ros2 topic echo`` is.
"""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.frames.reference import FrameNumber
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.channel_server import ChannelServer
from worker_pipeline.protocol.channel import Channel, PacketType
from worker_pipeline.protocol.packets import pack_frame_numbers
from worker_pipeline.ros import qos
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.mirror_topic import MirrorTopic, subscribe_noop

# After so many workers the subscriptions of a slot's mirror topics are made anew.
WORKERS_PER_SUBSCRIPTION = 100


class WorkerChannel:
    """The endpoints of one slot on the stage's node, and its worker's channel while there is one.

    Args:
        node: the stage's.
        stage: the stage's name.
        slot: the slot's name.
        input_type: the message class of the stage's items.
        output_type: the message class of its outputs.
        concurrency: how many items the worker may hold.
        channels: sends, and reads the worker's packets.
        frames: releases the worker's frames.
    """

    def __init__(
        self,
        node: ManagedNode,
        stage: str,
        slot: str,
        input_type: Any,
        output_type: Any,
        concurrency: int,
        channels: ChannelServer,
        frames: FrameRegistry,
    ) -> None:
        self._node = node
        self._name = f'{stage}/{slot}'
        self._peer = f'{node.get_fully_qualified_name()}/{slot}'
        self._types = input_type, output_type
        self._profile = qos.work(concurrency)
        self._channels = channels
        self._frames = frames
        self._channel: Channel | None = None
        self._work: MirrorTopic | None = None
        self._subscriptions: list[Any] = []
        self._workers = 0  # how many have connected since the subscriptions were made

    def open_mirror(self) -> None:
        """Show items and answers on topics, from now on."""
        self._work = MirrorTopic(
            self._node, self._types[0], f'{self._name}/work', self._profile, self._peer
        )
        self._subscribe()

    def _subscribe(self) -> None:
        self._subscriptions = [
            subscribe_noop(self._node, kind, f'{self._name}/{topic}', self._profile)
            for kind, topic in ((self._types[1], 'result'), (DiagnosticStatus, 'outcome'))
        ]

    def refresh_mirror(self) -> None:
        """Look who observes the topics, and make the subscriptions anew now and then.

        Fast DDS keeps some 400 bytes for every killed worker whose topics they were matched with.
        """
        if self._work is None:
            return
        self._work.refresh()
        if self._workers > WORKERS_PER_SUBSCRIPTION:
            self._workers = 0
            self._unsubscribe()
            self._subscribe()

    def attach(self, channel: Channel, pid: int, last_frame: int) -> None:
        """Use the connection that a worker has opened.

        Args:
            channel: the connection.
            pid: the worker's.
            last_frame: the number of the last frame that it had sent when it connected.
        """
        self.detach()
        self._channel = channel
        self._workers += 1
        needed = self._frames.producer_connected(pid, self._release)
        body = pack_frame_numbers(needed)
        self._channels.send(channel, PacketType.FRAMES_IN_USE, last_frame, body)

    def detach(self) -> None:
        """Close the connection: the worker is gone, or another one has connected."""
        if self._channel is not None:
            self._channels.close_channel(self._channel)
            self._channel = None

    def read_remaining(self) -> None:
        """Read and handle the last packets of a worker that has exited."""
        if self._channel is not None:
            self._channels.read(self._channel, everything=True)

    def send(self, number: int, item: bytes) -> None:
        """Send the worker a serialised item."""
        if self._channel is not None:
            self._channels.send(self._channel, PacketType.ITEM, number, item)
        if self._work is not None and self._work.has_observers:
            self._work.publish(self._frames.materialize(item))

    def _release(self, frames: list[FrameNumber]) -> None:
        if self._channel is not None:
            # It has to know before it makes the next one, and that it is asked for through here.
            send = self._channels.send if self._frames.is_low else self._channels.enqueue
            send(self._channel, PacketType.FRAMES_FREED, body=pack_frame_numbers(frames))

    def request(self, label: str) -> None:
        """Request a lifecycle transition. The worker's reports show whether it happened."""
        if self._channel is not None:
            self._channels.send(self._channel, PacketType.CHANGE_STATE, body=label.encode())

    def send_context(self, number: int, message: bytes) -> None:
        """Send the worker a message of a context. ``number``: which one."""
        if self._channel is not None:
            self._channels.send(self._channel, PacketType.CONTEXT, number, message)

    def set_sim_time(self, *, is_simulated: bool) -> None:
        """Tell the worker where ROS time comes from: ``/clock``, or the system."""
        if self._channel is not None:
            self._channels.send(self._channel, PacketType.SIM_TIME, int(is_simulated))

    def destroy(self) -> None:
        """Close the connection, and remove the endpoints from the graph."""
        self.detach()
        if self._work is not None:
            self._node.destroy_publisher(self._work.publisher)
        self._unsubscribe()

    def _unsubscribe(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
