"""The commands, with a fault of the manager's own: from SIGUSR1 on a stage is not supervised."""

from __future__ import annotations

import signal
import sys

from worker_pipeline import cli
from worker_pipeline.nodes.stage import StageNode


def _neglect(*_: object) -> None:
    tick = StageNode.tick

    def failing_tick(stage: StageNode, now: float) -> None:
        if stage.get_name() == 'neglected':
            raise RuntimeError('the fault')
        tick(stage, now)

    StageNode.tick = failing_tick  # type: ignore[method-assign]


if __name__ == '__main__':
    signal.signal(signal.SIGUSR1, _neglect)
    sys.exit(cli.main())
