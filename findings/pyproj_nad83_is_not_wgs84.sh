#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pyproj leaves NAD83 coordinates as they are on the way to WGS 84, though they differ by 1.4 m.
#
# Expected: transforming NAD83(2011), the datum of American correction services, to 'WGS 84' with
#   heights gives WGS 84 coordinates to centimetres, or says that it cannot.
# Happens: EPSG:4979 (as EPSG:4326) stands for all realisations of WGS 84 together, to 2 m; the
#   best operation of that accuracy changes nothing. To a named realisation, such as EPSG:9755
#   (WGS 84 (G2139)), the same point moves by 1.4 m and 0.85 m of height. Nothing is missing or
#   downloaded in either case; only Transformer.accuracy tells them apart.
# Matters to: who compares targets placed by RTK on an American network with PPP, or with a drone
#   that reports WGS 84 itself.
# Source: EPSG operation 'NAD83(2011) to WGS 84 (1)', accuracy 2 m; PROJ's documentation on datum
#   ensembles.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install pyproj==3.7.2
cd "$folder"
venv/bin/python - <<'EOF'
from pyproj import CRS, Geod, Transformer, __version__, network, proj_version_str

print('pyproj', __version__, 'PROJ', proj_version_str)
network.set_network_enabled(False)
place = (-105.0, 40.0, 1600.0)  # longitude, latitude, height above the ellipsoid
moved = {}
for target in ('EPSG:4979', 'EPSG:9755'):
    transformer = Transformer.from_crs('EPSG:6319', target, always_xy=True)
    longitude, latitude, height, _ = transformer.transform(*place, 2026.0)
    distance = Geod(ellps='GRS80').inv(*place[:2], longitude, latitude)[2]
    moved[target] = distance, height - place[2]
    print(f'NAD83(2011) to {target}, {CRS(target).name}: moved {distance:.3f} m,', end=' ')
    print(f'height by {height - place[2]:.3f} m; accuracy stated {transformer.accuracy} m')
assert moved['EPSG:4979'] == (0.0, 0.0)
assert 1.3 < moved['EPSG:9755'][0] < 1.6 and -1.0 < moved['EPSG:9755'][1] < -0.7
EOF
