# SPDX-License-Identifier: Apache-2.0
"""Detection by a model of the YOLO family with onnxruntime.

onnxruntime is optional: it is imported only if this detector is used.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.detectors.letterbox import Letterbox
from worker_pipeline.airside.detectors.suppression import suppress_overlaps
from worker_pipeline.airside.detectors.yolo_output import (
    END_TO_END,
    LAYOUTS,
    V5,
    V8,
    Candidates,
    candidates,
    layout_of,
)
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import DETECTION
from worker_pipeline.parameter import Parameter
from worker_pipeline.system.threads import thread_limit

PARAMETERS: Mapping[str, Parameter] = {
    'onnx_model': Parameter('', "the model's file (.onnx)"),
    'onnx_layout': Parameter(
        'auto', "layout of the model's output; auto: by its shape", choices=('auto', *LAYOUTS)
    ),
    'onnx_classes': Parameter(
        [''], 'names of the classes, in order; one empty name: those in the model, if any'
    ),
    'onnx_first_label': Parameter(
        0, 'label of the first class; those of the others follow', minimum=0, maximum=1_000_000
    ),
    'onnx_overlap': Parameter(
        0.45, 'largest intersection over union of two boxes of one class', '', 0.0, 1.0
    ),
    'onnx_input_size': Parameter(
        [640, 640], "width and height of the model's input, if they are dynamic", 'pixel', 16
    ),
    'onnx_providers': Parameter(
        ['CUDAExecutionProvider', 'CPUExecutionProvider'],
        "onnxruntime's execution providers, best first; unavailable ones are ignored",
    ),
    'onnx_threads': Parameter(
        0, "number of CPU threads; 0: as the stage's threads", minimum=0, maximum=256
    ),
}

_TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(uint8)': np.uint8}
# With more candidates than this the model is broken; only the most confident are kept.
_MAX_CANDIDATES = 1000
# The number of classes of a model that gives neither their names nor their number.
_MAX_CLASSES = 1000
_FATAL_ONLY = 4  # log level of onnxruntime; its errors are also raised


class OnnxDetector(Detector):
    """Letterbox, model, decoding, non-maximum suppression by class; labels are the classes.

    ValueError or FileNotFoundError if the model is missing, invalid or has an unknown output
    layout; ImportError if onnxruntime is not installed.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._session = _session(params)
        self._input = self._only_input()
        self._type = _TYPES[self._input.type]
        self._size = self._input_size(params)
        self._confidence = float(params['confidence'])
        self._overlap = float(params['onnx_overlap'])
        self._first_label = int(params['onnx_first_label'])
        classes = self._classes(params)
        asked = params['onnx_layout'].replace('auto', '')
        blank = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        # Also warms the model up before the first image.
        shape = self._run(blank).shape
        try:
            self._layout = layout_of(shape, self._size, len(classes) or None, asked)
        except ValueError as error:
            raise ValueError(f'onnx_model: {params["onnx_model"]}: {error}') from None
        counts = {V5: shape[2] - 5, V8: shape[1] - 4, END_TO_END: _MAX_CLASSES}
        count = len(classes) or counts[self._layout]
        self.labels = range(self._first_label, self._first_label + count)
        self.label_names = dict(zip(self.labels, classes, strict=False))
        self.status_values = {
            'onnx_model': Path(params['onnx_model']).name,
            'onnx_provider': self._session.get_providers()[0],
            'onnx_layout': self._layout,
            'onnx_input': '{}x{}'.format(*self._size),
            'onnx_classes': ', '.join(classes) or 'without names',
        }

    def detect(self, pixels: Pixels) -> Records:
        """Return the model's detections in an image, one record each, the most confident first."""
        height, width = pixels.shape[:2]
        letterbox = Letterbox((width, height), self._size)
        output = self._run(letterbox.put(pixels))[0]
        found = self._suppressed(candidates(output, self._layout, self._confidence))
        boxes = letterbox.to_image(found.boxes)
        # A box within the grey border only is not in the image.
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        detections = np.zeros(int(inside.sum()), DETECTION)
        for name, values in zip(('x1', 'y1', 'x2', 'y2'), boxes[inside].T, strict=True):
            detections[name] = values
        detections['u'] = (detections['x1'] + detections['x2']) / 2
        detections['v'] = (detections['y1'] + detections['y2']) / 2
        detections['label'] = self._first_label + found.classes[inside]
        detections['confidence'] = found.confidences[inside]
        return detections

    def _run(self, framed: Pixels) -> Any:
        """Return the model's only output with 3 dimensions, for an input (H, W, 3), BGR."""
        if self._type == np.uint8:
            tensor = np.ascontiguousarray(framed[:, :, ::-1].transpose(2, 0, 1))[None]
        else:
            blob = cv2.dnn.blobFromImage(framed, 1 / 255, swapRB=True)
            tensor = np.asarray(blob, self._type)
        outputs = self._session.run(None, {self._input.name: tensor})
        tables = [each for each in outputs if np.ndim(each) == 3]
        if len(tables) != 1:
            shapes = [np.shape(each) for each in outputs]
            raise ValueError(f'onnx_model: found outputs {shapes}; allowed: one of 3 dimensions')
        return tables[0]

    def _suppressed(self, found: Candidates) -> Candidates:
        if len(found.confidences) > _MAX_CANDIDATES:
            found = found.select(np.argsort(-found.confidences, kind='stable')[:_MAX_CANDIDATES])
        if self._layout == END_TO_END:
            return found  # the model has already done so
        return found.select(
            suppress_overlaps(found.boxes, found.confidences, found.classes, self._overlap)
        )

    def _only_input(self) -> Any:
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        if len(shape) != 4 or not (_allows(shape[0], 1) and _allows(shape[1], 3)):
            found = ', '.join(f'{each.name} {each.shape}' for each in inputs)
            raise ValueError(f'onnx_model: found inputs {found}; allowed: one, [1, 3, H, W]')
        if inputs[0].type not in _TYPES:
            allowed = ', '.join(_TYPES)
            raise ValueError(f'onnx_model: found input {inputs[0].type}; allowed: {allowed}')
        return inputs[0]

    def _input_size(self, params: Mapping[str, Any]) -> tuple[int, int]:
        """Return width and height of the model's input."""
        asked = list(params['onnx_input_size'])
        if len(asked) != 2:
            raise ValueError(f'onnx_input_size: found {asked}; allowed: two, width and height')
        rows, columns = self._input.shape[2:]
        width = columns if isinstance(columns, int) else asked[0]
        height = rows if isinstance(rows, int) else asked[1]
        return width, height

    def _classes(self, params: Mapping[str, Any]) -> list[str]:
        """Return the names of the classes: those configured, else the model's; empty if unknown.

        Models of the YOLO family have them in their metadata, as a Python or JSON literal.
        """
        asked = [name for name in params['onnx_classes'] if name]
        written = self._session.get_modelmeta().custom_metadata_map.get('names', '')
        if asked or not written:
            return asked
        try:
            names = ast.literal_eval(written)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return []
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=int)]
        return [str(name) for name in names] if isinstance(names, list) else []


