"""Flies the reference mission: ``python -m worker_pipeline.mission``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from worker_pipeline.simulation.imagery import ImageryMissingError

_REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Exit code 0: all as promised; 1: not; 2: could not start; 130: interrupted."""
    options = _options(arguments)
    from worker_pipeline.mission.errors import MissionError
    from worker_pipeline.mission.flight import fly

    try:
        return fly(options.config, options.out, options.kill, options.duration, options.start_up)
    except (MissionError, ImageryMissingError) as error:
        print(f'mission: {error}', file=sys.stderr)
        return 2


def find_configuration() -> Path:
    """The reference configuration: the repository's, or the installed package's."""
    beside = _REPOSITORY / 'config' / 'airside.yaml'
    if beside.is_file():
        return beside
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory('worker_pipeline')) / 'config' / 'airside.yaml'


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline.mission',
        description='Fly a simulated survey; find the landing pads; kill a worker on the way.',
    )
    parser.add_argument('--config', type=Path, help='parameter file (default: config/airside.yaml)')
    parser.add_argument('--out', type=Path, default=Path('out'), help='folder for the results')
    parser.add_argument(
        '--kill',
        default='detect_target',
        metavar='STAGES',
        help='of which stages a worker is killed on the way: names with commas between them, all, '
        'or none (default: detect_target)',
    )
    parser.add_argument(
        '--start-up', type=float, default=8.0, help='s until the flight begins (default: 8)'
    )
    parser.add_argument(
        '--duration', type=float, default=0.0, help='s; cut the flight short (default: all of it)'
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    options.config = options.config or find_configuration()
    return options


if __name__ == '__main__':
    sys.exit(main())
