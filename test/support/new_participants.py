# SPDX-License-Identifier: Apache-2.0
"""Makes participants as a manager does, one after the other, beside a node with default settings.

``python -m support.new_participants COUNT TIMEOUT`` prints for each whether it has discovered
that node within the timeout, s. Each is a fork of this process, as a process reads its profile
once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from std_msgs.msg import Empty

from worker_pipeline.ros import dds

FOLDER = Path(__file__).parents[2] / 'config'
TOPIC = '/of_the_old_node'


def forked(work: Callable[[], None]) -> int:
    """Run a function in a child process; return its pid."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(1)
    return pid


def be_old(ready: int) -> None:
    """Be the node with default settings; write a byte to ``ready`` when it is there."""
    rclpy.init()
    node = rclpy.create_node('old')
    node.create_publisher(Empty, TOPIC, 1)
    os.write(ready, b'.')
    signal.pause()


def be_new(timeout: float) -> None:
    """Be a new participant; exit with 0 if it discovers the old one in time."""
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    with dds.participant(settings.common, settings.manager, dds.manager_number()):
        rclpy.init()
        node = rclpy.create_node('new')
    deadline = time.monotonic() + timeout
    while not node.count_publishers(TOPIC):
        if time.monotonic() > deadline:
            os._exit(3)
        time.sleep(0.005)
    os._exit(0)


def main(count: int, timeout: float) -> None:
    """Print the exit code of each new participant."""
    read, write = os.pipe()
    old = forked(lambda: be_old(write))
    try:
        assert os.read(read, 1)
        for _ in range(count):
            _, status = os.waitpid(forked(lambda: be_new(timeout)), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
    finally:
        os.kill(old, signal.SIGKILL)
        os.waitpid(old, 0)


if __name__ == '__main__':
    main(int(sys.argv[1]), float(sys.argv[2]))
