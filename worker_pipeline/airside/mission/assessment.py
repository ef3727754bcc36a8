# SPDX-License-Identifier: Apache-2.0
"""The assessment of a flight: targets against the truth, and frames against the counters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.geometry.plane_error import chi_square
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.mission.estimate import (
    USABLE,
    Estimate,
    Finding,
    match_pads,
    pad_name,
    to_estimates,
)
from worker_pipeline.airside.mission.observation import CHAIN, LAST, SOURCE, Observation
from worker_pipeline.airside.simulation.pads import Pad

MAX_ERROR = 5.0  # m
# Limit of the squared error in units of its own covariance: a consistent one exceeds it once in
# 1000 times.
MAX_SQUARE = chi_square(0.999)


@attrs.frozen
class Accounting:
    """The number of frames, and their outcomes, from the stages' counters."""

    frames_in: int
    answered: int
    dropped: int
    quarantined: int
    redelivered: int
    received: int  # distinct frames with targets on the last topic, from its first message on
    without_pose: int  # frames whose detections got no pose
    lost: int  # frames on an earlier topic that are missing on the last
    repeated: int  # received again on the last topic
    disordered: int  # received on the last topic after a later one
    not_searched: int = 0  # frames whose image was unreadable: nothing found says nothing of them

    @property
    def missing(self) -> int:
        """Return the frames not accounted for (below 0: more came out than went in)."""
        return self.frames_in - self.answered - self.dropped - self.quarantined


@attrs.frozen
class Latency:
    """From a frame's stamp to the arrival of its targets, s; None if none arrived."""

    median: float | None
    p99: float | None


@attrs.frozen
class Assessment:
    """The whole result. ``problems`` is empty if the flight succeeded."""

    findings: Sequence[Finding]
    false_targets: Sequence[Estimate]
    accounting: Accounting
    latency: Latency
    kills: int  # workers killed deliberately
    replacements: int
    acknowledged: int | None  # targets acknowledged by the ground; None: there is no ground
    problems: Sequence[str]


def account(observation: Observation) -> Accounting:
    """Return the accounting of a flight after its pipeline has finished."""
    last = observation.outputs.get(LAST)

    def total(key: str) -> int:
        return sum(observation.counter(stage, key) for stage in CHAIN)

    return Accounting(
        frames_in=observation.counter(SOURCE, 'delivered'),
        answered=observation.counter(LAST, 'delivered'),
        # A source drops or quarantines ticks, not frames.
        dropped=total('dropped') - observation.counter(SOURCE, 'dropped'),
        quarantined=total('quarantined') - observation.counter(SOURCE, 'quarantined'),
        redelivered=total('redelivered'),
        received=last.messages if last else 0,
        without_pose=len(observation.frames_without_pose()),
        lost=len(observation.lost_frames()),
        repeated=last.repeated if last else 0,
        disordered=last.disordered if last else 0,
        not_searched=len(observation.unsearched),
    )


def assess(
    pads: Sequence[Pad],
    targets: Records | None,
    observation: Observation,
    kills: int,
    acknowledged: int | None = None,
    ground: Sequence[Pad] = (),
) -> Assessment:
    """Assess a flight over these pads.

    Args:
        pads: The pads that the flight must find.
        targets: The last ``records.TARGET``, if any arrived.
        observation: The observations of the flight.
        kills: Number of workers killed deliberately.
        acknowledged: Targets acknowledged by the ground; None: there is no ground.
        ground: All pads on the ground. One that was in view too seldom may be found.
    """
    estimates = to_estimates(targets)
    all_findings, false_targets = match_pads(list(dict.fromkeys([*pads, *ground])), estimates)
    findings = [each for each in all_findings if each.estimate is not None or each.pad in pads]
    accounting = account(observation)
    problems = [problem for each in findings for problem in _position_problems(each)]
    problems += [
        f'{each.name} at {each.east:.1f} m east, {each.north:.1f} m north is not a pad'
        for each in false_targets
    ]
    problems += _accounting_problems(accounting)
    if observation.replacements < kills:
        problems.append(f'{kills} workers were killed, {observation.replacements} replaced')
    if acknowledged is not None and acknowledged < len(estimates):
        problems.append(f'the ground has acknowledged {acknowledged} of {len(estimates)} targets')
    return Assessment(
        findings=findings,
        false_targets=false_targets,
        accounting=accounting,
        latency=_latency(observation.latencies),
        kills=kills,
        replacements=observation.replacements,
        acknowledged=acknowledged,
        problems=problems,
    )


def _position_problems(finding: Finding) -> list[str]:
    """Return the problems with a pad's position and with its covariance."""
    estimate, error, square = finding.estimate, finding.error, finding.normalised_square
    name = pad_name(finding.pad.label)
    if estimate is None or error is None or square is None:
        return [f'{name} was not found']
    is_near = error <= MAX_ERROR
    if not estimate.has_covariance:
        problems = [] if is_near else [f'{name} is off by {error:.2f} m; allowed: {MAX_ERROR:g} m']
        covariance = estimate.covariance.tolist()
        return [*problems, f'{name}: found covariance {covariance} m^2; allowed: {USABLE}']
    if is_near and square <= MAX_SQUARE:
        return []
    # The error allowed by the covariance in the direction of the error.
    allowed = error * math.sqrt(MAX_SQUARE / square)
    found = f'off by {error:.2f} m, normalised squared error {square:.1f}'
    limits = f'{allowed:.2f} m by its own covariance ({MAX_SQUARE:.1f}), and {MAX_ERROR:g} m'
    return [f'{name} is {found}; allowed: {limits}']


def _accounting_problems(frames: Accounting) -> list[str]:
    problems = []
    if not frames.frames_in:
        problems.append('no frame came in')
    if frames.missing:
        problems.append(
            f'{frames.missing} of {frames.frames_in} frames are unaccounted for: {frames.answered} '
            f'answered, {frames.dropped} dropped, {frames.quarantined} quarantined'
        )
    if frames.not_searched:
        problems.append(
            f'{frames.not_searched} frames were not searched: their images were unreadable'
        )
    if frames.repeated or frames.disordered:
        problems.append(f'{frames.repeated} frames came twice, {frames.disordered} out of order')
    if frames.lost:
        problems.append(f'{frames.lost} frames left a stage but not the last one')
    if frames.received > frames.answered:
        problems.append(
            f'{frames.answered} frames were answered by the counters, {frames.received} were'
            ' received'
        )
    return problems


def _latency(latencies: Sequence[float]) -> Latency:
    if not latencies:
        return Latency(None, None)
    median, p99 = np.percentile(latencies, [50, 99])
    return Latency(float(median), float(p99))
