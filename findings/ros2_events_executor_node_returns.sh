#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A node that leaves rclpy's events executor and comes back is behind by the messages of meanwhile.
#
# Expected: messages that arrived while the node had no executor are handled when it is added again,
#   or at the latest with the next message, as with SingleThreadedExecutor.
# Happens: EventsExecutor handles none of those that arrived between `remove_node` and its next turn.
#   Each later message calls back for the oldest of them instead of itself, so the subscription stays
#   behind by that number for good, and the newest messages wait until others follow.
# Matters to: who takes a node out of the executor for a while, or gives it to another one: commands
#   and states are acted on late, each by the same number of messages, without any error. Take what
#   is left (`subscription.handle.take_message`) after adding the node.
# Source: events are posted with the number of new messages, DDS marks these as read
#   (RMWSubscriptionEvent in rmw_fastrtps), and the events of a removed entity are dropped
#   (RclCallbackManager in rclpy/src/rclpy/events_executor/rcl_support.cpp).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install 'ros-rclpy[fastrtps]==9.1.2' ros-std-msgs==5.5.1
cd "$folder"
export ROS_LOG_DIR="$folder" ROS_DOMAIN_ID=78 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
venv/bin/python - <<'EOF'
import time
from importlib.metadata import version

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.experimental import EventsExecutor
from std_msgs.msg import UInt32

print(*(f'{name} {version(name)}' for name in ('ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-fastdds')))
rclpy.init()


def received(executor_class):
    """Return what is received of 1 to 5, sent while the node is out, and after 6 and 7."""
    got = []
    node, sender = rclpy.create_node('finding'), rclpy.create_node('sender')
    node.create_subscription(UInt32, 'topic', lambda message: got.append(message.data), 100)
    publisher = sender.create_publisher(UInt32, 'topic', 100)
    executor = executor_class()
    executor.add_node(node)

    def spin(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)

    for _ in range(100):  # until they know each other
        if got:
            break
        publisher.publish(UInt32(data=0))
        spin(0.1)
    spin(1.0)
    got.clear()
    executor.remove_node(node)
    for number in range(1, 6):
        publisher.publish(UInt32(data=number))
    publisher.wait_for_all_acked()
    spin(0.5)  # without the node
    executor.add_node(node)
    steps = []
    for number in (None, 6, 7):
        if number is not None:
            publisher.publish(UInt32(data=number))
        spin(2.0)
        steps.append(list(got))
    executor.shutdown()
    sender.destroy_node()
    node.destroy_node()
    print(executor_class.__name__, *steps)
    return steps


first = [1, 2, 3, 4, 5]
assert received(SingleThreadedExecutor) == [first, [*first, 6], [*first, 6, 7]]
assert received(EventsExecutor) == [[], [1], [1, 2]]
rclpy.shutdown()
EOF
