"""Takes the aerial photograph out of its wheel: at setup, never while running.

    python -m worker_pipeline.simulation.fetch_imagery [FOLDER]      (default: assets)

Does nothing if the photograph is there already. The wheel comes by pip, from whatever index pip is
set up for, and only the one file in it is kept. Exit code 1, and one message, if that fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from worker_pipeline.simulation.imagery import FILE_NAME, SHA256

PACKAGE = 'deepforest==2.1.0'
MEMBER = f'deepforest/data/{FILE_NAME}'
DOWNLOAD_TIMEOUT = 300.0  # s


class FetchError(Exception):
    """The photograph could not be had; the text says why."""


def fetch(folder: Path) -> tuple[Path, bool]:
    """Have the photograph in ``folder``. Returns its path, and whether it had to be fetched."""
    target = folder / FILE_NAME
    if target.is_file() and _sha256(target.read_bytes()) == SHA256:
        return target, False
    with tempfile.TemporaryDirectory() as downloads:
        photograph = _extract(_download(Path(downloads)))
    found = _sha256(photograph)
    if found != SHA256:
        raise FetchError(f'{MEMBER}: found sha256 {found}; allowed: {SHA256}')
    folder.mkdir(parents=True, exist_ok=True)
    # Written beside its place and moved there whole: who finds it never finds a part of it.
    part = target.with_suffix('.part')
    part.write_bytes(photograph)
    os.replace(part, target)
    return target, True


def _download(folder: Path) -> Path:
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary=:all:']
    command += ['--disable-pip-version-check', '--quiet', '--dest', str(folder), PACKAGE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f'pip download {PACKAGE}: not done after {DOWNLOAD_TIMEOUT:g} s') from None
    wheels = list(folder.glob('*.whl'))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip() or f'exit code {done.returncode}, {len(wheels)} wheels'
        raise FetchError(f'pip download {PACKAGE} failed: {said}')
    return wheels[0]


def _extract(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f'{wheel.name} has no {MEMBER}: {error}') from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog='fetch_imagery', description=__doc__.splitlines()[0])
    parser.add_argument('folder', nargs='?', type=Path, default=Path('assets'))
    folder = parser.parse_args(arguments).folder
    try:
        path, fetched = fetch(folder)
    except (FetchError, OSError) as error:
        print(f'fetch_imagery: {error}', file=sys.stderr)
        return 1
    print(f'{path}: {"fetched" if fetched else "already there"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
