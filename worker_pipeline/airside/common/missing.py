# SPDX-License-Identifier: Apache-2.0
"""The error for a package that only the airside stages need and that is not installed."""

from __future__ import annotations

EXTRA = 'worker_pipeline[airside]'
# By module: the package for pip, and the one for apt, if there is one.
_PACKAGES = {
    'PIL': ('pillow', 'python3-pil'),
    'cv2': ('opencv-python-headless', 'python3-opencv'),
    'pymap3d': ('pymap3d', 'python3-pymap3d'),
    'pymavlink': ('pymavlink', ''),
    'serial': ('pyserial', 'python3-serial'),
}


class MissingPackageError(ModuleNotFoundError):
    """A package is not installed. The text names the module and the packages that provide it."""


def missing_package(error: ModuleNotFoundError) -> MissingPackageError:
    """Return the error to raise instead of a failed import's own."""
    text = str(error)
    if error.name in _PACKAGES:
        pip, apt = _PACKAGES[error.name]
        by_apt = f', or apt install {apt}' if apt else ''
        text = f'{text}; pip install {pip} (part of the extra {EXTRA}){by_apt}'
    return MissingPackageError(text, name=error.name, path=error.path)
