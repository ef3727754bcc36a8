# SPDX-License-Identifier: Apache-2.0
"""How a worker process sets up ROS: its arguments and its DDS participant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import attrs
import rclpy
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.ros import dds, shared_memory
from worker_pipeline.ros.dds import Settings


@attrs.frozen
class RosProcessConfig:
    """The ROS set-up of one process."""

    ros_arguments: tuple[str, ...] = ()  # log level and the like
    dds: Settings | None = None  # None: as in the environment
    number: int = 0  # of its DDS participant; used with ``dds``
    folder: str = ''  # of the pipeline; files left there by a killed process are removed with it


@contextlib.contextmanager
def ros_context(config: RosProcessConfig) -> Iterator[None]:
    """Initialise rclpy; create the first node, and so the DDS participant, in this context."""
    if dds.may_use_shared_memory(config.dds):
        shared_memory.remove_unfinished_ports()
    with contextlib.ExitStack() as settings:
        if config.dds is not None:
            settings.enter_context(
                dds.participant(
                    config.dds.common, config.dds.worker, config.number, Path(config.folder)
                )
            )
        rclpy.init(args=list(config.ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
        yield
