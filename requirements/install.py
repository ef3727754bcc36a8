# SPDX-License-Identifier: Apache-2.0
"""Make the environment that ``make run`` and ``make test`` use, in ``.venv``.

Where a ROS 2 is sourced, it is used: ``.venv`` sees its packages and holds only what is not there.
Elsewhere ROS 2 comes from wheels, in the versions of ``ros-<distribution>.txt``. Does nothing when
``.venv`` was made from the same files, Python and ROS 2 before.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / '.venv'
VENV_PYTHON = VENV / 'bin' / 'python'
STAMP = VENV / 'made_from.txt'
CONSTRAINTS = HERE / 'constraints.txt'

OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON_WITH_WHEELS = (3, 14)
WHEELS = ('kilted', 'jazzy')

# A distribution's own OpenCV carries no metadata that pip knows, and may be older than what is
# needed: only using it tells.
PROBES = {'opencv-python-headless': 'import cv2; cv2.aruco.ArucoDetector'}

# Where the system's own would do, were it not too old: the first version that does.
OLDEST = {
    'coverage': (7, 10),
    'hypothesis': (6, 83),
    'pytest': (7, 0),
    'pytest-cov': (7, 0),
    'pytest-rerunfailures': (16, 7),  # make test passes options that are not in older ones
}

# Run by the new environment's Python: which of the names on its command line are there already.
FIND_VERSIONS = """
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
"""


class SetupError(Exception):
    """The environment cannot be made; the message says what to do about it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--ros-wheels', choices=WHEELS, default=WHEELS[0])
    wheels = parser.parse_args().ros_wheels
    try:
        ros = sourced_ros()
        stamp = description_of(ros or f'wheels of {wheels}')
        if STAMP.is_file() and STAMP.read_text(encoding='utf-8') == stamp and VENV_PYTHON.exists():
            return 0
        check_python(ros)
        if ros:
            print(f'setup: .venv with Python {platform.python_version()} and {ros}', flush=True)
            make_venv('--system-site-packages')
            install_what_is_missing()
        else:
            check_wheels()
            print(
                f'setup: .venv with Python {platform.python_version()} and ROS 2 {wheels} '
                'from wheels (a minute or two)',
                flush=True,
            )
            make_venv()
            files = (f'ros-{wheels}.txt', 'run.txt', 'test.txt')
            pip_install(*(argument for name in files for argument in ('-r', HERE / name)))
        STAMP.write_text(stamp, encoding='utf-8')
    except SetupError as error:
        print(f'setup: {error}', file=sys.stderr)
        return 1
    return 0


def sourced_ros() -> str | None:
    """What ROS 2 this shell has sourced, in words; None where there is none."""
    distribution = os.environ.get('ROS_DISTRO')
    if not distribution:
        return None
    spec = importlib.util.find_spec('rclpy')
    if spec is None:
        raise SetupError(
            f'ROS_DISTRO is {distribution}, but {sys.executable} (Python '
            f'{platform.python_version()}) does not find rclpy. Name its interpreter, '
            'as in make PYTHON=/usr/bin/python3, or use a shell without ROS sourced.'
        )
    return f'ROS 2 {distribution} ({spec.origin})'


def description_of(ros: str) -> str:
    """All that the environment depends on: made again when any of it changes."""
    digest = hashlib.sha256()
    for path in sorted([*HERE.glob('*.txt'), Path(__file__)]):
        digest.update(path.read_bytes())
    return f'{ros}\n{sys.version}\n{sys.base_prefix}\n{VENV}\n{digest.hexdigest()}\n'


def check_python(ros: str | None) -> None:
    found = sys.version_info[:2]
    if found < OLDEST_PYTHON or (not ros and found > NEWEST_PYTHON_WITH_WHEELS):
        allowed = f'3.{OLDEST_PYTHON[1]} to 3.{NEWEST_PYTHON_WITH_WHEELS[1]}'
        raise SetupError(
            f'{sys.executable} is Python {platform.python_version()}; allowed: {allowed}. '
            'Name another, as in make PYTHON=python3.12.'
        )
    if importlib.util.find_spec('venv') is None or importlib.util.find_spec('ensurepip') is None:
        raise SetupError(
            f'{sys.executable} cannot make virtual environments. On Debian and Ubuntu: '
            f'sudo apt install python{found[0]}.{found[1]}-venv'
        )


def check_wheels() -> None:
    if sys.platform != 'linux' or platform.machine() != 'x86_64':
        raise SetupError(
            f'ROS 2 comes as wheels for Linux on x86_64 only, and this is {sys.platform} on '
            f'{platform.machine()}. Install ROS 2 Jazzy or Kilted and source its setup.bash first.'
        )


def make_venv(*options: str) -> None:
    if VENV.is_symlink():
        raise SetupError(
            f'{VENV} is a link to {VENV.resolve()}, which was made from other files and would be '
            'emptied. Remove the link, or run make setup where the environment is.'
        )
    run([sys.executable, '-m', 'venv', '--clear', *options, str(VENV)])


def install_what_is_missing() -> None:
    """Install, beside a sourced ROS 2, what neither it nor the system provides.

    numpy stays what it is, because rclpy's own extensions are built against it. OpenCV's wheel asks
    for a newer one but works with both, hence it is installed without its dependencies.
    """
    wanted = requirements('run.txt') | requirements('test.txt')
    reply = run([str(VENV_PYTHON), '-c', FIND_VERSIONS, *wanted], capture=True)
    there = dict(line.split() for line in reply.splitlines())
    missing = {
        name
        for name in wanted
        if name not in there or numbers(there[name])[:2] < OLDEST.get(name, (0,))
    }
    for name in missing & PROBES.keys():
        if succeeds([str(VENV_PYTHON), '-c', PROBES[name]]):
            missing.remove(name)
    if 'numpy' in missing:
        raise SetupError(
            'the sourced ROS 2 has no numpy. On Ubuntu: sudo apt install python3-numpy'
        )
    alone = sorted(wanted[name] for name in missing & PROBES.keys())
    others = sorted(wanted[name] for name in missing - PROBES.keys())
    if others:
        pip_install(*others)
    if alone:
        pip_install('--no-deps', *alone)


def requirements(name: str) -> dict[str, str]:
    """The pinned lines of a requirements file, by name, for this Python.

    The markers in use have the form ``python_version < '3.11'``, or ``>=``.
    """
    found = {}
    for line in (HERE / name).read_text(encoding='utf-8').splitlines():
        pin, _, marker = line.partition(';')
        if not pin.strip() or pin.startswith('#'):
            continue
        if marker:
            _, comparison, version = marker.split()
            older = sys.version_info[:2] < numbers(version.strip('\'"'))
            if older != (comparison == '<'):
                continue
        found[pin.partition('==')[0]] = pin.strip()
    return found


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (6, 98) of 6.98 or of 6.98rc1."""
    return tuple(int(part) for part in re.match(r'[0-9.]*', version)[0].split('.') if part)


def pip_install(*arguments: str | Path) -> None:
    command = [str(VENV_PYTHON), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    run([*command, '--no-input', '-c', str(CONSTRAINTS), *map(str, arguments)])


def run(command: list[str], capture: bool = False) -> str:
    """Run a command; its output is shown if it fails. Returns what it printed if ``capture``."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f'{" ".join(command)} failed:\n{done.stdout}{done.stderr}')
    return done.stdout if capture else ''


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == '__main__':
    sys.exit(main())
