# SPDX-License-Identifier: Apache-2.0
"""Which exit codes of a manager are worth another start."""

from __future__ import annotations

import signal

import pytest

from worker_pipeline import exit_codes


@pytest.mark.parametrize(
    'code', [exit_codes.EXIT_BAD_CONFIGURATION, exit_codes.EXIT_ALREADY_RUNNING]
)
def test_another_start_does_not_correct_a_configuration_nor_end_another_manager(code):
    """Both codes are permanent."""
    assert exit_codes.is_permanent(code)


@pytest.mark.parametrize(
    'code', [exit_codes.EXIT_FAILED, 70, 71, 75, 134, 137, -signal.SIGKILL, -signal.SIGABRT]
)
def test_every_other_end_is_worth_another_start(code):
    """Errors, and deaths by a signal, as ``subprocess`` and as a shell give them."""
    assert not exit_codes.is_permanent(code)


def test_each_code_has_a_meaning_of_its_own():
    """No number is used twice."""
    codes = [value for name, value in vars(exit_codes).items() if name.startswith('EXIT_')]
    assert len(codes) == len(set(codes))
