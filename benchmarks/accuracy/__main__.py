# SPDX-License-Identifier: Apache-2.0
"""The accuracy of the targets, beside the forerunner's: ``python -m benchmarks.accuracy``.

The same simulated flights for both, and the bound. Takes some minutes; needs the aerial photograph
and scikit-learn, which ``make`` installs. Exit code 1: no photograph.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.accuracy import document
from benchmarks.accuracy.flight import EXACT, PERIOD, Flight, measured_noise, projected, rendered
from benchmarks.accuracy.methods import Flown, fly, limit
from benchmarks.accuracy.report import Rendered, Report, rich_tables
from worker_pipeline.airside.simulation.imagery import (
    Orthophoto,
    load_photograph,
)
from worker_pipeline.airside.simulation.photograph import ImageryMissingError


def measure(
    seeds: range,
    ground: Orthophoto,
    console: Console,
    rendered_period: float,
    period: float = PERIOD,
) -> Report:
    """Measure all flights. The periods: s, between two frames, rendered or projected."""
    console.print(f'flight {seeds[0]}, rendered, every {rendered_period:g} s')
    first = Flight(seeds[0])
    frames = list(rendered(first, ground, rendered_period))
    noise = measured_noise(first, frames)
    finds = sum(pad >= 0 for frame in frames for pad in frame.pads)
    same = list(projected(first, noise, rendered_period))
    false = sum(pad < 0 for frame in frames for pad in frame.pads)
    as_rendered = Rendered(
        rendered_period,
        len(frames),
        finds,
        sum(len(frame.pads) for frame in same),
        false,
        fly(first, frames),
        fly(first, same),
    )
    flown: list[Flown] = []
    exact: list[Flown] = []
    for seed in seeds:
        console.print(f'flight {seed}, to {seeds[-1]}')
        for whole, errors in ((flown, None), (exact, EXACT)):
            flight = Flight(seed, errors)
            whole.append(fly(flight, projected(flight, noise, period)))
    return Report(noise, as_rendered, flown, exact, [limit(each, noise) for each in flown])


def main() -> int:
    """Run the command; return the exit code."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        ground = load_photograph(options.photograph)
    except ImageryMissingError as error:
        console.print(str(error))
        return 1
    seeds = range(options.first, options.first + options.seeds)
    report = measure(seeds, ground, console, options.rendered_period)
    for table in rich_tables(report):
        console.print(table)
    for line in report.conclusions():
        console.print(line)
    if options.write is not None:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(document.render(report, machine.describe()))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.accuracy',
        description='Measure how accurate the targets are, beside the forerunner and the bound.',
    )
    parser.add_argument('--seeds', type=int, default=20, help='flights (default: 20)')
    parser.add_argument('--first', type=int, default=1, help='the first seed (default: 1)')
    parser.add_argument('--photograph', default='', help='another one than that in assets')
    parser.add_argument(
        '--rendered-period',
        type=float,
        default=2 * PERIOD,
        help='s, between two frames of the rendered flight (default: 0.2)',
    )
    parser.add_argument('--write', type=Path, help='also write the documentation to this file')
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f'--seeds: found {options.seeds}; allowed: 1 or more')
    if options.first < 0:
        parser.error(f'--first: found {options.first}; allowed: 0 or more')
    if not options.rendered_period > 0:
        parser.error(f'--rendered-period: found {options.rendered_period}; allowed: above 0')
    return options


if __name__ == '__main__':
    sys.exit(main())
