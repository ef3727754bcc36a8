"""The quality of service of every topic, in one place."""

from __future__ import annotations

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

# How many messages of a context a late joiner (a replacement) is given.
CONTEXT_DEPTH = 256
# Messages that were not acknowledged are kept for those who listen: what leaves in a burst, after a
# slow item or a death, is not to be lost to them. Fast DDS allows no more. Camera frames would fill
# the memory.
OUTPUT_DEPTH = 5000
LARGE_OUTPUT_DEPTH = 10
# And those that are not read yet, of a camera.
LARGE_INPUT_DEPTH = 30
# Messages of some megabytes.
LARGE_MESSAGES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})


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


def keep_all() -> QoSProfile:
    """As ``reliable``, and what is not read yet is never replaced by what comes after it.

    A burst waits with its publisher, as long as its history has room. DDS tells how many messages
    that costs, while those that a reader of a certain depth replaces are counted by nobody.
    """
    profile = reliable(1)
    profile.history = QoSHistoryPolicy.KEEP_ALL
    return profile


def work(concurrency: int) -> QoSProfile:
    """Work and its answers, as they are shown: as many as a worker holds at once."""
    return reliable(2 * concurrency + 2)


HEARTBEATS = reliable(10)
DIAGNOSTICS = reliable(10)
QUARANTINE = latched(100)
