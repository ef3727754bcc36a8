# SPDX-License-Identifier: Apache-2.0
"""Clouds of targets for the tests."""

from __future__ import annotations

import numpy as np

from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import TARGET


def cloud(*targets, count=3, deviation=0.5):
    """Return ``records.TARGET`` from (label, east, north) each."""
    records = np.zeros(len(targets), TARGET)
    for record, (label, east, north) in zip(records, targets, strict=True):
        record['label'], record['x'], record['y'] = label, east, north
        record['latitude'] = 44.96 + north * 9e-6
        record['longitude'] = -110.64 + east * 1.27e-5
    records['var_east'] = records['var_north'] = deviation**2
    records['count'], records['confidence'] = count, 1.0
    return records


def message(records, stamp):
    """Return the message that a stage receives."""
    item = point_cloud.to_message(records, 'map')
    item.header.stamp = stamp
    return item
