# SPDX-License-Identifier: Apache-2.0
"""The file of the aerial photograph under the simulated flight: its name and where it is kept."""

from __future__ import annotations

import os
from pathlib import Path

FILE_NAME = '2019_YELL_2_528000_4978000_image_crop2.png'
SHA256 = 'a9bdb0f4447fdd899d22f567e0e20ba8320c5413b2ad0cd0ac8d9f3b6e0f9767'
# Names a file to use instead of the one in assets/.
ENVIRONMENT_VARIABLE = 'WORKER_PIPELINE_IMAGERY'


class ImageryMissingError(FileNotFoundError):
    """The photograph does not exist or cannot be read as an image."""


def find_photograph(given: str = '') -> Path:
    """Return the path of the photograph: the one given, the environment's, or that in ``assets``.

    Raises :class:`ImageryMissingError`, which names every path that was tried.
    """
    named = given or os.environ.get(ENVIRONMENT_VARIABLE, '')
    repository = Path(__file__).resolve().parents[3]
    paths = (
        [Path(named)]
        if named
        else [folder / FILE_NAME for folder in (Path('assets'), repository / 'assets')]
    )
    for path in paths:
        if path.is_file():
            return path
    tried = ', '.join(str(path) for path in paths)
    raise ImageryMissingError(
        f'no aerial photograph at {tried}; '
        'get it by: python -m worker_pipeline.airside.simulation.fetch_imagery assets'
    )
