#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Nobody is told of a publisher of another type on the same topic (Kilted, Fast DDS).
#
# Expected: a subscription with the callback incompatible_type, and a publisher of another message
#   type on its topic, in another process or context: the callback is called, on either side, as that
#   for an incompatible quality of service is.
# Happens: the event is accepted, and no callback is called on either side. The two are not matched,
#   and no message is logged. The graph lists the publisher with its type at once.
# Matters to: who subscribes to a camera as Image while its driver publishes CompressedImage (or the
#   other way round): nothing comes and nothing is said. get_publishers_info_by_topic tells.
# Source: rmw has RMW_EVENT_SUBSCRIPTION_INCOMPATIBLE_TYPE; Fast DDS matches by type name, and does
#   not report what it does not match.
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
from rclpy.context import Context
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header, String

print(*(f'{name} {version(name)}' for name in ('ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-fastdds')))
contexts = [Context(), Context()]
for each in contexts:
    rclpy.init(context=each)
one, other = (rclpy.create_node('finding', context=each) for each in contexts)
executors = [SingleThreadedExecutor(context=each) for each in contexts]
executors[0].add_node(one)
executors[1].add_node(other)
told = []
one.create_subscription(
    Header, 'image', print, 5, event_callbacks=SubscriptionEventCallbacks(incompatible_type=told.append)
)
publisher = other.create_publisher(
    String, 'image', 5, event_callbacks=PublisherEventCallbacks(incompatible_type=told.append)
)
begun, listed = time.monotonic(), None
while time.monotonic() - begun < 5.0:
    for each in executors:
        each.spin_once(timeout_sec=0.02)
    if listed is None and one.get_publishers_info_by_topic('image'):
        listed = time.monotonic() - begun
types = [each.topic_type for each in one.get_publishers_info_by_topic('image')]
matched = publisher.get_subscription_count()
print(f'events in 5 s: {len(told)}; matched: {matched}; the graph lists {types} after {listed:.1f} s')
for each in contexts:
    rclpy.shutdown(context=each)
assert told == [] and matched == 0 and types == ['std_msgs/msg/String']
EOF
