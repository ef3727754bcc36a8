# SPDX-License-Identifier: Apache-2.0
"""Output layouts of models of the YOLO family, and the boxes in them.

======================  ======================================  ================================
layout                  shape                                   of each candidate
======================  ======================================  ================================
``v5`` (v5, v7)         1, candidates, 5 + classes              middle, size, object, classes
``v8`` (v8, v9, v11)    1, 4 + classes, candidates              middle, size, classes
``end_to_end`` (v10)    1, candidates, 6                        corners, confidence, class
======================  ======================================  ================================
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

V5, V8, END_TO_END = 'v5', 'v8', 'end_to_end'
LAYOUTS = (V5, V8, END_TO_END)

# A v5 model has a grid for each of these strides, and this many candidates per cell; models for
# large images have one more grid.
_V5_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_V5_ANCHORS = 3


@attrs.frozen(eq=False)
class Candidates:
    """Boxes (N, 4), x1 y1 x2 y2, pixels of the model's input; confidences (N,); classes (N,)."""

    boxes: npt.NDArray[np.float64]
    confidences: npt.NDArray[np.float64]
    classes: npt.NDArray[np.intp]

    def select(self, chosen: npt.NDArray[np.intp]) -> Candidates:
        """Return the chosen candidates, in that order."""
        return Candidates(self.boxes[chosen], self.confidences[chosen], self.classes[chosen])


def layout_of(
    shape: Sequence[int], input_size: tuple[int, int], classes: int | None, asked: str = ''
) -> str:
    """Return the layout of an output of this shape. ValueError names the shapes that are allowed.

    Args:
        shape: The shape of the output.
        input_size: Width and height of the input, pixels.
        classes: The number of classes, if it is known.
        asked: The only layout to accept; empty: any.
    """
    fitting = _fitting(shape, classes)
    found = ''
    if asked:
        found = asked if asked in fitting else ''
    elif END_TO_END in fitting:
        # A v5 model with one class has this shape too; its number of candidates is known.
        is_v5 = V5 in fitting and shape[1] in _v5_candidates(input_size)
        found = V5 if is_v5 else END_TO_END
    elif V5 in fitting and shape[1] > shape[2]:
        found = V5
    elif V8 in fitting and shape[2] > shape[1]:
        found = V8
    if not found:
        count = 'classes' if classes is None else f'{classes} classes'
        layouts = {
            V5: f'v5: (1, candidates, 5 + {count})',
            V8: f'v8: (1, 4 + {count}, candidates)',
            END_TO_END: 'end_to_end: (1, candidates, 6)',
        }
        allowed = layouts[asked] if asked else ', '.join(layouts.values())
        raise ValueError(f'output: found shape {tuple(shape)}; allowed: {allowed}')
    return found


def _fitting(shape: Sequence[int], classes: int | None) -> list[str]:
    """Return the layouts that allow this shape, possibly several."""
    if len(shape) != 3 or shape[0] != 1:
        return []
    rows, columns = shape[1:]
    fits = {
        V5: columns >= 6 and classes in (None, columns - 5),
        V8: rows >= 5 and classes in (None, rows - 4),
        END_TO_END: columns == 6,
    }
    return [layout for layout, does in fits.items() if does]


def _v5_candidates(input_size: tuple[int, int]) -> list[int]:
    width, height = input_size
    return [
        _V5_ANCHORS * sum((width // stride) * (height // stride) for stride in strides)
        for strides in _V5_STRIDES
    ]


def candidates(output: npt.NDArray[np.float32], layout: str, confidence: float) -> Candidates:
    """Return the candidates in an output (A, B) with enough confidence and valid boxes.

    Args:
        output: The output without its batch dimension.
        layout: One of ``LAYOUTS``.
        confidence: The smallest confidence.
    """
    if layout == V8:
        output = output.T
    if layout == END_TO_END:
        confidences, classes = output[:, 4], output[:, 5]
    else:
        scores = output[:, 4:5] * output[:, 5:] if layout == V5 else output[:, 4:]
        confidences, classes = scores.max(axis=1), scores.argmax(axis=1)
    # A model in half precision may overflow, so not every value is finite.
    sure = (confidences >= confidence) & np.isfinite(classes)
    boxes = np.asarray(output[sure, :4], np.float64)
    if layout != END_TO_END:
        boxes = np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])
    found = Candidates(boxes, confidences[sure].astype(np.float64), classes[sure].astype(np.intp))
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return found.select(np.flatnonzero(good))
