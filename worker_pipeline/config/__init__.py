# SPDX-License-Identifier: Apache-2.0
"""The configuration of a pipeline: the parameters of the node ``manager``.

:func:`load` reads the flat names and values that ROS gives (``detect_target.workers``: 2) and
checks them; :func:`check_links` then checks them against the stages' classes. Both collect every
problem before they raise, so one start shows everything there is to fix.

Where to make changes: keys, defaults and limits in ``schema``, the data classes in ``model``,
how parameters are read in ``reader``, how stages fit together in ``cross_checks``.
"""

from worker_pipeline.config.cross_checks import check_links
from worker_pipeline.config.model import (
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    StageConfig,
    has_separate_states,
    is_source,
)
from worker_pipeline.config.process_count import check_process_count
from worker_pipeline.config.reader import load
from worker_pipeline.config.schema import (
    LIVE_STAGE_KEYS,
    MAX_INPUTS,
    MAX_NAME_LENGTH,
    MAX_SECONDS,
    MAX_STAGES,
    MAX_TOPIC_LENGTH,
    MAX_WORKERS,
    NODE_FLAGS,
    NODE_PARAMETERS,
    PIPELINE_KEYS,
    STAGE_KEYS,
    STAGE_TABLES,
    TICK_TYPE,
)

__all__ = [
    'LIVE_STAGE_KEYS',
    'MAX_INPUTS',
    'MAX_NAME_LENGTH',
    'MAX_SECONDS',
    'MAX_STAGES',
    'MAX_TOPIC_LENGTH',
    'MAX_WORKERS',
    'NODE_FLAGS',
    'NODE_PARAMETERS',
    'PIPELINE_KEYS',
    'STAGE_KEYS',
    'STAGE_TABLES',
    'TICK_TYPE',
    'ConfigurationError',
    'PipelineConfig',
    'PluginDescription',
    'StageConfig',
    'check_links',
    'check_process_count',
    'has_separate_states',
    'is_source',
    'load',
]
