"""How a worker's process takes part in ROS: its arguments, and its DDS participant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import attrs
import rclpy
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.runtime import dds, shared_memory
from worker_pipeline.runtime.dds import Settings


@attrs.frozen
class Participation:
    """What such a process is told."""

    ros_arguments: tuple[str, ...] = ()  # log level and the like
    dds: Settings | None = None  # None for what the environment says already
    number: int = 0  # of its DDS participant, with settings
    folder: str = ''  # of the pipeline: what is made there goes with it, whoever is killed


@contextlib.contextmanager
def taking_part(terms: Participation) -> Iterator[None]:
    """Initialise rclpy. Within it the first node is to be made, and with it the participant."""
    if dds.may_use_shared_memory(terms.dds):
        shared_memory.sweep_the_unfinished()
    with contextlib.ExitStack() as settings:
        if terms.dds is not None:
            settings.enter_context(
                dds.participant(
                    terms.dds.common, terms.dds.worker, terms.number, Path(terms.folder)
                )
            )
        rclpy.init(args=list(terms.ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
        yield
