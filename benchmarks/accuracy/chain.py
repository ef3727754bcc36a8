"""The stages from detections to targets, in this process, as config/airside.yaml sets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from builtin_interfaces.msg import Time

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.vehicle_state import VehicleState, to_odometry
from worker_pipeline.context import ContextBuffer
from worker_pipeline.stage import Stage

CONFIGURATION = Path(__file__).resolve().parents[2] / 'config' / 'airside.yaml'
_BEGINNING = 1_700_000_000  # s, when every flight begins
_SECOND = 10**9


def parameters(stage: str) -> Mapping[str, Any]:
    """What the configuration says of a stage's own parameters."""
    content = yaml.safe_load(CONFIGURATION.read_text(encoding='utf-8'))
    found: Mapping[str, Any] = content['/**/manager']['ros__parameters'][stage]['params']
    return found


def ready(stage: Stage, name: str, context: Mapping[str, ContextBuffer] | None = None) -> Stage:
    """A stage, bound and configured as in the reference pipeline."""
    stage.bind(parameters(name), context)
    stage.configure()
    return stage


class Chain:
    """data_merge, geolocation, cluster_estimation. ``targets``: as told after the last frame.

    ``odometry``: all of the flight, time (s) and state. A frame finds what it lies between, as it
    does in the air, where data_merge waits for what is still to come.
    """

    def __init__(self, odometry: Iterable[tuple[float, VehicleState]]) -> None:
        told = list(odometry)
        heard = ContextBuffer(capacity=len(told))
        for time, state in told:
            message = to_odometry(state, 'map', 'base_link')
            message.header.stamp = _stamp(time)
            heard.add(message)
        self._merge = ready(DataMerge(), 'data_merge', {'odometry': heard})
        self._locate = ready(Geolocation(), 'geolocation')
        self._gather = ready(ClusterEstimation(), 'cluster_estimation')
        self.targets: Records = self._gather.estimates.records()

    def add(self, detections: Records, time: float) -> Records:
        """One frame's ``records.DETECTION``, taken at ``time`` (s); returns their locations."""
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
