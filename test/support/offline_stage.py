# SPDX-License-Identifier: Apache-2.0
"""What tests of one stage, ``s`` of an offline pipeline, do with it."""

from __future__ import annotations

from typing import Any

import attrs

from support.offline_pipeline import OfflinePipeline, message
from worker_pipeline.frames.reference import FrameNumber, Reference, encode


def reference(pid: int, frame: int = 1) -> bytes:
    """Return a reference to a frame of a process, 100 KB large."""
    return encode(Reference(FrameNumber(frame), 100_000, 0, f'{pid}.1', message(1)))


def reconfigure(rig: OfflinePipeline, **changes: Any) -> None:
    stage = rig.stages['s']
    stage.reconfigure(attrs.evolve(stage.config, **changes))


def pids(rig: OfflinePipeline) -> dict[str, int | None]:
    return {name: each.supervision.pid for name, each in rig.stages['s'].slots.items()}
