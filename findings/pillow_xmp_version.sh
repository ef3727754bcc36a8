#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Pillow's getxmp() loses a property of a drone's photograph when another has the same short name.
#
# Expected: XMP properties have namespaces, so drone-dji:Version and crs:Version of one photograph
#   both arrive, or one of them is told to be in the way.
# Happens: namespaces are taken off the names, and the later property replaces the earlier one:
#   'Version' is '7.0', that of Adobe's raw settings, which DJI's cameras write too. The version
#   of DJI's own data is gone, without a word. strip_namespaces=False (new in 13.0.0) keeps both.
# Matters to: who reads poses from photographs; programs tell by DJI's version whether
#   AbsoluteAltitude is above the ellipsoid or above sea level.
# Source: PIL/Image.py, getxmp(); its documentation names the stripping, not that values are lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install pillow==13.0.0 defusedxml==0.7.1
cd "$folder"
venv/bin/python - <<'EOF'
import io

from PIL import Image, __version__

print('Pillow', __version__)
xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="DJI Meta Data"
  xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
  xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
  drone-dji:Version="1.4" drone-dji:AbsoluteAltitude="+510.20" crs:Version="7.0"/>
</rdf:RDF></x:xmpmeta>"""
file = io.BytesIO()
Image.new('RGB', (8, 8)).save(file, 'jpeg', xmp=xmp)
image = Image.open(file)
stripped = image.getxmp()['xmpmeta']['RDF']['Description']
print('getxmp():', stripped)
full = str(image.getxmp(strip_namespaces=False))
print('with strip_namespaces=False:', full)
assert stripped['Version'] == '7.0' and '1.4' not in str(stripped)
assert "drone-dji/1.0/}Version': '1.4'" in full and "raw-settings/1.0/}Version': '7.0'" in full
EOF
