#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pymavlink's times of an ArduPilot log from before 2017 are one or two seconds early.
#
# Expected: a dataflash log carries GPS week and milliseconds, so the time of a message is UTC,
#   whenever the log was written.
# Happens: 18 leap seconds are taken off, always. There were 16 until July 2015 and 17 until
#   January 2017: messages of 2014 come out two seconds early, of 2016 one. Newer logs are right
#   until the next leap second.
# Matters to: who joins archived flights with photographs, video or other logs in UTC: 2 s at
#   15 m/s are 30 m.
# Source: pymavlink/DFReader.py, _gpsTimeToTime (18 is written there), which the clocks call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install pymavlink==2.4.50
cd "$folder"
venv/bin/python - <<'EOF'
import struct
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from pymavlink import mavutil

print('pymavlink', version('pymavlink'))


def packet(kind, layout, *values):
    """Return a message of a dataflash log."""
    return b'\xa3\x95' + bytes([kind]) + struct.pack(layout, *values)


def form(kind, length, name, types, columns):
    """Return the message that describes a kind of messages."""
    return packet(128, '<BB4s16s64s', kind, length, name, types, columns)


def write_log(path, when, leap_seconds):
    """Write a log with two GPS messages, the first at a time in UTC."""
    gps = when - datetime(1980, 1, 6, tzinfo=timezone.utc) + timedelta(seconds=leap_seconds)
    week, rest = divmod(gps, timedelta(weeks=1))
    milliseconds = rest // timedelta(milliseconds=1)
    with open(path, 'wb') as file:
        file.write(form(128, 89, b'FMT', b'BBnNZ', b'Type,Length,Name,Format,Columns'))
        columns = b'TimeUS,Status,GMS,GWk,Lat,Lng'
        file.write(form(130, 26, b'GPS', b'QBIHLL', columns))
        for second in (0, 1):
            gms = milliseconds + 1000 * second
            time_us = (60 + second) * 1_000_000
            file.write(packet(130, '<QBIHii', time_us, 3, gms, week, 473_000_000, 85_000_000))


early = {}
for year, leap_seconds in ((2014, 16), (2016, 17), (2024, 18)):
    when = datetime(year, 6, 1, 12, tzinfo=timezone.utc)
    write_log('flight.bin', when, leap_seconds)
    message = mavutil.mavlink_connection('flight.bin').recv_match(type='GPS')
    early[year] = round(when.timestamp() - message._timestamp, 3)
    read = datetime.fromtimestamp(message._timestamp, timezone.utc)
    print(f'written at {when}, read as {read}: {early[year]} s early')
assert early == {2014: 2.0, 2016: 1.0, 2024: 0.0}
EOF
