"""Pipelines of ROS 2 worker processes: N lifecycle nodes a stage, replaced when they die."""

from worker_pipeline.context import ContextBuffer
from worker_pipeline.parameter import Parameter, ParameterError
from worker_pipeline.pool import FixedWorkerPool, RefreshingWorkerPool, WorkerPool
from worker_pipeline.stage import EndOfStream, Stage

__all__ = [
    'ContextBuffer',
    'EndOfStream',
    'FixedWorkerPool',
    'Parameter',
    'ParameterError',
    'RefreshingWorkerPool',
    'Stage',
    'WorkerPool',
]
