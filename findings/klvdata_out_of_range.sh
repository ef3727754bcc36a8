#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# klvdata gives up a whole packet of a drone video's metadata when one angle is marked out of
# range.
#
# Expected: MISB ST 0601 reserves the lowest integer of a field as 'out of range' (pitch beyond
#   the 20 degrees that its tag can hold). A reader returns no value for it, and the time, the
#   place and the rest of the packet.
# Happens: ValueError without a text, from the parser's iterator, and nothing of the packet. A
#   'for' loop over the stream ends there; who catches it and calls next() gets the packet that
#   follows.
# Matters to: who reads poses from STANAG 4609 video: the packet is lost in the steepest
#   manoeuvres, where angles are out of range, and a whole recording after the first of them.
# Source: klvdata/common.py, linear_map, from bytes_to_float; MISB ST 0601, tags 6 and 7 (short pitch and roll).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install klvdata==0.0.3
cd "$folder"
venv/bin/python - <<'EOF'
import struct
from importlib.metadata import version

import klvdata

print('klvdata', version('klvdata'))


def packet(pitch):
    """Return a packet of time, pitch (as an integer of 16 bits) and latitude, with its checksum."""
    items = {2: struct.pack('>Q', 1_700_000_000_000_000), 6: struct.pack('>h', pitch)}
    items[13] = struct.pack('>i', 2**30)
    value = b''.join(bytes([tag, len(each)]) + each for tag, each in items.items()) + b'\x01\x02'
    data = bytes.fromhex('060E2B34020B01010E01030101000000') + bytes([len(value) + 2]) + value
    checksum = sum(each << 8 * (1 - place % 2) for place, each in enumerate(data)) & 0xFFFF
    return data + struct.pack('>H', checksum)


OUT_OF_RANGE = -(2**15)
stream = klvdata.StreamParser(packet(100) + packet(OUT_OF_RANGE) + packet(-100))
seen = []
for name in ('pitch of 100', 'pitch out of range', 'pitch of -100'):
    try:
        items = next(stream).items
        seen.append([round(items[bytes([tag])].value.value, 3) for tag in (6, 13)])
    except ValueError as error:
        seen.append(repr(error))
    print(f'{name}: {seen[-1]}')
assert seen == [[0.061, 45.0], 'ValueError()', [-0.061, 45.0]]
EOF
