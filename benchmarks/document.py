"""The figures with method and machine, as the documentation has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import replacement, steady_state, throughput
from benchmarks.figure import Series
from benchmarks.respawner import ASK_AGAIN
from benchmarks.table import markdown_table

_TEXT = """# Performance

Written by `python -m benchmarks --write docs/performance.md`; not to be edited by hand.
`make bench` measures the same on your machine and puts every sample into `out/bench.json`.

## Figures

{table}

Median (min - max) of all samples of {repeats} repeats. The ratio is worker_pipeline divided by its
peer: the median of the repeats' own ratios.

## Machine

{machine}

{shared}

## Method

Each side of each figure is measured in a process and a ROS domain of its own, one after the other,
never two at once. The sides take turns, and take turns at going first, so that what else the
machine does falls on both. Nothing here passes or fails.

**Steady state.** A manager and {processes} idle workers with heartbeats at 10 Hz, beside as many
plain processes: `rclpy.init`, one lifecycle node, a timer that publishes a `DiagnosticStatus` at
10 Hz, the default executor. {settling:g} s after all are up, the CPU time of all processes is taken
over {window:g} s. The pipeline's includes the manager, which hears all heartbeats, and the fork
server; the heartbeats of the plain processes are heard by nobody. Private memory (USS) is what
would be free if one process ended, and the median of the processes; proportional memory (PSS)
counts shared pages in equal parts, and is the sum of all processes.

**Throughput.** {items} messages `std_msgs/Header` through a stage that echoes them, with {workers}
workers and the default `concurrency`; the feeder has at most {in_flight} under way. Beside it as
many worker processes between two queues of a `multiprocessing.Manager`, which echo small tuples
with the same bound. The pipeline keeps order and a ledger, the queues neither.

**Replacement.** The only worker of a stage is killed with SIGKILL, and an item is fed at once. The
time ends with its answer: it includes noticing the death, the new process, its way to active, and
discovery. {kills} kills in each repeat, {pause:g} s apart, without back-off
(`restart_backoff_max: 0.0`). Beside it a supervisor that starts a plain lifecycle node anew as soon
as its process has ended, asks it every {ask_again:g} s to configure, then to activate, until it
answers, and then feeds it items until one is answered. The peers use the default settings of DDS,
the pipeline those that come with it.
"""


def render(report: dict[str, Any], series: Sequence[Series]) -> str:
    """The whole document."""
    busy = report['cpus_busy_with_other_work']
    shared = f'Before each measurement, {busy:.1f} CPUs were busy with other work (mean).'
    shared += (
        ' Where that is not 0, the machine\nwas shared and the figures are noisy: the ratios say '
        'more than the figures.'
    )
    return _TEXT.format(
        table=markdown_table(series),
        repeats=report['repeats'],
        machine='\n'.join(f'- {key}: {value}' for key, value in report['machine'].items()),
        shared=shared,
        processes=steady_state.PROCESSES,
        settling=steady_state.SETTLING,
        window=steady_state.WINDOW,
        items=throughput.ITEMS,
        workers=throughput.WORKERS,
        in_flight=throughput.IN_FLIGHT,
        kills=replacement.KILLS,
        pause=replacement.PAUSE,
        ask_again=ASK_AGAIN,
    )
