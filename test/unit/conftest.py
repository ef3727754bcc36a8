"""How hard the random histories are tried.

``quick`` is the default: the same examples in every run, so that a change is to blame for a
failure. ``HYPOTHESIS_PROFILE=storm pytest --timeout=0 test/unit`` tries new ones each time, for
some minutes; a failure prints the call that reproduces it. Longer still: ``pytest -m storm``.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    'quick',
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    # Slow is the machine, with others at work on it.
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
