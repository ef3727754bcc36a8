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
    from worker_pipeline.mission.flight import MissionError, fly

    try:
        return fly(options.config, options.out, kill=options.kill, duration=options.duration)
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
        '--no-kill', dest='kill', action='store_false', help='let every worker live'
    )
    parser.add_argument(
        '--duration', type=float, default=0.0, help='s; cut the flight short (default: all of it)'
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    options.config = options.config or find_configuration()
    return options


if __name__ == '__main__':
    sys.exit(main())
