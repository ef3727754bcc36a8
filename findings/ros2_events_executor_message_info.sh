#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# rclpy's events executor cannot call a subscription's callback that takes the message info.
#
# Expected: a callback with two parameters gets the message and its info (time stamps, sequence
#   number, the publisher's identity), whichever executor spins the node.
# Happens: SingleThreadedExecutor calls it; EventsExecutor ends its spin with SystemError 'null
#   argument to internal routine', and the callback is never called. With one parameter it is.
# Matters to: who counts lost messages by the publication's sequence numbers, or tells publishers
#   apart by their identity, and changes to the faster executor. Lost messages have to be counted
#   in another way there, for instance by a number in the message.
# Source: rclpy/src/rclpy/events_executor and the class MessageInfo in rclpy/subscription.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install 'ros-rclpy[fastrtps]==9.1.2' ros-std-msgs==5.5.1
cd "$folder"
export ROS_LOG_DIR="$folder" ROS_DOMAIN_ID=77 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
venv/bin/python - <<'EOF'
import time
from importlib.metadata import version

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.experimental import EventsExecutor
from std_msgs.msg import String

print(*(f'{name} {version(name)}' for name in ('ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-fastdds')))
rclpy.init()


def received(executor_class, with_info):
    """Return what a callback got of the first message, or what the executor raised."""
    got = []
    node = rclpy.create_node('finding')
    if with_info:
        node.create_subscription(String, 'topic', lambda _, info: got.append(sorted(info)), 10)
    else:
        node.create_subscription(String, 'topic', lambda message: got.append(message.data), 10)
    publisher = node.create_publisher(String, 'topic', 10)
    executor = executor_class()
    executor.add_node(node)
    end = time.monotonic() + 20.0
    try:
        while not got and time.monotonic() < end:
            publisher.publish(String(data='text'))
            executor.spin_once(timeout_sec=0.1)
    except SystemError as error:
        got.append(repr(error))
    executor.remove_node(node)
    node.destroy_node()
    print(f'{executor_class.__name__}, {"message and info" if with_info else "message"}: {got[:1]}')
    return got[0]


assert received(SingleThreadedExecutor, False) == received(EventsExecutor, False) == 'text'
assert 'publication_sequence_number' in received(SingleThreadedExecutor, True)
assert 'null argument to internal routine' in received(EventsExecutor, True)
rclpy.shutdown()
EOF
