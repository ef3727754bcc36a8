#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A new ROS 2 node may not discover a running one for seconds, on one machine and at any load
# (Kilted, Fast DDS).
#
# Expected: a node that starts announces itself, the running one answers, and a few milliseconds
#   later each knows the topics of the other. Loopback loses nothing, and both have the defaults.
# Happens: the new participant sends its announcement before it takes what its sockets receive. On
#   one core the running node is woken by the announcement and answers before the other goes on:
#   the answer is read and dropped. It is not repeated; the running node's next announcement comes
#   up to 3 s later. Until then the new node knows no topic of it.
# Matters to: teams that restart a node in flight and measure a second of silence; tests that take
#   0.5 s for the end of discovery; reports that blame the network or multicast.
# Source: `RTPSParticipantImpl::enable` of Fast DDS 3.2.3 (and 3.6.2) enables the discovery, which
#   announces, and registers the receivers behind it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install 'ros-rclpy[fastrtps]==9.1.2' ros-std-msgs==5.5.1
cd "$folder"
export ROS_LOG_DIR="$folder" ROS_DOMAIN_ID=78 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
venv/bin/python - <<'EOF'
import os
import signal
import time
from importlib.metadata import version

import rclpy
from std_msgs.msg import Empty

print(*(f'{name} {version(name)}' for name in ('ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-fastdds')))
COUNT, SOON, LATE = 20, 0.5, 6.0
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def forked(work):
    """Run a function in a child process; return its pid."""
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return pid


def running():
    """Be the node that is there."""
    rclpy.init()
    node = rclpy.create_node('running')
    node.create_publisher(Empty, 'image', 1)
    os.write(write, b'.')
    signal.pause()


def starting():
    """Be a new node; write for how long it has not known the other's topic, s."""
    rclpy.init()
    node = rclpy.create_node('starting')
    begin = time.monotonic()
    while not node.count_publishers('image') and time.monotonic() - begin < LATE:
        time.sleep(0.005)
    os.write(write, b'%.3f\n' % (time.monotonic() - begin))


read, write = os.pipe()
old = forked(running)
assert os.read(read, 1)
times = []
for _ in range(COUNT):
    os.waitpid(forked(starting), 0)
    times.append(float(os.read(read, 100)))
os.kill(old, signal.SIGKILL)
times.sort()
late = [each for each in times if each > SOON]
print(f'{COUNT} new nodes, until they know the topic, s:', *times)
print(f'{len(late)} after more than {SOON} s')
assert len(late) >= 2 and max(times) < LATE
EOF
