# SPDX-License-Identifier: Apache-2.0
"""Candidates in a model's outputs: boxes in pixels of its input, confidences and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.detectors.output_layout import (
    DETR_LIKE,
    DETR_SOFTMAX,
    END_TO_END,
    GRIDS,
    OBB,
    RTDETR,
    RTDETR_SCORES,
    V5,
    V8,
    YOLOX,
    YOLOX_DECODED,
    Form,
    cells,
)

Floats = npt.NDArray[np.float64]


@attrs.frozen(eq=False)
class Candidates:
    """Boxes (N, 4), x1 y1 x2 y2, pixels of the model's input; confidences (N,); classes (N,).

    ``extras`` (N, E): what the task adds. With ``obb`` it is the angle (rad) by which the box is
    turned about its middle, from x towards y.
    """

    boxes: Floats
    confidences: Floats
    classes: Floats
    extras: Floats

    def select(self, chosen: npt.NDArray[Any]) -> Candidates:
        """Return the chosen candidates, in that order."""
        return Candidates(
            self.boxes[chosen], self.confidences[chosen], self.classes[chosen], self.extras[chosen]
        )

    def sure(self, confidence: float) -> Candidates:
        """Return those of at least a confidence that have a valid box and a class.

        A model in half precision may overflow, so not every value is finite.
        """
        good = (self.confidences >= confidence) & np.isfinite(self.confidences)
        good &= np.isfinite(self.classes)
        good &= np.isfinite(self.boxes).all(axis=1) & np.isfinite(self.extras).all(axis=1)
        good &= (self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1)
        return self.select(np.flatnonzero(good))


def candidates(outputs: Sequence[Any], form: Form, input_size: tuple[int, int]) -> Candidates:
    """Return all candidates in the outputs for one image, without their batch dimension.

    Args:
        outputs: The arrays, in the model's order.
        form: Their layout and task.
        input_size: Width and height of the input, pixels.
    """
    # Most of a table is scores, which stay in single precision.
    table: npt.NDArray[Any] = np.asarray(outputs[form.table], np.float32)
    layout = form.layout
    if layout in DETR_LIKE:
        assert form.second is not None
        logits = np.asarray(outputs[form.second], np.float64)
        return _of_queries(table.astype(np.float64), logits, form, input_size)
    if layout == V8:
        table = table.T
    if layout == YOLOX:
        table = _from_grids(table.astype(np.float64), input_size)
    if layout in (END_TO_END, RTDETR):
        boxes, confidences, classes = table[:, :4], table[:, 4], table[:, 5]
        extras = table[:, 6:]
    else:
        first = 5 if layout in (V5, YOLOX, YOLOX_DECODED) else 4
        last = table.shape[1] if form.classes is None else first + form.classes
        scores = table[:, first:last]
        if first == 5:
            scores = scores * table[:, 4:5]
        boxes, extras = table[:, :4], table[:, last:]
        classes = scores.argmax(axis=1)
        confidences = scores[np.arange(len(scores)), classes]
    boxes = boxes.astype(np.float64)
    if layout != END_TO_END or form.task == OBB:
        boxes = _corners(boxes)
    if layout in (RTDETR, RTDETR_SCORES):
        boxes = boxes * np.tile(input_size, 2)
    rest = (each.astype(np.float64) for each in (confidences, classes, extras))
    return Candidates(boxes, *rest)


def _corners(boxes: Floats) -> Floats:
    """Return x1 y1 x2 y2 from middle and size."""
    return np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])


def _from_grids(table: Floats, input_size: tuple[int, int]) -> Floats:
    """Return a table with middle and size, in pixels, from offsets in cells and logarithms."""
    width, height = input_size
    strides = next(each for each in GRIDS if cells(input_size, each) == len(table))
    columns, rows, sides = [], [], []
    for stride in strides:
        row, column = np.mgrid[: height // stride, : width // stride]
        columns.append(column.ravel())
        rows.append(row.ravel())
        sides.append(np.full(row.size, stride))
    cell, side = np.column_stack([np.hstack(columns), np.hstack(rows)]), np.hstack(sides)[:, None]
    with np.errstate(over='ignore', invalid='ignore'):
        return np.hstack([(table[:, :2] + cell) * side, np.exp(table[:, 2:4]) * side, table[:, 4:]])


def _of_queries(
    boxes: Floats, logits: Floats, form: Form, input_size: tuple[int, int]
) -> Candidates:
    """Return the most confident pairs of query and class, as many as there are queries.

    With a sigmoid a query may be of several classes; with a softmax it is of one.
    """
    with np.errstate(over='ignore'):
        if form.layout == DETR_SOFTMAX:
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores = (shares / shares.sum(axis=1, keepdims=True))[:, :-1]
        else:
            scores = 1.0 / (1.0 + np.exp(-logits))
    scores = scores[:, : form.classes]
    if form.layout == DETR_SOFTMAX:
        query, label = np.arange(len(scores)), scores.argmax(axis=1)
    else:
        best = np.argsort(-scores, axis=None, kind='stable')[: len(scores)]
        query, label = np.divmod(best, scores.shape[1])
    corners = _corners(boxes) * np.tile(input_size, 2)
    nothing = np.empty((len(query), 0))
    return Candidates(corners[query], scores[query, label], label.astype(np.float64), nothing)
