# SPDX-License-Identifier: Apache-2.0
"""How many processes a configuration needs, beside how many a ROS domain has room for."""

from __future__ import annotations

from worker_pipeline.config.model import ConfigurationError, PipelineConfig


def check_process_count(config: PipelineConfig, limit: int | None) -> None:
    """Raise ConfigurationError if there are more processes than may be in one domain.

    Args:
        config: the configuration.
        limit: how many workers, standbys and spares there may be; None: not known.
    """
    workers = sum(stage.workers for stage in config.stages.values())
    standbys = sum(stage.standby for stage in config.stages.values())
    count = workers + standbys + config.spares
    if limit is None or count <= limit:
        return
    problem = (
        f'stages: found {count} processes in all ({workers} workers, {standbys} standbys, '
        f'{config.spares} spares); allowed: up to {limit} in this ROS domain, which has no more '
        'participant numbers; use fewer workers, or move stages to a manager in another domain'
    )
    raise ConfigurationError([problem])
