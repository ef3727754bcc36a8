"""A peer: a small supervisor that respawns a cold node and brings it back to active."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

from lifecycle_msgs.srv import ChangeState

from benchmarks.feeder import Feeder
from benchmarks.processes import start_module, stop
from worker_pipeline.runtime.shared_memory import SharedMemoryUse

NODE = 'plain_0'
# A request that a node had not yet discovered is lost, so it is made again and again.
ASK_AGAIN = 0.1  # s
TIMEOUT = 30.0  # s


class Respawner:
    """What launch with respawn and a lifecycle manager do, without any wait of theirs."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._client = feeder.node.create_client(ChangeState, f'{NODE}/change_state')
        self._process: subprocess.Popen[bytes] | None = None
        self._shared_memory = SharedMemoryUse()

    def start(self) -> None:
        """Start the node, and drive it to active."""
        remap = ('-r', f'__node:={NODE}', '-r', '__ns:=/airside')
        self._process = start_module('benchmarks.plain_node', '--ros-args', *remap)
        for label in ('configure', 'activate'):
            self._change_state(label)

    def kill_and_respawn(self) -> None:
        """Kill the node; its end is seen at once, and it is started again at once."""
        assert self._process is not None
        self._shared_memory.note(self._process.pid)
        self._process.kill()
        self._process.wait(5.0)
        self.start()

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
