# SPDX-License-Identifier: Apache-2.0
"""rclpy and asyncio, used by the stage itself."""

from __future__ import annotations

import asyncio
import threading
import time

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header

from hostile.hostile_stage import HostileStage


class InitsRclpy(HostileStage):
    """calls rclpy.init() in configure, as every tutorial does"""

    def configure(self):
        rclpy.init()


class ShutsRclpyDown(HostileStage):
    """calls rclpy.shutdown() in process"""

    def trouble(self, item):
        rclpy.shutdown()
        time.sleep(20.0)


class HasNode(HostileStage):
    """has a node, a timer, a publisher and a spinning thread of its own, never destroyed"""

    def configure(self):
        self.node = rclpy.create_node(f'own_{type(self).__name__.lower()}')
        self.publisher = self.node.create_publisher(Header, 'own_topic', 1)
        self.node.create_timer(0.01, lambda: self.publisher.publish(Header()))
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        threading.Thread(target=self.executor.spin, daemon=True).start()


class HasNodeInThread(HasNode):
    """the same, with a thread that is not a daemon"""

    def configure(self):
        super().configure()
        threading.Thread(target=self._spin).start()

    def _spin(self):
        other = rclpy.create_node('own_other')
        rclpy.spin(other)


class HasContext(HostileStage):
    """initialises a context of its own, and never shuts it down"""

    def configure(self):
        self.own = Context()
        rclpy.init(context=self.own)
        self.node = rclpy.create_node('own_in_context', context=self.own)


class SpinsInProcess(HostileStage):
    """spins a node of its own within process"""

    def configure(self):
        self.node = rclpy.create_node('own_spinning')

    def trouble(self, item):
        for _ in range(5):
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return super().trouble(item)


class WaitsForService(HostileStage):
    """calls a service that is never answered, from process"""

    def trouble(self, item):
        node = rclpy.create_node('own_client')
        client = node.create_client(GetState, 'nobody/get_state')
        client.call(GetState.Request())


class AsksItsWorker(HostileStage):
    """calls a service of its own worker from process"""

    def trouble(self, item):
        node = rclpy.create_node('own_asking')
        stage = self.params['name']
        client = node.create_client(GetState, f'/airside/{stage}/worker_0/get_state')
        if not client.wait_for_service(10.0):
            raise TimeoutError('no service')
        future = client.call_async(GetState.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
        node.destroy_node()
        if not future.done():
            raise TimeoutError('no response')
        return Header(frame_id=item.frame_id)

    parameters = {**HostileStage.parameters, 'name': ''}


class ChangesItsParams(HostileStage):
    """changes self.params in process"""

    def trouble(self, item):
        self.params = {'gain': 2.0}
        return super().trouble(item)


class PublishesInThread(HostileStage):
    """publishes an additional topic from a thread of its own, after the stop too"""

    topics = {'extra': Header}

    def activate(self):
        threading.Thread(target=self._publish, daemon=True).start()

    def _publish(self):
        while True:
            self.topic['extra'].publish(Header(frame_id='extra'))
            time.sleep(0.002)


class MisreadsContext(HostileStage):
    """reads a context that it has not declared"""

    def trouble(self, item):
        return self.context['odometry'].nearest(item.stamp)


class RunsAsyncio(HostileStage):
    """calls asyncio.run in process"""

    def trouble(self, item):
        return asyncio.run(self._work(item))

    async def _work(self, item):
        await asyncio.sleep(0.01)
        return Header(frame_id=item.frame_id)


class LeavesEventLoop(HostileStage):
    """leaves an event loop with a pending task open, in a thread too"""

    def configure(self):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(asyncio.sleep(600.0))
        self.loop.run_until_complete(asyncio.sleep(0))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()


class EndsStream(HostileStage):
    """raises EndOfStream, though it is no source"""

    def trouble(self, item):
        from worker_pipeline import EndOfStream

        raise EndOfStream
