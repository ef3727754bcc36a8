# SPDX-License-Identifier: Apache-2.0
"""Runs storms over a pipeline: ``python -m storm``, or ``make storm``.

Exit code 0: every promise was kept; 1: one was broken, and the folder that is printed has the log,
the parameters and the history; 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

# Before rclpy is imported by the others.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

from benchmarks import machine
from storm import pauses, peers, report
from storm.document import document
from storm.frames import HEIGHT
from storm.settings import Settings
from storm.storm_run import StormResult, run
from worker_pipeline.testing import isolated_domain

# The defaults of each kind of storm. Frames take more time: with as many faults as without them,
# hardly any would get through.
PLAIN = {
    'items': 20_000,
    'kill_period': 0.2,
    'manager_kill_period': 10.0,
    'startup_timeout': 10.0,
}
FRAMES = {
    'items': 2_000,
    'kill_period': 0.4,
    'manager_kill_period': 5.0,
    'startup_timeout': 5.0,
}


def main() -> int:
    """Run the command; return the exit code."""
    if '--pauses' in sys.argv[1:]:
        return pauses.main(sys.argv[1:])
    options = _options()
    # Without a terminal: wide enough for the table.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    busy = machine.busy_cpus()
    seeds = [options.seed + repeat for repeat in range(options.repeats)]
    results: list[StormResult] = []
    others: dict[str, list[dict[str, Any]]] = {}
    try:
        for seed in seeds:
            settings = Settings(
                items=options.items,
                seed=seed,
                kill_period=options.kill_period,
                manager_kill_period=options.manager_kill_period,
                manager_kills=options.manager_kills,
                rate=options.rate,
                startup_timeout=options.startup_timeout,
                frames=options.frames,
                frame_memory=options.frame_memory,
                frame_height=options.frame_height,
                hostile=options.hostile,
            )
            results.append(_storm(settings, console))
            if not (options.no_peers or options.frames or options.hostile):
                for peer, title in peers.TITLES.items():
                    console.print(f'the same load through a peer: {title}')
                    others.setdefault(peer, []).append(_peer(peer, settings))
    except KeyboardInterrupt:
        console.print('interrupted')
        return 130
    columns = {report.OURS: report.sum_up([each.figures for each in results])}
    columns |= {peers.TITLES[peer]: report.sum_up(found) for peer, found in others.items()}
    console.print(report.rich_table(columns))
    good = all(each.good for each in results)
    console.print(
        f'{"every promise was kept" if good else "NOT every promise was kept"}; '
        f'seeds: {", ".join(map(str, seeds))}'
    )
    about = machine.describe() | {'busy with other work before': f'{busy:.1f} CPUs'}
    if options.json is not None:
        _write(options.json, json.dumps(_as_dict(results, others, about), indent=2) + '\n')
    if options.write is not None:
        _write(options.write, document(columns, results[0].settings, seeds, about, good))
    return 0 if good else 1


def _storm(settings: Settings, console: Console) -> StormResult:
    """Run one storm and print its problems; keep the files of a bad one."""
    console.print(f'a storm of {settings.items} items, seed {settings.seed}')
    folder = Path(tempfile.mkdtemp(prefix='worker_pipeline_storm_'))
    good = False
    try:
        with isolated_domain() as domain:
            result = run(settings, domain, folder, console.print)
        good = result.good
        for line in result.problem_lines():
            console.print(line, markup=False, soft_wrap=True)
        return result
    finally:
        if good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f'log, parameters and history are kept in {folder}', soft_wrap=True)


def _peer(peer: str, settings: Settings) -> dict[str, Any]:
    return peers.run(
        peer,
        items=settings.items,
        window=settings.window,
        seconds=settings.seconds,
        kill_period=settings.kill_period,
        seed=settings.seed,
    )


def _as_dict(
    results: list[StormResult], others: dict[str, list[dict[str, Any]]], about: dict[str, str]
) -> dict[str, Any]:
    return {
        'machine': about,
        'storms': [
            {
                'settings': attrs.asdict(each.settings),
                'good': each.good,
                'problems': each.problem_lines(),
                'figures': each.figures,
                'verdict': attrs.asdict(
                    each.verdict, filter=lambda field, _: field.name != 'delivered'
                ),
            }
            for each in results
        ],
        'peers': others,
    }


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m storm',
        description='Kill, stop and hang the processes of a pipeline at random, its manager '
        'included, and check what became of every item.',
    )
    parser.add_argument('--items', type=int, help='default: 20000; with --frames 2000')
    parser.add_argument('--repeats', type=int, default=1, help='number of storms (default: 1)')
    parser.add_argument(
        '--seed',
        type=int,
        help='chooses faults and victims; each repeat takes the next seed (default: random)',
    )
    parser.add_argument(
        '--kill-period',
        type=float,
        help='s between two faults (default: 0.2, with --frames 0.4; 0: none)',
    )
    parser.add_argument(
        '--manager-kill-period',
        type=float,
        help='s after which an active manager is killed (default: 10, with --frames 5; 0: never)',
    )
    parser.add_argument(
        '--manager-kills', type=int, default=1_000_000, help='at most (default: no limit)'
    )
    parser.add_argument(
        '--rate', type=float, default=0.0, help='items/s fed at most (default: no limit)'
    )
    parser.add_argument(
        '--startup-timeout', type=float, help='of the stages, s (default: 10, with --frames 5)'
    )
    parser.add_argument(
        '--frames', action='store_true', help='with camera frames between the stages; no peers'
    )
    parser.add_argument(
        '--frame-memory', type=float, default=256.0, help='with --frames: MB (default: 256)'
    )
    parser.add_argument(
        '--frame-height', type=int, default=HEIGHT, help=f'with --frames: px (default: {HEIGHT})'
    )
    parser.add_argument(
        '--hostile', action='store_true', help='with three hostile stages among the good ones'
    )
    parser.add_argument(
        '--pauses', action='store_true', help='pauses instead; --pauses --help tells more'
    )
    parser.add_argument('--no-peers', action='store_true', help='run only the pipeline')
    parser.add_argument('--write', type=Path, help='also write the documentation to this file')
    parser.add_argument('--json', type=Path, help='also write every figure to this file')
    options = parser.parse_args()
    for key, value in (FRAMES if options.frames else PLAIN).items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    if options.items < 100:
        parser.error(f'--items: found {options.items}; allowed: 100 or more')
    if not 1 <= options.frame_height <= HEIGHT:
        parser.error(f'--frame-height: found {options.frame_height}; allowed: 1 to {HEIGHT}')
    if options.hostile and (options.frames or options.write):
        parser.error('--hostile: allowed without --frames and --write')
    if options.repeats < 1:
        parser.error(f'--repeats: found {options.repeats}; allowed: 1 or more')
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**31)
    return options


if __name__ == '__main__':
    sys.exit(main())
