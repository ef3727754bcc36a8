# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks: ``python -m benchmarks``, or ``make bench``.

Exit code 0: every figure was measured, whatever its value; 1: a measurement failed; 130:
interrupted.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import document, machine
from benchmarks.catalogue import BENCHMARKS
from benchmarks.figure import Series
from benchmarks.measuring import MeasuringError, measure
from benchmarks.table import rich_table


def main() -> int:
    """Run the command; return the exit code."""
    options = _options()
    # Without a terminal, wide enough for the table.
    console = Console(width=None if sys.stdout.isatty() else 160)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    series = {name: Series.of(BENCHMARKS[name]) for name in options.only}
    background: list[float] = []
    problems: list[str] = []
    try:
        for repeat in range(options.repeats):
            for name in options.only:
                # Interleaved, with a different contender first each time.
                contenders = BENCHMARKS[name].contenders
                for each in contenders if repeat % 2 == 0 else reversed(contenders):
                    console.print(f'repeat {repeat + 1} of {options.repeats}: {name}, {each.name}')
                    background.append(machine.busy_cpus())
                    problems += _add(series[name], name, each.name)
    except KeyboardInterrupt:
        console.print('interrupted')
        return 130
    for problem in problems:
        console.print(problem, markup=False, highlight=False)
    flat = [each for name in options.only for each in series[name]]
    console.print(rich_table(flat))
    about = machine.describe()
    dates = dict.fromkeys(options.only, about['date'])
    if options.add is not None:
        earlier = json.loads(options.add.read_text())
        fresh = {each.figure.key for each in flat}
        kept = [each for each in earlier['figures'] if each['key'] not in fresh]
        flat = _in_order([*flat, *map(Series.from_dict, kept)])
        dates = earlier['dates'] | dates
    report = {
        'machine': about | {'date': _told(dates)},
        'dates': dates,
        'repeats': options.repeats,
        'cpus_busy_with_other_work': statistics.fmean(background),
        'figures': [each.as_dict() for each in flat],
        'problems': problems,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + '\n')
    if options.write is not None:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(document.render(report, flat))
    return 1 if problems else 0


def _add(series: list[Series], benchmark: str, contender: str) -> list[str]:
    """Measure one contender once more and add its samples; return the error, if any."""
    samples: dict[str, list[float]] = {}
    problems: list[str] = []
    try:
        samples = measure(benchmark, contender)
    except MeasuringError as error:
        problems.append(str(error))
    for each in series:
        each.samples[contender].append(samples.get(each.figure.key, []))
    return problems


def _told(dates: dict[str, str]) -> str:
    """Return when each benchmark was measured; the most common date is omitted."""
    by_day: dict[str, list[str]] = {}
    for name in sorted(dates, key=[*BENCHMARKS].index):
        by_day.setdefault(dates[name], []).append(name)
    first, *others = sorted(by_day, key=lambda day: -len(by_day[day]))
    return '; '.join([first, *(f'{", ".join(by_day[day])}: {day}' for day in others)])


def _in_order(series: list[Series]) -> list[Series]:
    """Return the series in the order of the catalogue."""
    keys = [each.key for benchmark in BENCHMARKS.values() for each in benchmark.figures]
    return sorted(series, key=lambda each: keys.index(each.figure.key))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks',
        description='Measure the pipeline beside its peers: one table, one JSON.',
    )
    parser.add_argument('--repeats', type=int, default=5, help='of each measurement (default: 5)')
    parser.add_argument(
        '--only', nargs='+', choices=list(BENCHMARKS), default=list(BENCHMARKS), help='not all'
    )
    parser.add_argument(
        '--add', type=Path, help='to the figures of this JSON, which stay but for those of --only'
    )
    parser.add_argument('--out', type=Path, default=Path('out/bench.json'), help='the JSON')
    parser.add_argument('--write', type=Path, help='also write the documentation to this file')
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f'--repeats: found {options.repeats}; allowed: 1 or more')
    return options


if __name__ == '__main__':
    sys.exit(main())
