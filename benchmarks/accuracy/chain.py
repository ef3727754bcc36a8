# SPDX-License-Identifier: Apache-2.0
"""The stages from detections to targets, in this process, configured by config/airside.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from builtin_interfaces.msg import Time

from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.vehicle_state import VehicleState, to_odometry
from worker_pipeline.context import ContextBuffer
from worker_pipeline.stage import Stage

CONFIGURATION = Path(__file__).resolve().parents[2] / 'config' / 'airside.yaml'
_BEGINNING = 1_700_000_000  # s, when every flight begins
_SECOND = 10**9


def parameters(stage: str) -> Mapping[str, Any]:
    """Return a stage's own parameters in the configuration."""
    content = yaml.safe_load(CONFIGURATION.read_text(encoding='utf-8'))
    found: Mapping[str, Any] = content['/**/manager']['ros__parameters'][stage]['params']
    return found


def ready(stage: Stage, name: str, context: Mapping[str, ContextBuffer] | None = None) -> Stage:
    """Return a stage, bound and configured as in the reference pipeline."""
    stage.bind(parameters(name), context)
    stage.configure()
    return stage


class Chain:
    """data_merge, geolocation, cluster_estimation. ``targets``: after the last frame.

    ``odometry``: of the whole flight, time (s) and state. A frame finds the messages around it, as
    in flight, where data_merge waits for them.
    """

    def __init__(self, odometry: Iterable[tuple[float, VehicleState]]) -> None:
        messages = list(odometry)
        odometry_buffer = ContextBuffer(capacity=len(messages))
        for time, state in messages:
            message = to_odometry(state, 'map', 'base_link')
            message.header.stamp = _stamp(time)
            odometry_buffer.add(message)
        self._merge = ready(DataMerge(), 'data_merge', {'odometry': odometry_buffer})
        self._locate = ready(Geolocation(), 'geolocation')
        self._gather = ready(ClusterEstimation(), 'cluster_estimation')
        self.targets: Records = self._gather.estimates.records()

    def add(self, detections: Records, time: float) -> Records:
        """Add one frame's ``records.DETECTION``, taken at ``time`` (s); return their locations."""
        message = point_cloud.to_message(detections, 'camera')
        message.header.stamp = stamp = _stamp(time)
        answers = []
        for stage in (self._merge, self._locate, self._gather):
            message = stage.process(message)
            message.header.stamp = stamp
            answers.append(point_cloud.from_message(message))
        _, located, self.targets = answers
        return located


def _stamp(time: float) -> Time:
    nanoseconds = round(time * _SECOND)
    return Time(sec=_BEGINNING + nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)
