# SPDX-License-Identifier: Apache-2.0
"""Which layout a model's outputs have: by its metadata, else by what their shapes make certain.

==================  ================================  =============================================
layout              shape                             of each candidate
==================  ================================  =============================================
``v5``              1, candidates, 5 + classes        middle, size, object, classes
``v8``              1, 4 + classes, candidates        middle, size, classes
``end_to_end``      1, candidates, 6                  corners, confidence, class
``rtdetr``          1, candidates, 6                  middle, size (shares), confidence, class
``rtdetr_scores``   1, candidates, 4 + classes        middle, size (shares), classes
``yolox``           1, cells, 5 + classes             offsets in the cell, logarithms of the size,
                                                      object, classes
``yolox_decoded``   1, cells, 5 + classes             middle, size, object, classes
``rfdetr``          1, queries, 4; 1, queries,        middle, size (shares); logits, sigmoid
                    classes (+ 1)
``detr_sigmoid``    the same                          the same
``detr_softmax``    1, queries, 4; 1, queries,        middle, size (shares); logits, softmax, the
                    classes + 1                       last for no object
==================  ================================  =============================================

The tasks ``segment``, ``pose`` and ``obb`` add columns: coefficients of mask prototypes (a second
output of 4 dimensions), keypoints, or an angle. With ``obb`` a box is always middle and size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from worker_pipeline.airside.detectors.model_metadata import ModelMetadata

V5, V8, END_TO_END = 'v5', 'v8', 'end_to_end'
RTDETR, RTDETR_SCORES = 'rtdetr', 'rtdetr_scores'
YOLOX, YOLOX_DECODED = 'yolox', 'yolox_decoded'
RFDETR, DETR_SIGMOID, DETR_SOFTMAX = 'rfdetr', 'detr_sigmoid', 'detr_softmax'
DETR_LIKE = (RFDETR, DETR_SIGMOID, DETR_SOFTMAX)
LAYOUTS = (V5, V8, END_TO_END, RTDETR, RTDETR_SCORES, YOLOX, YOLOX_DECODED, *DETR_LIKE)

DETECT, SEGMENT, POSE, OBB = 'detect', 'segment', 'pose', 'obb'
TASKS = (DETECT, SEGMENT, POSE, OBB)

# Layouts without duplicates: their models need no suppression.
FREE_OF_DUPLICATES = (END_TO_END, RTDETR, RTDETR_SCORES, *DETR_LIKE)

# Grids of the models: one per stride, with one candidate per cell or, for anchors, three.
GRIDS = ((8, 16, 32), (8, 16, 32, 64))
_ANCHORS = 3
# Models without duplicates give a few hundred candidates.
_MOST_END_TO_END = 1000
_MOST_KEYPOINTS = 500  # numbers per candidate


@attrs.frozen
class Output:
    """The name and the shape of one output."""

    name: str
    shape: tuple[int, ...]


@attrs.frozen
class Form:
    """A layout with its task; ``classes``: their number, None if the output does not fix it.

    ``table``: the index of the output with the candidates; ``second``: of the prototypes or logits.
    """

    layout: str
    task: str
    classes: int | None
    table: int = 0
    second: int | None = None

    def __str__(self) -> str:
        plural = '' if self.classes == 1 else 'es'
        of = '' if self.classes is None else f' of {self.classes} class{plural}'
        return f'{self.layout} ({self.task}{of})'


@attrs.frozen
class Known:
    """What is known beside the shapes. ``classes``: their number; ``layout``, ``task``: asked."""

    input_size: tuple[int, int]
    metadata: ModelMetadata = attrs.field(factory=ModelMetadata)
    classes: int | None = None
    layout: str = ''
    task: str = ''


def form_of(outputs: Sequence[Output], known: Known) -> Form:
    """Return the only form that the outputs can have.

    ValueError if none fits or several do; it names what was found and what to set.
    """
    found = ', '.join(f'{each.name} {each.shape}' for each in outputs)
    said = known.metadata.task
    if said and said not in TASKS:
        head = f' ({known.metadata.head})' if known.metadata.head else ''
        raise ValueError(f'task: found {said!r}{head}; allowed: {", ".join(TASKS)}')
    if said and known.task and said != known.task:
        raise ValueError(f'onnx_task: found {known.task!r}; allowed: {said!r}, as in the metadata')
    every = list(_forms(outputs, known))
    fitting = [form for form in every if known.layout in ('', form.layout)]
    if len(fitting) > 1 and known.layout and not (said or known.task):
        fitting = [form for form in fitting if form.task == DETECT] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(
            f'output: found {found}, which may be {", ".join(map(str, fitting))}, and the file does'
            f' not say; set onnx_layout ({", ".join(sorted({each.layout for each in fitting}))}),'
            ' onnx_task or onnx_classes'
        )
    wanted = f'{known.layout or "a layout"} ({known.task or said or "any task"}'
    wanted += ')' if known.classes is None else f', {known.classes} classes)'
    by_metadata = f', which by its metadata is {_said(known.metadata)}' if said else ''
    instead = f'; it fits {", ".join(map(str, every))}' if every else ''
    raise ValueError(
        f'output: found {found}{by_metadata}; allowed: {wanted}, one of {", ".join(LAYOUTS)}'
        f' as documented{instead}'
    )


def _said(metadata: ModelMetadata) -> str:
    parts = [metadata.task, metadata.head]
    parts += ['RT-DETR'] if metadata.is_rtdetr and not metadata.head else []
    parts += ['end to end'] if metadata.end_to_end else []
    parts += [f'{len(metadata.names)} classes'] if metadata.names else []
    return ', '.join(part for part in parts if part)


def _forms(outputs: Sequence[Output], known: Known) -> Iterator[Form]:
    tables = [place for place, each in enumerate(outputs) if len(each.shape) == 3]
    maps = [place for place, each in enumerate(outputs) if len(each.shape) == 4]
    if len(tables) == 2 and len(outputs) in (2, 3):
        yield from _detr_forms(outputs, tables, known)
    if len(tables) != 1 or len(maps) != len(outputs) - 1 or len(maps) > 1:
        return
    prototypes = outputs[maps[0]].shape[1] if maps else None
    for task in _tasks(known, has_prototypes=bool(maps)):
        for layout, classes in _single_table(outputs[tables[0]].shape, task, prototypes, known):
            yield Form(layout, task, classes, tables[0], maps[0] if maps else None)


def _tasks(known: Known, *, has_prototypes: bool) -> list[str]:
    asked = known.metadata.task or known.task
    possible = [SEGMENT] if has_prototypes else [DETECT, OBB, POSE]
    return [task for task in possible if asked in ('', task)]


def _detr_forms(outputs: Sequence[Output], tables: Sequence[int], known: Known) -> Iterator[Form]:
    names = {outputs[place].name: place for place in tables}
    layouts: tuple[str, ...]
    if {'dets', 'labels'} <= set(names):
        boxes, logits = names['dets'], names['labels']
        layouts = (RFDETR,)
    elif {'pred_boxes', 'logits'} <= set(names):
        boxes, logits = names['pred_boxes'], names['logits']
        layouts = (DETR_SIGMOID, DETR_SOFTMAX)
    else:
        fours = [place for place in tables if outputs[place].shape[2] == 4]
        if not known.layout or len(fours) != 1:
            return
        boxes = fours[0]
        logits = next(place for place in tables if place != boxes)
        layouts = DETR_LIKE
    columns = outputs[logits].shape[2]
    fits = known.classes in (None, columns, columns - 1)
    if outputs[boxes].shape[1:] != (outputs[logits].shape[1], 4) or not fits:
        return
    if known.task not in ('', DETECT):
        return
    for layout in layouts:
        # The last column of a softmax is for no object.
        count = columns - 1 if layout == DETR_SOFTMAX else columns
        yield Form(layout, DETECT, known.classes or count, boxes, logits)


def _single_table(
    shape: tuple[int, ...], task: str, prototypes: int | None, known: Known
) -> Iterator[tuple[str, int | None]]:
    """Yield the layouts, with the number of classes, that one table can have."""
    rows, columns = shape[1:]
    for layout in _layouts(known, task):
        if layout == V8:
            width, fixed = rows, 4
        elif layout in (V5, YOLOX, YOLOX_DECODED):
            width, fixed = columns, 5
        else:
            width, fixed = columns, 4 if layout == RTDETR_SCORES else 6
        if layout in (END_TO_END, RTDETR):
            classes: int | None = known.classes
            extra = width - fixed
        elif known.classes is not None:
            classes = known.classes
            extra = width - fixed - known.classes
        else:
            extra = {DETECT: 0, OBB: 1, SEGMENT: prototypes, POSE: known.metadata.keypoints}[
                task
            ] or (2 if task == POSE else 0)
            classes = width - fixed - extra
        if (
            (classes is None or classes >= 1)
            and _is_extra(extra, task, prototypes, known)
            and _has_rows(layout, rows, columns, known)
        ):
            yield layout, classes


def _layouts(known: Known, task: str) -> tuple[str, ...]:
    """Return the layouts of a task that the metadata leaves open."""
    metadata = known.metadata
    if task in (OBB, POSE):
        open_ones: tuple[str, ...] = (V8, END_TO_END)
    elif task == SEGMENT:
        open_ones = (V5, V8, END_TO_END)
    else:
        open_ones = (V5, V8, END_TO_END, RTDETR, RTDETR_SCORES, YOLOX, YOLOX_DECODED)
    if metadata.is_rtdetr:
        # With two classes both have six columns. Files with the entry `head` are of a version that
        # selects the candidates in the model.
        said: tuple[str, ...] = (RTDETR,) if metadata.head else (RTDETR_SCORES,)
        if known.classes != 2:
            said = (RTDETR, RTDETR_SCORES)
    elif metadata.task and metadata.end_to_end is not None:
        said = (END_TO_END,) if metadata.end_to_end else (V8,)
    elif metadata.task:
        said = (V8, END_TO_END)
    elif metadata.names and metadata.stride:
        said = (V5,)  # the YOLOv5 package
    else:
        said = LAYOUTS
    return tuple(layout for layout in open_ones if layout in said)


def _is_extra(extra: int, task: str, prototypes: int | None, known: Known) -> bool:
    """Return whether a task has so many further columns."""
    if task == POSE:
        if known.metadata.keypoints is not None:
            return extra == known.metadata.keypoints
        return 2 <= extra <= _MOST_KEYPOINTS and (extra % 2 == 0 or extra % 3 == 0)
    return extra == {DETECT: 0, OBB: 1, SEGMENT: prototypes}[task]


def _has_rows(layout: str, rows: int, columns: int, known: Known) -> bool:
    """Return whether a model of a layout has so many candidates."""
    asked = layout == known.layout
    per_cell = [cells(known.input_size, strides) for strides in GRIDS]
    if layout in (YOLOX, YOLOX_DECODED):
        return rows in per_cell
    if layout == V5:
        from_anchors = rows in [_ANCHORS * count for count in per_cell]
        return from_anchors or known.classes is not None or asked
    if layout == V8:
        # Without metadata the longer side is that of the candidates.
        return asked or known.metadata.task != '' or columns > rows
    if layout == RTDETR_SCORES:
        sure = known.classes is not None or asked
        return sure and rows <= _MOST_END_TO_END
    return bool(known.metadata.task) or asked or rows <= _MOST_END_TO_END


def cells(input_size: tuple[int, int], strides: Sequence[int]) -> int:
    """Return the number of cells of the grids of an input (width, height)."""
    width, height = input_size
    return sum((width // stride) * (height // stride) for stride in strides)
