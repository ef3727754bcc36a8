# SPDX-License-Identifier: Apache-2.0
"""Pipelines of ROS 2 worker processes: N lifecycle nodes a stage, replaced when they die."""

from worker_pipeline.context import ContextBuffer
from worker_pipeline.parameter import Parameter, ParameterError
from worker_pipeline.pool import FixedWorkerPool, RefreshingWorkerPool, WorkerPool
from worker_pipeline.stage import EndOfStream, Stage
from worker_pipeline.status import StageStatus
from worker_pipeline.topic import AbsoluteTopic, Latched, Topic, TopicRecorder

__all__ = [
    'AbsoluteTopic',
    'ContextBuffer',
    'EndOfStream',
    'FixedWorkerPool',
    'Latched',
    'Parameter',
    'ParameterError',
    'RefreshingWorkerPool',
    'Stage',
    'StageStatus',
    'Topic',
    'TopicRecorder',
    'WorkerPool',
]
