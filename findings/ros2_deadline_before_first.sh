#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A ROS 2 deadline says nothing of a publisher that never begins (Kilted, Fast DDS).
#
# Expected: a subscription with a deadline of 0.1 s and a matched publisher with the same
#   deadline: if nothing comes for a second, the deadline is missed ten times, and both sides are
#   told.
# Happens: no event on either side until there has been a first message: deadlines are kept by
#   instance, and a topic without keys has none before that. After one message they come, and they
#   go on at the subscription when the publisher has been destroyed.
# Matters to: who watches cameras and autopilots by QoS events: a driver that starts, finds no
#   device and stays up is never told of; one that breaks later is. A timer from the start is
#   needed beside it.
# Source: rmw's documentation of rmw_requested_deadline_missed_status_t: missed 'for any instance
#   read by the subscription'.
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
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import QoSProfile
from std_msgs.msg import String

print(*(f'{name} {version(name)}' for name in ('ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-fastdds')))
rclpy.init()
node = rclpy.create_node('finding')
names = ('offered deadline missed', 'requested deadline missed', 'messages', 'matched')
got = dict.fromkeys(names, 0)


def count(name):
    """Return a callback that counts."""
    return lambda event: got.__setitem__(name, got[name] + 1)


def during(text, seconds):
    """Return what came in a time."""
    got.update(dict.fromkeys(got, 0))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.02)
    print(f'{text}: {got}')
    return dict(got)


qos = QoSProfile(depth=5, deadline=Duration(seconds=0.1))
requested, offered = count('requested deadline missed'), count('offered deadline missed')
events = SubscriptionEventCallbacks(deadline=requested, matched=count('matched'))
node.create_subscription(String, 'image', count('messages'), qos, event_callbacks=events)
events = PublisherEventCallbacks(deadline=offered)
publisher = node.create_publisher(String, 'image', qos, event_callbacks=events)
silent = during('matched, nothing published, 3 s', 3.0)
publisher.publish(String(data='first'))
begun = during('one message, then nothing, 3 s', 3.0)
node.destroy_publisher(publisher)
gone = during('the publisher destroyed, 3 s', 3.0)
rclpy.shutdown()
assert silent == {**dict.fromkeys(got, 0), 'matched': 1}
assert begun['messages'] == 1 and begun['offered deadline missed'] >= 3
assert begun['requested deadline missed'] >= 3 and gone['requested deadline missed'] >= 3
EOF
