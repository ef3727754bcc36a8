#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pynmea2 places a receiver without a fix at 0 degrees north, 0 degrees east.
#
# Expected: a GGA or RMC sentence without a fix has empty coordinates, so latitude and longitude
#   are None, as the altitude of the same object is.
# Happens: both are the float 0.0, a valid place in the Gulf of Guinea. Code that asks 'is not
#   None' or math.isfinite() publishes it as a position.
# Matters to: who feeds NavSatFix, a home position or a log from a serial receiver. Ask gps_qual
#   (GGA) or status (RMC), or the raw fields lat and lon, which are empty strings.
# Source: pynmea2/nmea_utils.py, class LatLonFix: where the hemisphere is neither of two letters,
#   0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install pynmea2==1.19.0
cd "$folder"
venv/bin/python - <<'EOF'
from importlib.metadata import version

import pynmea2

print('pynmea2', version('pynmea2'))
gga = pynmea2.parse('$GPGGA,123519,,,,,0,00,,,M,,M,,*6B', check=True)
rmc = pynmea2.parse('$GPRMC,,V,,,,,,,,,,N*53', check=True)
print(f'GGA: quality {gga.gps_qual}: {gga.latitude} {gga.longitude}, altitude {gga.altitude}')
print(f'RMC: status {rmc.status}: {rmc.latitude} {rmc.longitude}')
assert gga.gps_qual == 0 and rmc.status == 'V'
assert (gga.latitude, gga.longitude, gga.altitude) == (0.0, 0.0, None)
assert (rmc.latitude, rmc.longitude) == (0.0, 0.0)
EOF
