# SPDX-License-Identifier: Apache-2.0
"""From a stage's configuration to the policy of its dispatcher."""

from __future__ import annotations

from worker_pipeline.config import PluginDescription, StageConfig, is_source
from worker_pipeline.core.stage_policy import StagePolicy


def concurrency_of(config: StageConfig, plugin: PluginDescription) -> int:
    """Return how many items one worker of a stage may hold.

    One that remembers takes its items one at a time: with others prefetched, an item that failed
    would be applied after them.
    """
    return 1 if plugin.remembers else config.concurrency


def policy_of(config: StageConfig, plugin: PluginDescription) -> StagePolicy:
    """Return the policy of a stage's dispatcher."""
    return StagePolicy(
        queue_size=config.queue_size,
        overflow=config.overflow,
        max_attempts=config.max_attempts,
        ordered=config.ordered,
        concurrency=concurrency_of(config, plugin),
        inputs=tuple(config.inputs),
        is_source=is_source(config, plugin),
        period=config.period,
    )
