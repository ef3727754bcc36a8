# SPDX-License-Identifier: Apache-2.0
"""A plain node that publishes headers as fast as it can: ``python -m support.flooder --help``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import rclpy
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from support.observer import header

MATCH_TIMEOUT = 30.0  # s


def _stampless(_: int) -> Header:
    return Header(frame_id='no stamp')


def _repeated(_: int) -> Header:
    return header(0)


def _too_short(_: int) -> Header:
    return b'\0\1\0\0'


# By name: the n-th message.
KINDS: dict[str, Callable[[int], Header | bytes]] = {
    'good': header,
    'stampless': _stampless,
    'repeated': _repeated,
    'too_short': _too_short,
}


def flood(node: Node, options: argparse.Namespace) -> None:
    """Publish messages as the options say, once a subscription is matched."""
    reliability = (
        QoSReliabilityPolicy.BEST_EFFORT if options.best_effort else QoSReliabilityPolicy.RELIABLE
    )
    publisher = node.create_publisher(
        Header,
        options.topic,
        QoSProfile(depth=options.depth, reliability=reliability),
        event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
    )
    deadline = time.monotonic() + MATCH_TIMEOUT
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            raise TimeoutError(f'{options.topic}: no subscription within {MATCH_TIMEOUT:g} s')
        rclpy.spin_once(node, timeout_sec=0.01)
    make = KINDS[options.kind]
    filling = 'x' * options.size
    end = time.monotonic() + options.seconds if options.seconds else float('inf')
    number = options.first
    while number - options.first < options.count and time.monotonic() < end:
        message = make(number)
        if filling and isinstance(message, Header):
            message.frame_id = filling
        publisher.publish(message if isinstance(message, bytes) else serialize_message(message))
        number += 1
    publisher.wait_for_all_acked()
    print(f'published {number - options.first}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('topic')
    parser.add_argument('--kind', choices=KINDS, default='good')
    parser.add_argument('--count', type=int, default=10**9)
    parser.add_argument('--seconds', type=float, default=0.0, help='0: no limit')
    parser.add_argument('--first', type=int, default=0, help='the number of the first message')
    parser.add_argument('--depth', type=int, default=10, help='messages kept by the publisher')
    parser.add_argument('--size', type=int, default=0, help='of the text in a message, bytes')
    parser.add_argument('--best-effort', action='store_true')
    options = parser.parse_args()
    rclpy.init()
    node = rclpy.create_node('flooder', namespace='/airside')
    try:
        flood(node, options)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
