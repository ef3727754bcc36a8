# SPDX-License-Identifier: Apache-2.0
"""Quarantined items of several types of messages, and how a test keeps them in a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from worker_pipeline.quarantine.store import QuarantinedItem, QuarantineStore
from worker_pipeline.ros.message_types import name_of

STAMP = 12_000_000_345
AT = 1_763_820_000_123_456_789
both_forms = pytest.mark.usefixtures('form')


def item(message: Any = None, /, **changes: Any) -> QuarantinedItem:
    """Return a quarantined item; of a Header, where no message is given."""
    message = message or Header(frame_id='camera')
    return QuarantinedItem(
        **{
            'stage': 'detect_target',
            'source': 'video_input',
            'topic': '/airside/detect_target/input',
            'message_type': name_of(type(message)),
            'message': serialize_message(message),
            'stamp': STAMP,
            'attempts': 2,
            'cause': 'killed by SIGSEGV',
            'at': AT,
            **changes,
        }
    )


def image(side: int = 2) -> Image:
    pixels = [value % 256 for value in range(3 * side * side)]
    return Image(height=side, width=side, encoding='rgb8', step=3 * side, data=pixels)


def odometry() -> Odometry:
    message = Odometry(child_frame_id='base_link')
    message.header.stamp.sec = 7
    message.pose.pose.position.z = -1.5
    message.pose.covariance[35] = 0.25
    message.twist.twist.linear.x = 12.5
    return message


def diagnostics() -> DiagnosticArray:
    values = [KeyValue(key='a', value='1'), KeyValue(key='b', value='')]
    status = [DiagnosticStatus(level=b'\x02', name='stage', values=values), DiagnosticStatus()]
    return DiagnosticArray(status=status)


def without_mcap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package be missing, as on a computer where it is not installed."""
    monkeypatch.setitem(sys.modules, 'mcap.reader', None)


def kept(store: QuarantineStore, *items: QuarantinedItem) -> list[Path | None]:
    """Return the paths of items that are on the disk; the store is closed."""
    paths = [store.keep(each) for each in items]
    assert store.close(10.0)
    return paths


def serious(errors: list[str]) -> list[str]:
    """Return the log, apart from the one warning that mcap is missing."""
    return [error for error in errors if 'pip install mcap' not in error]
