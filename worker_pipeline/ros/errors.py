# SPDX-License-Identifier: Apache-2.0
"""Descriptions of errors that rclpy raises, and whose fault they are."""

from __future__ import annotations

import re
from pathlib import Path

import rclpy.exceptions
from rclpy.impl.implementation_singleton import rclpy_implementation

from worker_pipeline.transient_errors import is_transient

RCLError = rclpy_implementation.RCLError
_PARAMETER_FILE = re.compile(
    r"Couldn't parse params file: '--params-file (.*?)'\. Error:", re.DOTALL
)
# Errors of arguments, names, values and security files, whatever rclpy's class is.
_BAD_ARGUMENT = re.compile(r"Couldn't parse|\binvalid\b|security|enclave", re.IGNORECASE)
_BAD_ARGUMENT_CLASSES: tuple[type[Exception], ...] = (
    rclpy_implementation.UnknownROSArgsError,
    rclpy_implementation.RCLInvalidROSArgsError,
    ValueError,
    TypeError,
)


def describe_ros_error(error: Exception) -> str:
    """Return an error of rclpy, of any of its many classes, in one line."""
    text = ' '.join(str(error).split())
    # The texts of some others are only a list of names.
    return text if isinstance(error, RCLError) else f'{type(error).__name__}: {text}'


def is_bad_argument(error: Exception) -> bool:
    """Return whether arguments, names or parameters are wrong; else another attempt may succeed.

    rclpy raises the same class for a name that is invalid and for a socket that cannot be opened.
    """
    if isinstance(error, OSError) or is_transient(error):
        return False  # of the system
    text = str(error)
    file = _PARAMETER_FILE.search(text)
    if file is not None:
        return not _cannot_be_read_for_now(Path(file[1]))
    is_of_rclpy = type(error).__module__ == rclpy.exceptions.__name__
    return (
        is_of_rclpy
        or isinstance(error, _BAD_ARGUMENT_CLASSES)
        or _BAD_ARGUMENT.search(text) is not None
    )


def _cannot_be_read_for_now(file: Path) -> bool:
    """Return whether reading a file fails for a cause that may pass: rcl does not tell it."""
    try:
        file.read_bytes()
    except OSError as error:
        return is_transient(error)
    return False
