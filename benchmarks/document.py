# SPDX-License-Identifier: Apache-2.0
"""The performance document: figures, method and machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import (
    failover,
    frames,
    growth,
    latency,
    scaling,
    start_up,
    steady_state,
    throughput,
)
from benchmarks.figure import Series
from benchmarks.respawner import ASK_AGAIN
from benchmarks.table import markdown_table

_TEXT = """# Performance

Written by `python -m benchmarks --write docs/performance.md`; do not edit. `make bench` measures
the same on your machine and writes every sample to `out/bench.json`.

## Figures

{table}

Median (min - max) of all samples of {repeats} repeats, or the percentile that is named. The
ratio is worker_pipeline divided by its peer: the median of the repeats' own ratios.
{problems}
## Machine

{machine}

{shared}

## Method

Each contender is measured in a process and a ROS domain of its own, one after the other, never
two at once. Within a repeat all contenders of a figure follow one another directly, in alternating
order, so that other load on the machine affects all of them. Nothing here passes or fails. The
peers use the default settings of DDS, the pipeline its own.

**The manager.** A pipeline of seven stages with a journal works through a queue; its manager is
killed with SIGKILL. The first stage's worker notes when it answers; the time ends with its
first answer to an item that the next manager has sent it, and with the first output that a
plain subscriber receives. Beside it the whole command is killed and started again at once, as
`respawn` does.

**Failover.** One worker is made to hold an item and is killed with SIGKILL; the time ends when a
node outside receives that item's answer from another worker. {kills} kills in each repeat,
{pause:g} s apart, without back-off (`restart_backoff_max: 0.0`); with `spares: 1` unless it is
alone. Peers: a supervisor that restarts a plain lifecycle node as soon as its process has ended,
asks it every {ask_again:g} s to configure, then to activate, until it answers, and then feeds it
items until one is answered (the work in flight is lost); and launch with `respawn`, if that is
installed, with the same requests. *{at_once} of {at_once}*: all workers of a stage are killed
together, with no spares; the time ends when the last of as many others is active, by the machine's
clock in that process, and when a node outside has received its heartbeat, which depends on DDS.

**Start-up.** From the command to the last of {processes} workers being active, by the machine's
clock in that process, beside as many plain nodes, which configure nothing, started all at once;
and until another node has received a heartbeat of each, which depends on DDS.

**Throughput.** {items} messages `std_msgs/Header` through a stage that echoes them, with the
default `concurrency`; the feeder has at most {in_flight} in flight. Peers: a node that returns
what it receives without deserialising it, with the same executor and the same feeder; and the
standard library's ways to distribute work to processes, which echo small tuples with the same
bound, without ledger, order or ROS. Once more with a `concurrency` of {deep}: a worker that has
more prefetched items is woken less often.

**Latency.** {paced} items at {rate:g} Hz through chains of 1, 3 and 7 stages of one worker
each, beside chains of as many plain processes, each with one subscription and one publisher.

**Scaling.** {detections} items, for each of which a worker detects round marks in an image of
1920 x 1200 of its own (blur, threshold, contours, on one core); no image is sent.

**Steady state.** A manager and idle workers with heartbeats at 10 Hz, beside as many plain
lifecycle nodes with a timer that publishes a `DiagnosticStatus` at 10 Hz. {settling:g} s after
all are up, the CPU time of all processes is measured over {window:g} s. Private memory (USS) is
what would be freed if one process ended, and the median of the processes; proportional memory
(PSS) counts shared pages in equal parts, and is the sum of all processes: here also of the
manager, the fork server, and a spare.

**Growth.** {grown} items through one stage of more and more workers, and through longer and
longer chains: items per second, and the CPU time of the manager's process.

**Frames.** `sensor_msgs/Image` of 1920 x 1200, bgr8, 6.9 MB, eight different ones in turn so that
none is in the processor's cache, from a stage with one worker to another: from the pixels as an
array in one process to the pixels as an array in the other, {frames} at each rate. Peers: two
plain nodes with the same executor, which fill a message as cv_bridge does, with the default
transports and with `FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA`; and one copy of such a frame in one
process, at the same rate. Then as many as get through in {frame_window:g} s, of the plain nodes
with two in flight. *Captured into borrowed memory*: the camera has written its pixels into an
array from `borrow_array` before the time starts, as `video_input` does; otherwise it has them in
memory of its own. *With a listener*: another process is subscribed to the camera's output, as
rqt_image_view or a recorder is, and receives every frame completely over DDS.
"""


def render(report: dict[str, Any], series: Sequence[Series]) -> str:
    """Return the whole document."""
    busy = report['cpus_busy_with_other_work']
    shared = f'Before each measurement, {busy:.1f} CPUs were busy with other work (mean).'
    shared += (
        ' Where that is not 0, the machine\nwas shared and the figures are noisy: the ratios are '
        'more reliable than the figures.'
    )
    failed = [problem.splitlines()[0] for problem in report['problems']]
    return _TEXT.format(
        table=markdown_table(series),
        repeats=report['repeats'],
        problems=''.join(f'\nNot measured: {problem}' for problem in failed),
        machine='\n'.join(f'- {key}: {value}' for key, value in report['machine'].items()),
        shared=shared,
        kills=failover.KILLS,
        pause=failover.PAUSE,
        ask_again=ASK_AGAIN,
        at_once=failover.AT_ONCE,
        processes=start_up.PROCESSES,
        items=throughput.ITEMS,
        deep=throughput.DEEP,
        in_flight=throughput.IN_FLIGHT,
        paced=latency.ITEMS,
        rate=latency.RATE,
        detections=scaling.ITEMS,
        settling=steady_state.SETTLING,
        window=steady_state.WINDOW,
        grown=growth.ITEMS,
        frames=frames.FRAMES,
        frame_window=frames.WINDOW,
    )
