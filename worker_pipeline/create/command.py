# SPDX-License-Identifier: Apache-2.0
"""The command that creates a stage package: ``python -m worker_pipeline create my_stages``."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from worker_pipeline.create.names import StageName, package_problem, stage_problems
from worker_pipeline.create.package import package_files, write_package
from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION
from worker_pipeline.parameter import short_repr

DEFAULT_STAGES = ('Echo',)
NEXT_STEPS = """created {folder}
test:       cd {folder} && python3 -m pytest
run:        cd {folder} && python3 -m worker_pipeline manager --ros-args --params-file config/{name}.yaml
with ROS 2: colcon build && source install/setup.bash && ros2 launch {name} {name}.launch.py
"""  # noqa: E501  # to be copied line by line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0: done; 1: cannot be written; 2: bad arguments, nothing written.

    ``arguments`` are those after the command's name; None for those of this process.
    """
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline create',
        description='Create a ROS 2 package of stages, with parameter file, launch file and tests.',
    )
    parser.add_argument('name', metavar='NAME', help="the package's name, such as my_stages")
    parser.add_argument(
        '--directory',
        type=Path,
        default=Path(),
        metavar='DIR',
        help='the folder to create it in (default: the current one)',
    )
    parser.add_argument(
        '--stage',
        action='append',
        metavar='CLASS',
        help='a stage, such as DetectTarget; repeated, each takes the output of the one before '
        '(default: Echo)',
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    return _create(options.name, options.directory, options.stage or DEFAULT_STAGES)


def _create(name: str, directory: Path, class_names: Sequence[str]) -> int:
    problems = _problems(name, directory, class_names)
    if problems:
        print(*(f'create: {each}' for each in problems), sep='\n', file=sys.stderr)
        return EXIT_BAD_CONFIGURATION
    folder = directory / name
    try:
        write_package(package_files(name, [StageName(each) for each in class_names]), folder)
    except OSError as error:
        print(f'create: {folder} cannot be written: {error}', file=sys.stderr)
        return 1
    print(NEXT_STEPS.format(folder=shlex.quote(str(folder)), name=name), end='')
    return 0


def _problems(name: str, directory: Path, class_names: Sequence[str]) -> list[str]:
    of_package = package_problem(name)
    found = [of_package, *stage_problems(class_names)]
    folder = directory / name
    if not directory.is_dir():
        given = short_repr(str(directory))
        found.append(f'--directory: found {given}; allowed: a folder that exists')
    # A bad name may lead to quite another folder.
    elif not of_package and os.path.lexists(folder):
        found.append(f'NAME: found {short_repr(name)}; allowed: a new one; {folder} exists')
    return [each for each in found if each]
