#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# imageio-ffmpeg invents frames where a video has a gap.
#
# Expected: read_frames() yields each frame of a file once, as many as count_frames_and_secs()
#   counts.
# Happens: it lets ffmpeg make a constant rate: the last frame before a gap is repeated through
#   it. A video of 15 frames with a gap of 0.44 s yields more, and its own function counts 15.
#   Frame n is not the n-th frame of the file, and no time tells.
# Matters to: who counts frames to find a time or to join with a log or a subtitle file (phones,
#   screen recorders and radio links write variable rates), and to who counts detections. OpenCV
#   and PyAV give the frames there are; here output_params=['-fps_mode', 'passthrough'] does.
# Source: imageio_ffmpeg/_io.py: the command has no -fps_mode; ffmpeg's documentation of
#   -fps_mode: 'auto' chooses by the format written to, which here is rawvideo.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install imageio-ffmpeg==0.8.1 opencv-python-headless==4.14.0.94 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import subprocess
from importlib.metadata import version

import cv2
import imageio_ffmpeg

print(*(f'{name} {version(name)}' for name in ('imageio-ffmpeg', 'opencv-python-headless')))
print('ffmpeg', imageio_ffmpeg.get_ffmpeg_version())
source = "testsrc=rate=25:duration=1:size=64x64,select='not(between(n,4,13))'"
ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-f', 'lavfi', '-i', source]
subprocess.run([*ffmpeg, '-fps_mode', 'vfr', 'gap.mkv'], check=True)


def read(**options):
    """Return the frames of the file."""
    frames = imageio_ffmpeg.read_frames('gap.mkv', **options)
    next(frames)
    return list(frames)


video, times = cv2.VideoCapture('gap.mkv'), []
while video.read()[0]:
    times.append(round(video.get(cv2.CAP_PROP_POS_MSEC)))
counted = imageio_ffmpeg.count_frames_and_secs('gap.mkv')[0]
frames, exact = read(), read(output_params=['-fps_mode', 'passthrough'])
repeated = sum(a == b for a, b in zip(frames, frames[1:]))
print(f'times in the file: {times} ms; counted by imageio-ffmpeg: {counted}')
print(f'read_frames: {len(frames)} frames, {repeated} equal to the one before')
print(f'read_frames with -fps_mode passthrough: {len(exact)} frames')
assert len(times) == counted == len(exact) == 15
assert len(frames) >= 20 and repeated >= 5
EOF
