# SPDX-License-Identifier: Apache-2.0
"""Observations of a running pipeline, without ROS."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

Values = Mapping[str, str]

# The path of a frame from the tick to the targets, which the last stage passes on.
CHAIN = (
    'video_input',
    'detect_target',
    'data_merge',
    'geolocation',
    'cluster_estimation',
    'communications',
)
SOURCE, LAST = CHAIN[0], CHAIN[-1]
DETECTIONS, OBSERVATIONS = CHAIN[1], CHAIN[2]


@attrs.define
class OutputCount:
    """Counts of the messages on one output topic."""

    messages: int = 0
    repeated: int = 0  # a stamp seen before
    disordered: int = 0  # a stamp older than the newest
    newest: int = -1
    seen: set[int] = attrs.field(factory=set, repr=False)

    def add(self, stamp: int) -> bool:
        """Count a message by its stamp (ns); return whether it is new."""
        if stamp in self.seen:
            self.repeated += 1
            return False
        self.seen.add(stamp)
        self.messages += 1
        self.disordered += stamp < self.newest
        self.newest = max(self.newest, stamp)
        return True


@attrs.define
class Observation:
    """Everything observed during one flight.

    ``stages`` and ``workers`` hold the newest diagnostics of each, by names without namespace
    (``detect_target``, ``detect_target/worker_0``). ``process_ids``: of each worker, in the order
    of their appearance; ``items_held``: its items in flight at its last heartbeat. ``latencies``:
    s, from a frame's stamp to the arrival of its targets. ``records``: how many records the output
    of a stage has, by the frame's stamp. ``unsearched``: stamps of the frames in which nothing
    could be detected, as their image was unreadable. ``track``: east, north (m) of the vehicle, in
    the order of time.
    """

    stages: dict[str, Values] = attrs.field(factory=dict)
    workers: dict[str, Values] = attrs.field(factory=dict)
    process_ids: dict[str, list[int]] = attrs.field(factory=dict)
    items_held: dict[str, int] = attrs.field(factory=dict)
    outputs: dict[str, OutputCount] = attrs.field(factory=dict)
    latencies: list[float] = attrs.field(factory=list)
    records: dict[str, dict[int, int]] = attrs.field(factory=dict)
    unsearched: set[int] = attrs.field(factory=set)
    track: list[tuple[float, float]] = attrs.field(factory=list)

    def record_heartbeat(self, worker: str, process_id: int, values: Values | None = None) -> None:
        """Record a heartbeat of a worker.

        Args:
            worker: The name of the worker.
            process_id: The pid of its process.
            values: The values in the heartbeat.
        """
        self.items_held[worker] = _number((values or {}).get('in_flight'))
        known = self.process_ids.setdefault(worker, [])
        if not known or known[-1] != process_id:
            known.append(process_id)

    def record_status(self, name: str, values: Values) -> None:
        """Record a status of a stage or of a worker."""
        (self.workers if '/' in name else self.stages)[name] = dict(values)

    def record_output(self, stage: str, stamp: int) -> bool:
        """Record a message on a stage's output; return whether it is new."""
        return self.outputs.setdefault(stage, OutputCount()).add(stamp)

    def lost_frames(self) -> set[int]:
        """Return the stamps of frames on a topic of the chain that are missing on the last topic.

        Stamps older than the first one on the last topic are left out: its subscription started
        later.
        """
        last = self.outputs.get(LAST, OutputCount())
        begin = min(last.seen, default=0)
        before = set().union(*(self.outputs[each].seen for each in CHAIN if each in self.outputs))
        return {stamp for stamp in before - last.seen if stamp >= begin}

    def record_size(self, stage: str, stamp: int, size: int) -> None:
        """Record how many records a stage's output has.

        Args:
            stage: The name of the stage.
            stamp: The stamp of the frame, ns.
            size: The number of records.
        """
        self.records.setdefault(stage, {})[stamp] = size

    def frames_without_pose(self) -> set[int]:
        """Return the stamps of frames whose detections got no pose: the odometry had a gap."""
        merged = self.records.get(OBSERVATIONS, {})
        detected = self.records.get(DETECTIONS, {})
        return {stamp for stamp, size in detected.items() if merged.get(stamp, size) < size}

    def placed_frames(self) -> set[int]:
        """Return the stamps of searched frames that have passed every stage with a pose."""
        last = self.outputs.get(LAST, OutputCount()).seen
        return last - self.frames_without_pose() - self.unsearched

    def counter(self, stage: str, key: str) -> int:
        """Return a stage's counter from its latest diagnostics, or 0."""
        return _number(self.stages.get(stage, {}).get(key))

    @property
    def frames(self) -> int:
        """Return the frames that have left the last stage."""
        return self.outputs.get(LAST, OutputCount()).messages

    @property
    def in_flight(self) -> int:
        """Return the frames in flight, from the latest diagnostics."""
        return sum(
            self.counter(stage, 'queued') + self.counter(stage, 'in_flight') for stage in CHAIN
        )

    @property
    def workers_alive(self) -> int:
        """Return the active workers, from the latest diagnostics."""
        return sum(values.get('state') == 'active' for values in self.workers.values())

    @property
    def replacements(self) -> int:
        """Return the replaced workers, from the latest diagnostics."""
        return sum(_number(values.get('restarts')) for values in self.workers.values())


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
