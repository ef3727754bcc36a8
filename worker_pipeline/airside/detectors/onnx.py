# SPDX-License-Identifier: Apache-2.0
"""Detection by a model with onnxruntime: YOLO, YOLOX, RT-DETR, RF-DETR and their like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worker_pipeline.airside.detectors import onnx_model, onnx_session
from worker_pipeline.airside.detectors.candidates import Candidates
from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.detectors.letterbox import Letterbox
from worker_pipeline.airside.detectors.masks import mask_points
from worker_pipeline.airside.detectors.onnx_model import OnnxModel
from worker_pipeline.airside.detectors.oriented import bounds, outlines, suppress_oriented
from worker_pipeline.airside.detectors.output_layout import FREE_OF_DUPLICATES, OBB, SEGMENT, V5
from worker_pipeline.airside.detectors.suppression import suppress_overlaps
from worker_pipeline.airside.detectors.tiles import Tile, is_cut, merge, tiles_of
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import DETECTION
from worker_pipeline.parameter import Parameter

CENTRE, FOOT = 'centre', 'foot'

PARAMETERS: Mapping[str, Parameter] = {
    **onnx_session.PARAMETERS,
    **onnx_model.PARAMETERS,
    'onnx_first_label': Parameter(
        0, 'label of the first class; those of the others follow', minimum=0, maximum=1_000_000
    ),
    'onnx_overlap': Parameter(
        0.45, 'largest intersection over union of two boxes of one class', '', 0.0, 1.0
    ),
    'onnx_point': Parameter(
        CENTRE,
        'what is located: the centre of the box or mask, or its foot, the middle of its lower end',
        choices=(CENTRE, FOOT),
    ),
    'onnx_tile': Parameter(
        0,
        'side of the tiles that are searched beside the whole image; 0: no tiles',
        'pixel',
        0,
        100_000,
    ),
    'onnx_tile_overlap': Parameter(
        0.2, 'smallest share of a tile that it has in common with the next', '', 0.0, 0.9
    ),
}

# With more candidates than this the model is broken; only the most confident are kept.
_MAX_CANDIDATES = 30_000
_MAX_ORIENTED = 3000  # each is compared with each
# pixels: the widest cells of the models' grids; with smaller tiles there are thousands.
_MIN_TILE = 32
# The number of classes of a model that gives neither their names nor their number.
_MAX_CLASSES = 1000


class OnnxDetector(Detector):
    """A model on the image, and on tiles of it; labels are the classes.

    ValueError or FileNotFoundError if the model is missing, invalid or not known to be of one
    layout; ImportError if onnxruntime is not installed.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._model = OnnxModel(params)
        self._confidence = float(params['confidence'])
        self._overlap = float(params['onnx_overlap'])
        self._first_label = int(params['onnx_first_label'])
        self._point = str(params['onnx_point'])
        self._tile = int(params['onnx_tile'])
        if 0 < self._tile < _MIN_TILE:
            raise ValueError(
                f'onnx_tile: found {self._tile}; allowed: 0, or {_MIN_TILE} pixels and more'
            )
        self._tile_overlap = float(params['onnx_tile_overlap'])
        form, names = self._model.form, self._model.classes
        count = len(names) or form.classes or _MAX_CLASSES
        self.labels = range(self._first_label, self._first_label + count)
        self.label_names = dict(zip(self.labels, names, strict=False))
        self.status_values = {
            'onnx_model': Path(params['onnx_model']).name,
            'onnx_provider': self._model.providers[0],
            'onnx_layout': form.layout,
            'onnx_task': form.task,
            'onnx_input': '{}x{}'.format(*self._model.size),
            'onnx_classes': ', '.join(names) or 'without names',
        }

    def detect(self, pixels: Pixels) -> Records:
        """Return the model's detections in an image, one record each, the most confident first.

        ImplausibleOutputError if the output is not what its layout says.
        """
        image = (pixels.shape[1], pixels.shape[0])
        tiles = [Tile(0, 0, *image)]
        if self._tile and self._tile < max(image):
            tiles += tiles_of(image, self._tile, self._tile_overlap)
        letterboxes = [self._model.letterbox((tile.width, tile.height)) for tile in tiles]
        frames = [
            self._model.frame(
                letterbox,
                pixels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width],
            )
            for tile, letterbox in zip(tiles, letterboxes, strict=True)
        ]
        found = []
        cut = []
        for tile, letterbox, (all_of_it, prototypes) in zip(
            tiles, letterboxes, self._model.look(frames), strict=True
        ):
            sure = self._suppressed(all_of_it.sure(self._confidence))
            records = self._records(sure, letterbox, prototypes)
            for name in ('x1', 'x2', 'u'):
                records[name] += tile.left
            for name in ('y1', 'y2', 'v'):
                records[name] += tile.top
            found.append(records)
            cut.append(is_cut(_boxes(records), tile, image))
        every = np.concatenate(found)
        if len(tiles) == 1:
            return every
        kept = merge(_boxes(every), every['confidence'], every['label'], np.concatenate(cut))
        return every[kept[np.argsort(-every['confidence'][kept], kind='stable')]]

    def _suppressed(self, found: Candidates) -> Candidates:
        form = self._model.form
        most = _MAX_ORIENTED if form.task == OBB else _MAX_CANDIDATES
        if len(found.confidences) > most:
            found = found.select(np.argsort(-found.confidences, kind='stable')[:most])
        if form.layout in FREE_OF_DUPLICATES:
            return found
        boxes, confidences, classes = found.boxes, found.confidences, found.classes
        if form.task == OBB:
            angles = found.extras[:, 0]
            return found.select(
                suppress_oriented(boxes, angles, confidences, classes, self._overlap)
            )
        return found.select(suppress_overlaps(boxes, confidences, classes, self._overlap))

    def _records(self, found: Candidates, letterbox: Letterbox, prototypes: Any) -> Records:
        """Return detections in the letterboxed image from candidates in the input."""
        task = self._model.form.task
        boxes = letterbox.to_image(found.boxes)
        # A box within the grey border only is not in the image.
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        sizes = np.zeros_like(middles)
        angles = np.zeros(len(boxes))
        if task == OBB:
            angles = found.extras[:, 0]
            flat = letterbox.points_to_image(found.boxes.reshape(-1, 2, 2))
            sizes, middles = flat[:, 1] - flat[:, 0], flat.mean(axis=1)
            boxes = bounds(outlines(flat.reshape(-1, 4), angles))
            limits = np.array(letterbox.image) - 0.5
            inside = ((boxes[:, 2:] > -0.5) & (boxes[:, :2] < limits)).all(axis=1)
        points = middles
        if self._point == FOOT:
            points = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])
        if task == SEGMENT:
            masks = mask_points(prototypes, found.extras, found.boxes, letterbox.input)
            seen = np.asarray(np.isfinite(masks[:, 0]))
            ends = letterbox.points_to_image(masks.reshape(-1, 2, 2))
            points = np.where(seen[:, None], ends[:, int(self._point == FOOT)], points)
            # As the exporters do: YOLOv5 keeps a box without a mask, newer ones do not.
            inside &= seen | (self._model.form.layout == V5)
        records = np.zeros(int(inside.sum()), DETECTION)
        values = np.column_stack([boxes, points, angles, sizes])[inside]
        names = ('x1', 'y1', 'x2', 'y2', 'u', 'v', 'angle', 'size_x', 'size_y')
        for name, column in zip(names, values.T, strict=True):
            records[name] = column
        records['label'] = self._first_label + found.classes[inside].astype(np.int64)
        records['confidence'] = np.clip(found.confidences[inside], 0.0, 1.0)
        return records


def _boxes(records: Records) -> Any:
    return np.column_stack([records[name] for name in ('x1', 'y1', 'x2', 'y2')]).astype(np.float64)
