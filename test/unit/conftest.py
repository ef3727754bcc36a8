# SPDX-License-Identifier: Apache-2.0
"""How hard the random histories are tried.

``quick`` is the default: the same examples in every run, so that a change is to blame for a
failure. ``HYPOTHESIS_PROFILE=storm pytest --timeout=0 test/unit`` tries new ones each time, for
some minutes; a failure prints the call that reproduces it. Longer still: ``pytest -m storm``.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    'quick',
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    # The machine may be slow: other processes are busy on it.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    'storm',
    max_examples=2_000,
    stateful_step_count=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'quick'))


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses hypothesis as a property test."""
    for item in items:
        if getattr(getattr(item, 'obj', None), 'is_hypothesis_test', False):
            item.add_marker('property')
