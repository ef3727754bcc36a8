# SPDX-License-Identifier: Apache-2.0
"""The state of a slot in one word, as people see it."""

from __future__ import annotations

from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import HEALTHY, DesiredState, Phase


def reported_state(slot: Supervision, now: float) -> str:
    """Return the lifecycle state, or a word like ``replacing``. ``now``: s."""
    if slot.phase is Phase.STOPPING:
        return slot.state or 'starting'
    if slot.phase is Phase.EMPTY and slot.desired is DesiredState.GONE:
        return 'finalized'
    if slot.phase in HEALTHY:
        return slot.state
    if slot.policy.failing(now):
        return 'failed'
    is_first = slot.phase is Phase.STARTING or not slot.starts
    return 'starting' if is_first and not slot.restarts else 'replacing'
