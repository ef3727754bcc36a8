# SPDX-License-Identifier: Apache-2.0
"""State folders of managers in this process: one that runs, and one that was killed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from worker_pipeline.recovery.state_dir import PipelineStateDir


@contextlib.contextmanager
def running(namespace: str = '/airside', domain: int = 3) -> Iterator[PipelineStateDir]:
    """Yield the folder of a manager while it runs."""
    state_dir = PipelineStateDir(namespace, domain)
    try:
        yield state_dir
    finally:
        state_dir.close(remove=True)


def leave_behind(**files: bytes) -> None:
    """Leave files in the folder, like a killed manager."""
    state_dir = PipelineStateDir('/airside', 3)
    for name, data in files.items():
        (state_dir.path / name).write_bytes(data)
    state_dir.close(remove=False)
