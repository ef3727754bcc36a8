# SPDX-License-Identifier: Apache-2.0
"""The spare process: set up in advance, it becomes a worker when it gets a spec."""

from __future__ import annotations

import contextlib
import os
import signal
from multiprocessing.connection import Connection

import rclpy

from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.ros.process_config import RosProcessConfig, ros_context
from worker_pipeline.system.close_on_exec import closing_on_exec
from worker_pipeline.system.proc import set_process_name
from worker_pipeline.worker.process import run_worker
from worker_pipeline.worker.random_seeds import seed_all

# Sent by a spare when it can become a worker.
READY = 'ready'


def run_spare(config: RosProcessConfig, namespace: str, command_pipe: Connection) -> None:
    """Run a spare, on the main thread of its process.

    Args:
        config: The ROS set-up of the process.
        namespace: The namespace of its placeholder node.
        command_pipe: Sends ``READY``, and receives the spec of a worker to become. The spare exits
            when the other end is closed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    seed_all()
    set_process_name('spare')
    with closing_on_exec(), ros_context(config):
        # A participant exists only as long as there is a node. The underscore hides this one.
        placeholder = rclpy.create_node(
            f'_spare_{os.getpid()}',
            namespace=namespace,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
    spec: WorkerSpec | None = None
    with command_pipe, contextlib.suppress(EOFError, OSError):
        command_pipe.send(READY)
        spec = command_pipe.recv()
    if spec is not None:
        run_worker(spec, placeholder)
    else:
        placeholder.destroy_node()
        rclpy.shutdown()
