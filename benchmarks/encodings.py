# SPDX-License-Identifier: Apache-2.0
"""Time to read an image of each encoding, beside OpenCV's bare call.

``python -m benchmarks.encodings`` prints a table in Markdown. The bare call gets the bytes as an
array of the right shape, which is all that cv_bridge adds to it. Both take turns, image by image.
"""

from __future__ import annotations

import argparse
import array
import statistics
import time
from collections.abc import Callable
from typing import Any

import attrs
import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from worker_pipeline.airside.messages.encodings import encoding_of
from worker_pipeline.airside.messages.image import from_message

WIDTH, HEIGHT = 1920, 1200
REPEATS = 40


@attrs.frozen
class Case:
    """An image, and what a user of OpenCV would write for it. ``bare``: None for a view."""

    name: str
    message: Any
    target: str
    bare: Callable[[], Any] | None


def smooth_frame() -> Any:
    """Return pixels (H, W, 3), BGR, that compress about as well as a photograph."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3)).astype(np.uint8)
    frame = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(frame + random.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)


def _image(name: str, data: Any, step: int) -> Any:
    message = Image(height=HEIGHT, width=WIDTH, encoding=name, step=step)
    message.data = array.array('B', data.tobytes())
    return message


def _packed(name: str, pixels: Any, target: str, bare: Callable[[Any], Any] | None) -> Case:
    message = _image(name, pixels, WIDTH * encoding_of(name).bytes_per_pixel)
    view = np.frombuffer(message.data, pixels.dtype).reshape(pixels.shape)
    return Case(name, message, target, (lambda: bare(view)) if bare else None)


def _planes(name: str, code: int, frame: Any) -> Case:
    rows = np.resize(frame[..., 0], (HEIGHT * 3 // 2, WIDTH))
    message = _image(name, rows, WIDTH)
    view = np.frombuffer(message.data, np.uint8).reshape(rows.shape)
    return Case(name, message, 'bgr8', lambda: cv2.cvtColor(view, code))


def _cases() -> list[Case]:
    frame = smooth_frame()
    grey = frame[..., 0].copy()
    alpha = np.dstack([frame, grey])
    two = np.ascontiguousarray(frame[..., :2])
    words = frame.astype(np.uint16) * 257
    twelve = grey.astype(np.uint16) << 4
    thermal = 7000 + 4 * grey.astype(np.uint16)
    floats = (280 + grey / 8).astype(np.float32)
    low, high = 7000.0, 7000.0 + 4 * 255

    def to(code: int) -> Callable[[Any], Any]:
        return lambda view: cv2.cvtColor(view, code)

    def shifted(code: int) -> Callable[[Any], Any]:
        return lambda view: cv2.cvtColor(cv2.convertScaleAbs(view, alpha=1 / 257), code)

    def stretched(view: Any) -> Any:
        levels = cv2.convertScaleAbs(view, alpha=255 / (high - low), beta=-255 * low / (high - low))
        return cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR)

    def normalised(view: Any) -> Any:
        levels = cv2.normalize(view, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        return cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR)

    cases = [
        _packed('bgr8', frame, 'bgr8', None),
        _packed('mono16', twelve, 'mono16', None),
        _packed('rgb8', frame, 'bgr8', to(cv2.COLOR_RGB2BGR)),
        _packed('bgra8', alpha, 'bgr8', to(cv2.COLOR_BGRA2BGR)),
        _packed('rgba8', alpha, 'bgr8', to(cv2.COLOR_RGBA2BGR)),
        _packed('argb8', alpha, 'bgr8', lambda view: view[..., :0:-1].copy()),
        _packed('mono8', grey, 'bgr8', to(cv2.COLOR_GRAY2BGR)),
        _packed('rgb16', words, 'bgr8', shifted(cv2.COLOR_RGB2BGR)),
        _packed(
            'mono16',
            twelve,
            'bgr8',
            lambda view: cv2.cvtColor(cv2.convertScaleAbs(view, alpha=1 / 16), cv2.COLOR_GRAY2BGR),
        ),
        attrs.evolve(_packed('mono16', thermal, 'bgr8', stretched), name='mono16, narrow range'),
        _packed('32FC1', floats, 'bgr8', normalised),
        _packed('yuv422', two, 'bgr8', to(cv2.COLOR_YUV2BGR_UYVY)),
        _packed('yuv422_yuy2', two, 'bgr8', to(cv2.COLOR_YUV2BGR_YUY2)),
        _planes('nv12', cv2.COLOR_YUV2BGR_NV12, frame),
        _planes('nv21', cv2.COLOR_YUV2BGR_NV21, frame),
        _planes('i420', cv2.COLOR_YUV2BGR_I420, frame),
        *(
            _packed(f'bayer_{order}8', grey, 'bgr8', to(getattr(cv2, f'COLOR_Bayer{code}2BGR')))
            for order, code in (('rggb', 'BG'), ('bggr', 'RG'), ('gbrg', 'GR'), ('grbg', 'GB'))
        ),
        _packed('bayer_rggb16', words[..., 0].copy(), 'bgr8', shifted(cv2.COLOR_BayerBG2BGR)),
    ]
    return [
        *cases,
        _compressed('rgb8; jpeg compressed bgr8', '.jpg', frame),
        _compressed('bgr8; png compressed bgr8', '.png', frame),
    ]


def _compressed(text: str, kind: str, pixels: Any) -> Case:
    data = cv2.imencode(kind, pixels)[1]
    message = CompressedImage(format=text, data=array.array('B', data.tobytes()))
    view = np.frombuffer(message.data, np.uint8)
    return Case(text, message, 'bgr8', lambda: cv2.imdecode(view, cv2.IMREAD_COLOR))


def _time(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def measure(case: Case, repeats: int) -> tuple[float, float | None]:
    """Return the median times of ours and of the bare call, ms; None if there is none."""
    ours, bare = [], []
    for _ in range(repeats + 2):
        ours.append(_time(lambda: from_message(case.message, case.target)))
        if case.bare is not None:
            bare.append(_time(case.bare))
    return (
        1e3 * statistics.median(ours[2:]),
        1e3 * statistics.median(bare[2:]) if bare else None,
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.encodings', description=__doc__)
    parser.add_argument('--repeats', type=int, default=REPEATS)
    parser.add_argument('--only', default='', help='a part of the names')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print('| encoding | to | time [ms] | OpenCV alone [ms] | ratio |')
    print('| --- | --- | ---: | ---: | ---: |')
    for case in _cases():
        if arguments.only in case.name:
            ours, bare = measure(case, arguments.repeats)
            beside = '(a view) | ' if bare is None else f'{bare:.2f} | {ours / bare:.2f}'
            print(f'| `{case.name}` | `{case.target}` | {ours:.2f} | {beside} |')


if __name__ == '__main__':
    main()
