"""What a flight was worth: targets against the truth, and frames against the books."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.plane_error import chi_square
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.mission.estimate import (
    USABLE,
    Estimate,
    Finding,
    estimates_of,
    matched,
    name_of,
)
from worker_pipeline.mission.observation import CHAIN, LAST, SOURCE, Observation
from worker_pipeline.simulation.pads import Pad

MAX_ERROR = 5.0  # m
# Of an error squared, in units of its own covariance: an honest one is larger once in 1000 times.
MAX_SQUARE = chi_square(0.999)


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
    kills: int  # workers that were killed on purpose
    replacements: int
    told: int | None  # targets that the ground has acknowledged; None: there is no ground
    problems: Sequence[str]


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
    kills: int,
    told: int | None = None,
) -> Assessment:
    """Judge a flight over these pads.

    ``kills``: workers that were killed on the way. ``told``: targets that the ground has
    acknowledged; None: there is no ground.
    """
    estimates = estimates_of(targets)
    findings, invented = matched(pads, estimates)
    accounting = account(observation)
    problems = [problem for each in findings for problem in _misplaced(each)]
    problems += [
        f'{each.name} at {each.east:.1f} m east, {each.north:.1f} m north is no pad'
        for each in invented
    ]
    problems += _unaccounted(accounting)
    if observation.replacements < kills:
        problems.append(f'{kills} workers were killed, {observation.replacements} replaced')
    if told is not None and told < len(estimates):
        problems.append(f'the ground has acknowledged {told} of {len(estimates)} targets')
    return Assessment(
        findings=findings,
        invented=invented,
        accounting=accounting,
        latency=_latency(observation.latencies),
        kills=kills,
        replacements=observation.replacements,
        told=told,
        problems=problems,
    )


def _misplaced(finding: Finding) -> list[str]:
    """What is wrong with where a pad was found, and with how sure of it the pipeline is."""
    estimate, error, square = finding.estimate, finding.error, finding.normalised_square
    name = name_of(finding.pad.label)
    if estimate is None or error is None or square is None:
        return [f'{name} was not found']
    is_near = error <= MAX_ERROR
    if not estimate.has_covariance:
        problems = [] if is_near else [f'{name} is off by {error:.2f} m; allowed: {MAX_ERROR:g} m']
        covariance = estimate.covariance.tolist()
        return [*problems, f'{name}: found covariance {covariance} m^2; allowed: {USABLE}']
    if is_near and square <= MAX_SQUARE:
        return []
    # As far as its covariance lets it be off, in the direction in which it is.
    allowed = error * math.sqrt(MAX_SQUARE / square)
    found = f'off by {error:.2f} m, normalised squared error {square:.1f}'
    limits = f'{allowed:.2f} m by its own covariance ({MAX_SQUARE:.1f}), and {MAX_ERROR:g} m'
    return [f'{name} is {found}; allowed: {limits}']


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
