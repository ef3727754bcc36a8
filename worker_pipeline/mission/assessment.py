"""What a flight was worth: targets against the truth, and frames against the books."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.mission.observation import CHAIN, LAST, SOURCE, Observation
from worker_pipeline.simulation.pads import Pad

MAX_ERROR = 0.5  # m


@attrs.frozen
class Estimate:
    """One target as the pipeline told it. m, ENU; degrees, WGS 84; m, of one sighting."""

    label: int
    east: float
    north: float
    latitude: float
    longitude: float
    deviation: float
    sightings: int

    @property
    def name(self) -> str:
        """What to call it."""
        return name_of(self.label)


@attrs.frozen
class Finding:
    """One pad, and the target that is it, if any. ``error``: m, over the ground."""

    pad: Pad
    estimate: Estimate | None

    @property
    def error(self) -> float | None:
        """None if the pad was not found."""
        if self.estimate is None:
            return None
        return _distance(self.pad, self.estimate)


@attrs.frozen
class Accounting:
    """Frames in, and what became of each of them, by the stages' counters."""

    frames_in: int
    answered: int
    dropped: int
    quarantined: int
    redelivered: int
    received: int  # different frames whose targets came on the last topic, once it was heard
    lost: int  # frames that came on a topic before it, and not on it
    repeated: int  # that came again there
    disordered: int  # that came there after a later one

    @property
    def missing(self) -> int:
        """Frames nobody can account for (less than 0: more came out than went in)."""
        return self.frames_in - self.answered - self.dropped - self.quarantined


@attrs.frozen
class Latency:
    """From a frame's stamp to the arrival of its targets, s; None if none arrived."""

    median: float | None
    p99: float | None


@attrs.frozen
class Assessment:
    """The whole of it. ``problems`` is empty if the flight was as promised."""

    findings: Sequence[Finding]
    invented: Sequence[Estimate]
    accounting: Accounting
    latency: Latency
    replacements: int
    problems: Sequence[str]


def name_of(label: int) -> str:
    """What to call a pad of this label."""
    return 'unmarked' if label == NO_LABEL else f'marker {label}'


def estimates_of(targets: Records | None) -> list[Estimate]:
    """The targets (``records.TARGET``) as estimates; none if there is no set of them."""
    if targets is None:
        return []
    return [
        Estimate(
            label=int(each['label']),
            east=float(each['x']),
            north=float(each['y']),
            latitude=float(each['latitude']),
            longitude=float(each['longitude']),
            deviation=math.sqrt(float(each['variance'])),
            sightings=int(each['count']),
        )
        for each in targets
    ]


def matched(
    pads: Sequence[Pad], estimates: Sequence[Estimate]
) -> tuple[list[Finding], list[Estimate]]:
    """Each pad with its target: the nearest of its label; and the targets that are no pad's."""
    pairs = sorted(
        (_distance(pad, estimate), row, column)
        for row, pad in enumerate(pads)
        for column, estimate in enumerate(estimates)
        if pad.label == estimate.label
    )
    chosen: dict[int, int] = {}
    for _, row, column in pairs:
        if row not in chosen and column not in chosen.values():
            chosen[row] = column
    findings = [
        Finding(pad, estimates[chosen[row]] if row in chosen else None)
        for row, pad in enumerate(pads)
    ]
    left = [each for column, each in enumerate(estimates) if column not in chosen.values()]
    return findings, left


def account(observation: Observation) -> Accounting:
    """The books of a flight whose pipeline has come to its end."""
    last = observation.outputs.get(LAST)

    def total(key: str) -> int:
        return sum(observation.counter(stage, key) for stage in CHAIN)

    return Accounting(
        frames_in=observation.counter(SOURCE, 'delivered'),
        answered=observation.counter(LAST, 'delivered'),
        # What a source drops or gives up is a tick, not a frame.
        dropped=total('dropped') - observation.counter(SOURCE, 'dropped'),
        quarantined=total('quarantined') - observation.counter(SOURCE, 'quarantined'),
        redelivered=total('redelivered'),
        received=last.messages if last else 0,
        lost=len(observation.lost()),
        repeated=last.repeated if last else 0,
        disordered=last.disordered if last else 0,
    )


def assess(
    pads: Sequence[Pad],
    targets: Records | None,
    observation: Observation,
    killed: bool,
    max_error: float = MAX_ERROR,
) -> Assessment:
    """Judge a flight over these pads. ``killed``: whether one worker was killed on the way."""
    findings, invented = matched(pads, estimates_of(targets))
    accounting = account(observation)
    problems = [
        f'{name_of(each.pad.label)} was not found' for each in findings if not each.estimate
    ]
    problems += [
        f'{name_of(each.pad.label)} is off by {each.error:.2f} m; allowed: {max_error:g} m'
        for each in findings
        if each.error is not None and each.error > max_error
    ]
    problems += [
        f'{each.name} at {each.east:.1f} m east, {each.north:.1f} m north is no pad'
        for each in invented
    ]
    problems += _unaccounted(accounting)
    if killed and not observation.replacements:
        problems.append('the killed worker was not replaced')
    return Assessment(
        findings=findings,
        invented=invented,
        accounting=accounting,
        latency=_latency(observation.latencies),
        replacements=observation.replacements,
        problems=problems,
    )


def _unaccounted(books: Accounting) -> list[str]:
    problems = []
    if not books.frames_in:
        problems.append('no frame came in')
    if books.missing:
        problems.append(
            f'{books.missing} of {books.frames_in} frames are unaccounted for: {books.answered} '
            f'answered, {books.dropped} dropped, {books.quarantined} quarantined'
        )
    if books.repeated or books.disordered:
        problems.append(f'{books.repeated} frames came twice, {books.disordered} out of order')
    if books.lost:
        problems.append(f'{books.lost} frames left a stage and never came out of the last one')
    if books.received > books.answered:
        problems.append(
            f'{books.answered} frames were answered by the books, {books.received} were received'
        )
    return problems


def _latency(latencies: Sequence[float]) -> Latency:
    if not latencies:
        return Latency(None, None)
    median, p99 = np.percentile(latencies, [50, 99])
    return Latency(float(median), float(p99))


def _distance(pad: Pad, estimate: Estimate) -> float:
    return math.hypot(pad.east - estimate.east, pad.north - estimate.north)
