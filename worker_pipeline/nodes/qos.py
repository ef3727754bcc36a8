"""The quality of service of every topic, in one place."""

from __future__ import annotations

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

# How many messages of a context a late joiner (a replacement) is given.
CONTEXT_DEPTH = 256
# Inputs are read into the stage's own queue at once; this only has to outlast a burst.
INPUT_DEPTH = 1000
# Messages that were not acknowledged are kept for those who listen: what leaves in a burst, after a
# slow item or a death, is not to be lost to them. Camera frames would fill the memory.
OUTPUT_DEPTH = 1000
LARGE_OUTPUT_DEPTH = 10


def reliable(depth: int) -> QoSProfile:
    """Nothing is lost between a live publisher and a live subscription."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


def latched(depth: int) -> QoSProfile:
    """Reliable, and late joiners are given the last messages."""
    profile = reliable(depth)
    profile.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return profile


def work(concurrency: int) -> QoSProfile:
    """Work and its answers: as many as a worker holds at once, and a probe, can be under way."""
    return reliable(2 * concurrency + 2)


HEARTBEATS = reliable(10)
DIAGNOSTICS = reliable(10)
QUARANTINE = latched(100)
