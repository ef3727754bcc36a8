# SPDX-License-Identifier: Apache-2.0
"""Which errors of rclpy are mistakes in the arguments, and which may pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.exceptions import InvalidNamespaceException, InvalidParameterValueException

from worker_pipeline.ros import errors
from worker_pipeline.ros.errors import RCLError, is_bad_argument


@pytest.mark.parametrize(
    'error',
    [
        errors.rclpy_implementation.UnknownROSArgsError('--foo'),
        RCLError("failed to initialize rcl: Couldn't parse remap rule: '-r __node:=a-b'."),
        InvalidNamespaceException('a-b', 'has a -', 1),
        InvalidParameterValueException('a', 1, 'b'),
        RCLError('Failed to create publisher: topic name is invalid, at rcl/publisher.c:1'),
        ValueError('no'),
    ],
)
def test_wrong_arguments_stay_wrong(error: Exception):
    """Names, values, arguments."""
    assert is_bad_argument(error)


@pytest.mark.parametrize(
    'error',
    [
        RCLError('error creating node: __create_participant failed to create participant'),
        RuntimeError('eventfd_select_interrupter: Too many open files'),
        OSError(24, 'Too many open files'),
        RCLError('failed to initialize logging: No space left on device'),
        MemoryError(),
    ],
)
def test_a_machine_that_is_short_of_something_is_no_mistake(error: Exception):
    """Another start may find it."""
    assert not is_bad_argument(error)


def test_a_parameter_file_that_cannot_be_read_is_looked_at(tmp_path, monkeypatch):
    """The class and the text are the same for a missing file as for a failing disk."""

    def error(path: Path) -> RCLError:
        return RCLError(f"rcl: Couldn't parse params file: '--params-file {path}'. Error: x, at y")

    file = tmp_path / 'parameters.yaml'
    assert is_bad_argument(error(file))
    file.write_text('a: [')
    assert is_bad_argument(error(file))

    def failing(_):
        raise OSError(5, 'Input/output error')

    monkeypatch.setattr(Path, 'read_bytes', failing)
    assert not is_bad_argument(error(file))
