#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pymavlink's wait_heartbeat() returns at a heartbeat that is not the vehicle's, and knows no
# target.
#
# Expected: as its description says, it waits for a heartbeat 'so we know the target system IDs';
#   after it, target_system is the vehicle, and commands go to it.
# Happens: any heartbeat will do. On a link with a ground station or a gimbal it may be theirs
#   that comes first: target_system is still 0 (which addresses all systems), and the next
#   command_long_send(link.target_system, ...) is a broadcast.
# Matters to: companion computers behind a router or a shared telemetry radio: it works on the
#   bench with one autopilot, and depends in the field on who speaks first. Wait until
#   target_system is not 0, or for a heartbeat whose autopilot is not MAV_AUTOPILOT_INVALID.
# Source: pymavlink/mavutil.py: wait_heartbeat is recv_match(type='HEARTBEAT'); post_message sets
#   target_system, and leaves out ground stations and what has no autopilot.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install pymavlink==2.4.50
cd "$folder"
venv/bin/python - <<'EOF'
import struct
from importlib.metadata import version

from pymavlink import mavutil
from pymavlink.dialects.v20 import common

print('pymavlink', version('pymavlink'))
heartbeats = [  # system, component, type, autopilot
    (255, 190, common.MAV_TYPE_GCS, common.MAV_AUTOPILOT_INVALID),
    (1, common.MAV_COMP_ID_GIMBAL, common.MAV_TYPE_GIMBAL, common.MAV_AUTOPILOT_INVALID),
    (1, 1, common.MAV_TYPE_QUADROTOR, common.MAV_AUTOPILOT_ARDUPILOTMEGA),
]
with open('link.tlog', 'wb') as file:  # as a link would bring them, one second apart
    for second, (system, component, kind, autopilot) in enumerate(heartbeats):
        message = common.MAVLink_heartbeat_message(kind, autopilot, 0, 0, 4, 3)
        packed = message.pack(common.MAVLink(None, system, component))
        file.write(struct.pack('>Q', (1_700_000_000 + second) * 1_000_000) + packed)

link, known = mavutil.mavlink_connection('link.tlog'), []
for _ in heartbeats:
    heartbeat = link.wait_heartbeat()
    known.append((heartbeat.get_srcSystem(), heartbeat.get_srcComponent(), link.target_system))
    print('wait_heartbeat(): from system {}, component {}; target_system is {}'.format(*known[-1]))
assert known == [(255, 190, 0), (1, 154, 0), (1, 1, 1)]
EOF
