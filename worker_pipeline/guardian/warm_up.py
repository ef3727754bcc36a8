# SPDX-License-Identifier: Apache-2.0
"""What a manager would otherwise do at its start for the first time in its process.

Done in the guardian it is done for all managers, as they are its forks.
"""

from __future__ import annotations

import contextlib
import inspect

import worker_pipeline.worker.spare  # noqa: F401 - for the fork server, whose preload imports it
from worker_pipeline.quarantine.files import has_mcap
from worker_pipeline.ros import dds, type_supports


def warm_up() -> None:
    """Load and look up what each manager needs."""
    type_supports.load()
    dds.rclpy_major()
    has_mcap()  # imports it
    # rclpy finds out who logs by this. The first time it looks through all modules: 20 ms.
    with contextlib.suppress(OSError):
        inspect.getmodule(inspect.currentframe())
