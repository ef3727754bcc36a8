# SPDX-License-Identifier: Apache-2.0
"""The quality of service of every topic."""

from __future__ import annotations

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

# Messages of a context that a late joiner, such as a replacement, receives.
CONTEXT_DEPTH = 256
# Unacknowledged messages kept for subscribers, which must not lose a burst after a slow item or a
# death. 5000 is the most that Fast DDS allows. Camera frames would fill the memory.
OUTPUT_DEPTH = 5000
LARGE_OUTPUT_DEPTH = 10
# Unread messages of a camera.
LARGE_INPUT_DEPTH = 30
# Messages of some megabytes.
LARGE_MESSAGES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})


def reliable(depth: int) -> QoSProfile:
    """Return a profile that loses nothing between a live publisher and a live subscription."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


def latched(depth: int) -> QoSProfile:
    """Return a reliable profile that sends late joiners the last messages."""
    profile = reliable(depth)
    profile.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return profile


def keep_all() -> QoSProfile:
    """Return a reliable profile in which new messages never replace unread ones.

    A burst waits in the publisher's history. DDS reports the messages lost there, but not those
    that a reader with a fixed depth replaces.
    """
    profile = reliable(1)
    profile.history = QoSHistoryPolicy.KEEP_ALL
    return profile


def work(concurrency: int) -> QoSProfile:
    """Return the profile of the mirror topics of a worker's items and answers."""
    return reliable(2 * concurrency + 2)


HEARTBEATS = reliable(10)
DIAGNOSTICS = reliable(10)
QUARANTINE = latched(100)
