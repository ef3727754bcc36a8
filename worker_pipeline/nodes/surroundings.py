"""What a stage is given by the manager that makes it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from worker_pipeline.config import PipelineConfig, PluginDescription
from worker_pipeline.nodes.participation import Participation
from worker_pipeline.nodes.quarantine import Quarantine
from worker_pipeline.nodes.spares import Spares
from worker_pipeline.runtime.frame_keeper import FrameKeeper
from worker_pipeline.runtime.line_server import LineServer
from worker_pipeline.runtime.outbox import Outbox
from worker_pipeline.runtime.pipeline_folder import PipelineFolder
from worker_pipeline.runtime.processes import Launcher


@attrs.frozen
class Surroundings:
    """What the stages of a pipeline have in common."""

    pipeline: PipelineConfig
    plugins: dict[str, PluginDescription]
    namespace: str
    launcher: Launcher
    manager_pid: int
    folder: PipelineFolder
    outbox: Outbox
    frames: FrameKeeper
    quarantine: Quarantine
    ros_arguments: tuple[str, ...]  # for the stages' nodes
    lines: LineServer  # to the workers
    spares: Spares
    participation: Participation  # of a worker's process, but for its number
    next_participation: Callable[[], Participation]  # with the next number
    note_process: Callable[[int], None]  # told the pid of every worker that has come up
    interrupted: Callable[[], bool]  # whether a wait is to be cut short, as all is to end
