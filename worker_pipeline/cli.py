# SPDX-License-Identifier: Apache-2.0
"""The commands: ``python -m worker_pipeline COMMAND``, the same as ``ros2 run``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence

from worker_pipeline.environment import NO_LOG_FILES, report_bad_environment
from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION

USAGE = """usage: python -m worker_pipeline COMMAND [--ros-args ...]

commands:
  manager      run a pipeline: manager --ros-args --params-file FILE
  monitor      show and control a pipeline in a terminal: monitor [--namespace /airside]
  worker       run one stage alone: worker --ros-args -p plugin:=module:Class
  mission      fly the reference mission
  create       create a package of stages: create my_stages [--stage CLASS]
  quarantine   list the quarantined items, or show one: quarantine --show NAME
"""

# The commands without a parser: all their settings are ROS arguments.
MANAGER_USAGE = """usage: python -m worker_pipeline manager [-h] --ros-args --params-file FILE

Run the pipeline that a parameter file describes, until Ctrl-C.

options:
  -h, --help          show this help message and exit
  --params-file FILE  parameters of the node manager, in a section /**/manager
  -r __ns:=NAMESPACE  namespace of the pipeline (/airside)
"""
WORKER_USAGE = """usage: python -m worker_pipeline worker [-h] --ros-args -p plugin:=module:Class

Run one stage alone in the foreground, without a manager, until Ctrl-C.

options:
  -h, --help                show this help message and exit
  -p plugin:=module:Class   the class of the stage
  -p params.NAME:=VALUE     a parameter of the class
  -r __ns:=NAMESPACE        namespace of the node (/airside)
"""


def manager(arguments: Sequence[str] | None = None) -> int:
    """Run a pipeline until it is stopped; return the exit code."""
    arguments = sys.argv if arguments is None else arguments
    answered = _answer_alone('manager', arguments, MANAGER_USAGE)
    if answered is not None:
        return answered
    from worker_pipeline.output.redirect import open_standard_streams
    from worker_pipeline.system.malloc import use_one_arena
    from worker_pipeline.system.stop_signals import GUARDED_SIGNALS, StopSignals

    open_standard_streams()  # before anything else is opened
    # Before rclpy is imported: tracing starts threads, and each would have a heap in all children.
    use_one_arena()
    # Before the imports: a stop signal meanwhile is acted on after them.
    signals = StopSignals(*GUARDED_SIGNALS)
    # There is no garbage during the imports, and looking for it takes a tenth of their time.
    gc.disable()
    from worker_pipeline.output.output_relay import relayed_output

    with relayed_output() as output:
        from worker_pipeline.guardian.process import die_by, run_guarded

        code = run_guarded(arguments, signals, output)
    return die_by(-code) if code < 0 else code


def monitor(arguments: Sequence[str] | None = None) -> int:
    """Show and control a pipeline in a terminal; return the exit code."""
    arguments = sys.argv if arguments is None else arguments
    bad = None if _asks_for_help(arguments) else report_bad_environment('monitor', arguments)
    if bad is not None:
        return bad
    from worker_pipeline.monitor.application import run_monitor

    return run_monitor(arguments)


def worker(arguments: Sequence[str] | None = None) -> int:
    """Run one stage alone, in the foreground; return the exit code."""
    arguments = sys.argv if arguments is None else arguments
    answered = _answer_alone('worker', arguments, WORKER_USAGE)
    if answered is not None:
        return answered
    from worker_pipeline.worker.standalone import run_standalone

    return run_standalone(arguments)


def mission(arguments: Sequence[str] | None = None) -> int:
    """Fly the reference mission; return the exit code."""
    arguments = sys.argv if arguments is None else arguments
    if not _asks_for_help(arguments):
        # Its logs have a folder of their own.
        bad = report_bad_environment('mission', [NO_LOG_FILES])
        if bad is not None:
            return bad
    from worker_pipeline.airside.mission.__main__ import main as fly

    return fly(list(arguments[1:])) or 0


def quarantine(arguments: Sequence[str] | None = None) -> int:
    """List the quarantined items, or show one; return the exit code."""
    from worker_pipeline.quarantine.command import main as show

    return show(list(sys.argv[1:] if arguments is None else arguments[1:]))


def create(arguments: Sequence[str] | None = None) -> int:
    """Create a package of stages; return the exit code."""
    from worker_pipeline.create.command import main as create_package

    return create_package(list(sys.argv[1:] if arguments is None else arguments[1:]))


def _answer_alone(command: str, arguments: Sequence[str], usage: str) -> int | None:
    """Answer what needs no ROS; return the exit code, None if the command is to be run.

    Args:
        command: the command, which has no arguments of its own.
        arguments: its arguments, as in ``sys.argv``.
        usage: its usage.
    """
    if _asks_for_help(arguments):
        print(usage, end='')
        return 0
    own = _own_arguments(arguments)
    if own:
        problem = f'found {own[0]!r}; allowed: only ROS arguments, after --ros-args'
        print(f'{command}: {problem}\n\n{usage}', end='', file=sys.stderr)
        return EXIT_BAD_CONFIGURATION
    return report_bad_environment(command, arguments)


def _asks_for_help(arguments: Sequence[str]) -> bool:
    return any(each in ('-h', '--help') for each in _own_arguments(arguments))


def _own_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are not for ROS, which are between ``--ros-args`` and ``--``."""
    own, is_for_ros = [], False
    for each in arguments[1:]:
        if each == '--ros-args' or (each == '--' and is_for_ros):
            is_for_ros = each == '--ros-args'
        elif not is_for_ros:
            own.append(each)
    return own


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    'manager': manager,
    'monitor': monitor,
    'worker': worker,
    'mission': mission,
    'create': create,
    'quarantine': quarantine,
}


def main() -> int:
    """Run the command that the first argument names; return the exit code."""
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
