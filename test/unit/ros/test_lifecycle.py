# SPDX-License-Identifier: Apache-2.0
"""Which requests for a lifecycle transition are repeated ones."""

from __future__ import annotations

import pytest

from worker_pipeline.ros.lifecycle import has_begun


@pytest.mark.parametrize(
    ('label', 'begun_in'),
    [
        ('configure', {'configuring', 'inactive'}),
        ('activate', {'activating', 'active'}),
        ('deactivate', {'deactivating', 'inactive'}),
        ('cleanup', set()),
        ('shutdown', set()),
    ],
)
def test_a_transition_has_begun_where_it_is_in_progress_or_done(label, begun_in):
    """A manager repeats its request while the worker's answer is late; that is no error."""
    states = ('unconfigured', 'configuring', 'inactive', 'activating', 'active', 'deactivating')
    assert {state for state in states if has_begun(label, state)} == begun_in
