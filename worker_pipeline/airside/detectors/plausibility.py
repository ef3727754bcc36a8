# SPDX-License-Identifier: Apache-2.0
"""Whether a model's candidates can be what their layout says.

An output read in the wrong layout has numbers that no detection has: keypoints or angles as
confidences, shares of the image as pixels.
"""

from __future__ import annotations

import numpy as np

from worker_pipeline.airside.detectors.candidates import Candidates

# Half and quantised models round; nothing rounds this far.
_BEYOND = 0.02
# A box may leave the input, but its middle lies within so many widths of it, and it is not larger
# than so many widths. Untrained models give boxes of several widths.
_FARTHEST = 4.0
_LARGEST = 12.0
# So many of the most confident boxes are looked at, whatever their confidence.
_LOOKED_AT = 100
# Boxes within so many pixels of the first corner, all of them, are shares of the image or offsets
# in cells: a few boxes, and as many as a model without suppression gives.
_FEW_WITHIN, _MANY_WITHIN = 2.0, 8.0


class ImplausibleOutputError(ValueError):
    """A model's output cannot be what its layout says."""


def check_plausible(found: Candidates, input_size: tuple[int, int], classes: int | None) -> None:
    """Raise ImplausibleOutputError if candidates are not of this layout.

    Args:
        found: All candidates, confident or not.
        input_size: Width and height of the input, pixels.
        classes: The number of classes, if it is known.
    """
    _check_numbers(found)
    confidences = found.confidences[np.isfinite(found.confidences)]
    if confidences.size and not -_BEYOND <= confidences.min() <= confidences.max() <= 1 + _BEYOND:
        worst = max(confidences.min(), confidences.max(), key=lambda value: abs(value - 0.5))
        raise ImplausibleOutputError(f'confidence: found {worst:.6g}; allowed: 0 to 1')
    likely = found
    if len(confidences) > _LOOKED_AT:
        ranked = np.nan_to_num(found.confidences, nan=-1.0)
        likely = found.select(np.argpartition(ranked, -_LOOKED_AT)[-_LOOKED_AT:])
    likely = likely.sure(np.finfo(float).tiny)
    if not len(likely.confidences):
        return
    _check_classes(likely, classes)
    _check_boxes(likely, input_size)


def _check_numbers(found: Candidates) -> None:
    """Raise ImplausibleOutputError if no candidate is finite: such a model sees nothing."""
    if not len(found.confidences):
        return
    for name, values in (('confidence', found.confidences), ('box', found.boxes)):
        if not np.isfinite(values).reshape(len(values), -1).all(axis=1).any():
            raise ImplausibleOutputError(
                f'{name}: found {values.flat[0]} as in all {len(values)} candidates;'
                ' allowed: numbers'
            )


def _check_classes(likely: Candidates, classes: int | None) -> None:
    numbers = likely.classes
    most = np.inf if classes is None else classes
    bad = (numbers != np.round(numbers)) | (numbers < 0) | (numbers >= most)
    if bad.any():
        allowed = 'whole numbers from 0' + ('' if classes is None else f' to {classes - 1}')
        raise ImplausibleOutputError(f'class: found {numbers[bad][0]:.6g}; allowed: {allowed}')


def _check_boxes(likely: Candidates, input_size: tuple[int, int]) -> None:
    size = np.array(input_size, np.float64)
    middles = (likely.boxes[:, :2] + likely.boxes[:, 2:]) / 2
    sides = likely.boxes[:, 2:] - likely.boxes[:, :2]
    away = np.abs(middles - size / 2) / size - 0.5
    bad = np.asarray((away > _FARTHEST).any(axis=1) | (sides > _LARGEST * size).any(axis=1))
    described = f'{input_size[0]}x{input_size[1]}'
    # Single wild ones come from half precision and from training.
    if bad.sum() > len(bad) / 2:
        box = ', '.join(f'{value:.4g}' for value in likely.boxes[bad][0])
        raise ImplausibleOutputError(
            f'box: found x1 y1 x2 y2 {box}, far outside of the input; allowed: about {described}'
        )
    farthest = np.abs(likely.boxes).max()
    if len(sides) > 1 and farthest <= (_FEW_WITHIN if len(sides) < _LOOKED_AT else _MANY_WITHIN):
        raise ImplausibleOutputError(
            f'box: found no coordinate above {farthest:.3g}, so they are shares of the image or of'
            f' cells; allowed: pixels of an input of {described}'
        )
