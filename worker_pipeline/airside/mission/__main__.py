# SPDX-License-Identifier: Apache-2.0
"""The reference mission: ``python -m worker_pipeline.airside.mission``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from worker_pipeline.airside.common.missing import MissingPackageError
from worker_pipeline.airside.mission.errors import FlightFailedError, MissionError
from worker_pipeline.airside.simulation.photograph import ImageryMissingError

_REPOSITORY = Path(__file__).resolve().parents[3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    Exit code 0: success; 1: failure, or could not start for a cause that may pass; 2: bad
    arguments, or something is not installed; 130: interrupted.
    """
    options = _options(arguments)
    try:
        from worker_pipeline.airside.mission.runner import run_mission

        return run_mission(
            options.config, options.out, options.kill, options.duration, options.start_up
        )
    except (MissionError, ImageryMissingError, MissingPackageError) as error:
        print(f'mission: {error}', file=sys.stderr)
        return 1 if isinstance(error, FlightFailedError) else 2
    except OSError as error:  # the folder cannot be written, or a static peer has no address
        print(f'mission: {error}', file=sys.stderr)
        return 1


def find_configuration() -> Path:
    """Return the path of the reference configuration in the repository, else in the package."""
    beside = _REPOSITORY / 'config' / 'airside.yaml'
    if beside.is_file():
        return beside
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory('worker_pipeline')) / 'config' / 'airside.yaml'


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline.airside.mission',
        description='Fly a simulated survey, find the landing pads, and kill a worker in flight.',
    )
    parser.add_argument('--config', type=Path, help='parameter file (default: config/airside.yaml)')
    parser.add_argument('--out', type=Path, default=Path('out'), help='folder for the results')
    parser.add_argument(
        '--kill',
        default='detect_target',
        metavar='STAGES',
        help='stages of which a worker is killed during the flight: comma-separated, all, or none '
        '(default: detect_target)',
    )
    parser.add_argument(
        '--start-up', type=float, default=8.0, help='time until the flight begins, s (default: 8)'
    )
    parser.add_argument(
        '--duration',
        type=float,
        default=0.0,
        help='duration of the flight, s (default: the whole flight)',
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    options.config = options.config or find_configuration()
    return options


if __name__ == '__main__':
    sys.exit(main())
