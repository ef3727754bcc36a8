"""The commands: ``python -m worker_pipeline manager``, the same as ``ros2 run``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence

USAGE = """usage: python -m worker_pipeline COMMAND [--ros-args ...]

commands:
  manager      run a pipeline:   manager --ros-args --params-file FILE
  monitor      show a pipeline in a terminal: monitor [--namespace /airside]
  worker       run one stage alone: worker --ros-args -p plugin:=module:Class
  mission      fly the reference mission
  quarantine   list the items that were given up, or show one: quarantine --show FILE
"""


def manager(arguments: Sequence[str] | None = None) -> int:
    """Run a pipeline until it is stopped; returns the exit code."""
    # Until all is imported: there is no garbage yet, and to look for it takes a tenth of the time.
    gc.disable()
    from worker_pipeline.nodes.manager_process import run_manager

    return run_manager(sys.argv if arguments is None else arguments)


def monitor(arguments: Sequence[str] | None = None) -> int:
    """Show a pipeline in a terminal, and steer it; returns the exit code."""
    from worker_pipeline.monitor.application import run_monitor

    return run_monitor(sys.argv if arguments is None else arguments)


def worker(arguments: Sequence[str] | None = None) -> int:
    """Run one stage alone, in the foreground; returns the exit code."""
    from worker_pipeline.nodes.standalone import run_standalone

    return run_standalone(sys.argv if arguments is None else arguments)


def mission(arguments: Sequence[str] | None = None) -> int:
    """Fly the reference mission; returns the exit code."""
    from worker_pipeline.mission.__main__ import main as fly

    return fly(list(sys.argv[1:] if arguments is None else arguments[1:])) or 0


def quarantine(arguments: Sequence[str] | None = None) -> int:
    """List the items that were given up, or show one; returns the exit code."""
    from worker_pipeline.runtime.quarantine_command import main as show

    return show(list(sys.argv[1:] if arguments is None else arguments[1:]))


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    'manager': manager,
    'monitor': monitor,
    'worker': worker,
    'mission': mission,
    'quarantine': quarantine,
}


def main() -> int:
    """Run the command that the first argument names; returns the exit code."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        asked = sys.argv[1] if len(sys.argv) > 1 else ''
        wants_help = asked in ('-h', '--help')
        if asked and not wants_help:
            print(
                f'worker_pipeline: found {asked!r}; allowed: {", ".join(COMMANDS)}\n',
                file=sys.stderr,
            )
        print(USAGE, end='', file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    return COMMANDS[sys.argv[1]]([sys.argv[0], *sys.argv[2:]])
