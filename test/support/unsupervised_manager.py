# SPDX-License-Identifier: Apache-2.0
"""The commands, with a fault in the manager: after SIGUSR1 a stage is no longer supervised."""

from __future__ import annotations

import signal
import sys

from worker_pipeline import cli
from worker_pipeline.manager.stage_node import StageNode


def _neglect(*_: object) -> None:
    tick = StageNode.tick

    def failing_tick(stage: StageNode, now: float) -> None:
        if stage.get_name() == 'neglected':
            raise RuntimeError('the fault')
        tick(stage, now)

    StageNode.tick = failing_tick  # type: ignore[assignment,method-assign]


if __name__ == '__main__':
    signal.signal(signal.SIGUSR1, _neglect)
    sys.exit(cli.main())