def _allows(dimension: Any, size: int) -> bool:
    """Return whether a dimension has this size, or is dynamic (a name or None)."""
    return dimension == size or not isinstance(dimension, int)


def _session(params: Mapping[str, Any]) -> Any:
    """Return the model, loaded with the best of the configured providers that work."""
    path = Path(params['onnx_model']).expanduser()
    if not path.is_file():
        found = str(params['onnx_model'])
        raise FileNotFoundError(
            f'onnx_model: found {found!r}, which is not a file; allowed: a model file'
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"detector: found 'onnx', which needs onnxruntime ({error}); pip install "
            'onnxruntime (the extra worker_pipeline[onnx]), or choose another detector'
        ) from error
    asked = list(params['onnx_providers'])
    there = onnxruntime.get_available_providers()
    providers = [name for name in asked if name in there]
    if not providers:
        raise ValueError(f'onnx_providers: found {asked}; allowed here: some of {there}')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = params['onnx_threads'] or thread_limit()
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # A thread that spins while it waits takes the processor from the other workers.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise ValueError(
            f'onnx_model: found {str(path)!r}, which onnxruntime cannot load: {error}'
        ) from error
    _check_provider(session.get_providers(), providers)
    return session


def _check_provider(used: Sequence[str], asked: Sequence[str]) -> None:
    """Raise ValueError if no configured provider works: onnxruntime falls back to the CPU."""
    if used[0] not in asked:
        raise ValueError(f'onnx_providers: found {list(asked)}, and only {list(used)} work')
