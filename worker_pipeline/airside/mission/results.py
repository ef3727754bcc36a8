# SPDX-License-Identifier: Apache-2.0
"""The result as a file: the accuracy of each pad, and the results of the flight."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs

from worker_pipeline.airside.mission.assessment import Assessment
from worker_pipeline.airside.mission.estimate import Estimate


def to_report(assessment: Assessment) -> dict[str, Any]:
    """Return the assessment as JSON values. m, m^2, s, degrees.

    Values that are not finite become None, since JSON has neither NaN nor infinity.
    """
    accounting, latency = assessment.accounting, assessment.latency
    return {
        'ok': not assessment.problems,
        'problems': list(assessment.problems),
        'pads': [
            {
                'label': finding.pad.label,
                'east': finding.pad.east,
                'north': finding.pad.north,
                'found': finding.estimate is not None,
                'error': _number(finding.error),
                'normalised_squared_error': _number(finding.normalised_square),
                'estimate': _estimate(finding.estimate) if finding.estimate else None,
            }
            for finding in assessment.findings
        ],
        'invented': [_estimate(estimate) for estimate in assessment.false_targets],
        'frames': {**attrs.asdict(accounting), 'missing': accounting.missing},
        'latency': attrs.asdict(latency),
        'kills': assessment.kills,
        'replacements': assessment.replacements,
        'told': assessment.acknowledged,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that is also readable for people. ValueError for a value that is not finite."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n')


def _estimate(estimate: Estimate) -> dict[str, Any]:
    content = attrs.asdict(estimate) | {'deviation': estimate.deviation}
    return {
        key: _number(value) if isinstance(value, float) else value for key, value in content.items()
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
