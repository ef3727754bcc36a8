"""The result as files: where the targets are, and how the flight went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from worker_pipeline.mission.assessment import Assessment, Estimate


def geojson_of(assessment: Assessment) -> dict[str, Any]:
    """The targets found as a GeoJSON (RFC 7946) FeatureCollection: a point for each."""
    features = [
        _feature(finding.estimate, finding.error)
        for finding in assessment.findings
        if finding.estimate is not None
    ]
    features += [_feature(estimate, None) for estimate in assessment.invented]
    return {'type': 'FeatureCollection', 'features': features}


def report_of(assessment: Assessment) -> dict[str, Any]:
    """All that was found out, for a program to read. m, s, degrees."""
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
                'error': finding.error,
                'estimate': attrs.asdict(finding.estimate) if finding.estimate else None,
            }
            for finding in assessment.findings
        ],
        'invented': [attrs.asdict(estimate) for estimate in assessment.invented],
        'frames': {**attrs.asdict(books), 'missing': books.missing},
        'latency': attrs.asdict(latency),
        'replacements': assessment.replacements,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write, for people to read too."""
    path.write_text(json.dumps(content, indent=2) + '\n')


def _feature(estimate: Estimate, error: float | None) -> dict[str, Any]:
    return {
        'type': 'Feature',
        'geometry': {
            'type': 'Point',
            # Longitude first, as the standard wants it; 8 places are a millimetre.
            'coordinates': [round(estimate.longitude, 8), round(estimate.latitude, 8)],
        },
        'properties': {
            'name': estimate.name,
            'label': estimate.label,
            'sightings': estimate.sightings,
            'deviation_m': round(estimate.deviation, 4),
            'error_m': None if error is None else round(error, 4),
        },
    }
