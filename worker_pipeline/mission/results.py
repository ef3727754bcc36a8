"""The result as a file: how well each pad was found, and how the flight went."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs

from worker_pipeline.mission.assessment import Assessment
from worker_pipeline.mission.estimate import Estimate


def report_of(assessment: Assessment) -> dict[str, Any]:
    """All that was found out, for a program to read. m, m^2, s, degrees.

    What is no number is None: neither NaN nor infinity is JSON.
    """
    books, latency = assessment.accounting, assessment.latency
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
        'invented': [_estimate(estimate) for estimate in assessment.invented],
        'frames': {**attrs.asdict(books), 'missing': books.missing},
        'latency': attrs.asdict(latency),
        'kills': assessment.kills,
        'replacements': assessment.replacements,
        'told': assessment.told,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write, for people to read too. ValueError if there is a number that JSON does not have."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n')


def _estimate(estimate: Estimate) -> dict[str, Any]:
    content = attrs.asdict(estimate) | {'deviation': estimate.deviation}
    return {
        key: _number(value) if isinstance(value, float) else value for key, value in content.items()
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
