# SPDX-License-Identifier: Apache-2.0
"""Peers: supervisors that respawn a cold node and bring it back to active."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

from lifecycle_msgs.srv import ChangeState

from benchmarks.feeder import Feeder
from benchmarks.processes import start_module, stop
from worker_pipeline.ros.shared_memory import SharedMemoryUse

NODE = 'plain_0'
# A request to a node that has not discovered the client yet is lost, so it is repeated.
ASK_AGAIN = 0.1  # s
TIMEOUT = 30.0  # s
ARGUMENTS = ('--ros-args', '-r', f'__node:={NODE}', '-r', '__ns:=/airside')


class Respawner:
    """The work of launch with respawn and of a lifecycle manager, without their waits."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._client = feeder.node.create_client(ChangeState, f'{NODE}/change_state')
        self._process: subprocess.Popen[bytes] | None = None
        self._shared_memory = SharedMemoryUse()

    def start(self) -> None:
        """Start the node and activate it."""
        self._process = start_module('benchmarks.plain_node', *ARGUMENTS)
        self._drive_to_active()

    def _drive_to_active(self) -> None:
        for label in ('configure', 'activate'):
            self._change_state(label)

    def kill_and_respawn(self) -> float:
        """Kill the node; its exit is noticed immediately, and it is restarted immediately.

        Returns when it was killed, by ``time.perf_counter``.
        """
        assert self._process is not None
        self._shared_memory.note(self._process.pid)
        killed = time.perf_counter()
        self._process.kill()
        self._process.wait(5.0)
        self.start()
        return killed

    def close(self) -> None:
        """End the node, and remove what the killed ones left in shared memory."""
        if self._process is not None:
            stop([self._process], signal.SIGTERM)
        self._shared_memory.sweep()

    def _change_state(self, label: str) -> None:
        request = ChangeState.Request()
        request.transition.label = label
        asked: list[Any] = []
        deadline = time.monotonic() + TIMEOUT
        while not any(future.done() for future in asked):
            if time.monotonic() >= deadline:
                raise TimeoutError(f'no answer to {label} within {TIMEOUT:g} s')
            asked.append(self._client.call_async(request))
            end = time.monotonic() + ASK_AGAIN
            self._feeder.until(
                lambda end=end: time.monotonic() >= end or any(each.done() for each in asked),
                f'an answer to {label}',
            )
        for future in asked:
            self._client.remove_pending_request(future)


class LaunchRespawner(Respawner):
    """ROS 2's own launch with ``respawn``, and the same lifecycle manager."""

    def start(self) -> None:
        """Start launch, which starts the node, and activate that."""
        self._process = start_module('benchmarks.launched_node', *ARGUMENTS)
        self._drive_to_active()

    def kill_and_respawn(self) -> float:
        """Kill the node; launch restarts it."""
        (pid,) = self._feeder.until_heard(1, saying='alive')
        self._shared_memory.note(pid)
        # So that it is not taken for its successor the next time.
        self._feeder.heartbeats.clear()
        killed = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        self._drive_to_active()
        return killed
