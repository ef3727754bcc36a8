# SPDX-License-Identifier: Apache-2.0
"""The settings of a stage that decide how its items flow."""

from __future__ import annotations

from typing import Any

import attrs

from worker_pipeline.core.ledger_events import Overflow

# The input that takes items from outside the pipeline, or published manually.
EXTERNAL_INPUT = 'input'


@attrs.frozen
class StagePolicy:
    """The settings of a stage that decide how its items flow.

    Args:
        queue_size: how many items may wait.
        overflow: the policy of a full queue.
        max_attempts: after how many failed attempts an item is quarantined.
        ordered: whether outputs leave in the order in which their items were started.
        concurrency: how many items one worker may hold.
        inputs: the stages and topics that feed it; none for a source.
        is_source: whether it is asked for its items.
        period: for a source, s between two items; 0: as fast as its workers are.
    """

    queue_size: int
    overflow: Overflow = Overflow.DROP_OLDEST
    max_attempts: int = 2
    ordered: bool = True
    concurrency: int = 2
    inputs: tuple[str, ...] = ()
    is_source: bool = False
    period: float = 0.0

    @property
    def ledger_policy(self) -> dict[str, Any]:
        """Return the keyword arguments of the ledger."""
        return {
            'queue_size': self.queue_size,
            'overflow': self.overflow,
            'max_attempts': self.max_attempts,
            'ordered': self.ordered,
        }
