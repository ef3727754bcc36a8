"""What a watcher learns of a running pipeline, as plain facts: no ROS in here."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

Values = Mapping[str, str]

# From the tick to the targets, which the last passes on: the way of one frame.
CHAIN = (
    'video_input',
    'detect_target',
    'data_merge',
    'geolocation',
    'cluster_estimation',
    'communications',
)
SOURCE, LAST = CHAIN[0], CHAIN[-1]


@attrs.define
class OutputCount:
    """What came on one output topic."""

    messages: int = 0
    repeated: int = 0  # a stamp that had come before
    disordered: int = 0  # a stamp older than the newest
    newest: int = -1
    seen: set[int] = attrs.field(factory=set, repr=False)

    def add(self, stamp: int) -> bool:
        """Count a message by its stamp (ns); whether it is a new one."""
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
    """All that was seen of one flight.

    ``stages`` and ``workers`` hold the newest diagnostics of each, by names without namespace
    (``detect_target``, ``detect_target/worker_0``). ``process_ids``: of each worker, one after the
    other; ``holding``: how many items it held at its last heartbeat. ``latencies``: s, from a
    frame's stamp to the moment its targets arrive. ``track``: east, north (m) of the vehicle, in
    the order of time.
    """

    stages: dict[str, Values] = attrs.field(factory=dict)
    workers: dict[str, Values] = attrs.field(factory=dict)
    process_ids: dict[str, list[int]] = attrs.field(factory=dict)
    holding: dict[str, int] = attrs.field(factory=dict)
    outputs: dict[str, OutputCount] = attrs.field(factory=dict)
    latencies: list[float] = attrs.field(factory=list)
    track: list[tuple[float, float]] = attrs.field(factory=list)

    def heard(self, worker: str, process_id: int, values: Values | None = None) -> None:
        """A heartbeat of a worker came."""
        self.holding[worker] = _number((values or {}).get('in_flight'))
        known = self.process_ids.setdefault(worker, [])
        if not known or known[-1] != process_id:
            known.append(process_id)

    def told(self, name: str, values: Values) -> None:
        """A status of a stage or of a worker came."""
        (self.workers if '/' in name else self.stages)[name] = dict(values)

    def came(self, stage: str, stamp: int) -> bool:
        """A message of a stage's output came; whether it was one that had not come before."""
        return self.outputs.setdefault(stage, OutputCount()).add(stamp)

    def lost(self) -> set[int]:
        """Stamps of frames that came on a topic of the chain, and never on the last.

        Those older than the first on the last topic are left out: it was heard a moment later.
        """
        last = self.outputs.get(LAST, OutputCount())
        begin = min(last.seen, default=0)
        before = set().union(*(self.outputs[each].seen for each in CHAIN if each in self.outputs))
        return {stamp for stamp in before - last.seen if stamp >= begin}

    def counter(self, stage: str, key: str) -> int:
        """A stage's counter as it was last told; 0 if it was not."""
        return _number(self.stages.get(stage, {}).get(key))

    @property
    def frames(self) -> int:
        """Frames whose way has ended, as far as is known by now."""
        return self.outputs.get(LAST, OutputCount()).messages

    @property
    def in_flight(self) -> int:
        """Frames under way, as last told."""
        return sum(
            self.counter(stage, 'queued') + self.counter(stage, 'in_flight') for stage in CHAIN
        )

    @property
    def workers_alive(self) -> int:
        """Workers at work, as last told."""
        return sum(values.get('state') == 'active' for values in self.workers.values())

    @property
    def replacements(self) -> int:
        """Workers replaced, as last told."""
        return sum(_number(values.get('restarts')) for values in self.workers.values())


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
