# SPDX-License-Identifier: Apache-2.0
"""What a model's file says of itself.

Ultralytics' exporter writes ``task``, ``imgsz``, ``names``, ``stride`` and, in newer versions,
``head``, ``end2end`` and ``args``, each as a Python literal; the YOLOv5 package writes ``names``
and ``stride``. Other exporters write nothing.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class ModelMetadata:
    """A model's own description; empty or None where the file does not have it.

    ``size``: width and height of the input, pixels. ``end_to_end``: whether the output is already
    free of duplicates. ``keypoints``: numbers per candidate. ``batch``: the most images in one run.
    ``is_elastic``: whether images keep a narrow border in an input of any size.
    """

    task: str = ''
    head: str = ''
    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    stride: int | None = None
    end_to_end: bool | None = None
    is_rtdetr: bool = False
    keypoints: int | None = None
    batch: int | None = None
    is_elastic: bool = False


def read_metadata(written: Mapping[str, str]) -> ModelMetadata:
    """Return the description in a file's entries; those that cannot be read count as missing."""
    values = {key: _literal(text) for key, text in written.items()}
    head = str(written.get('head', ''))
    named = written.get('description', '').lower().replace('-', '').replace('_', '')
    return ModelMetadata(
        task=str(written.get('task', '')),
        head=head,
        names=_names(values.get('names')),
        size=_size(values.get('imgsz')),
        stride=_positive(values.get('stride')),
        end_to_end=_end_to_end(values),
        # Files from before the entry `head` have only the name of the architecture.
        is_rtdetr=head == 'RTDETRDecoder' or (not head and 'rtdetr' in named),
        keypoints=_keypoints(values.get('kpt_shape')),
        batch=_positive(values.get('batch')),
        # Versions without `args` put images into the whole input also if its size is dynamic.
        is_elastic=_argument(values, 'dynamic') is True,
    )


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {'true': True, 'false': False}.get(text)


def _names(names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        try:
            numbered = {int(key): name for key, name in names.items()}
        except (ValueError, TypeError, OverflowError):
            return ()
        # With a gap, names would be those of other classes.
        if sorted(numbered) != list(range(len(names))):
            return ()
        names = [numbered[number] for number in range(len(names))]
    return tuple(str(name) for name in names) if isinstance(names, (list, tuple)) else ()


def _size(sides: Any) -> tuple[int, int] | None:
    """Return width and height: the file has one side, or height and width."""
    if _positive(sides) is not None:
        return sides, sides
    if isinstance(sides, (list, tuple)) and len(sides) == 2 and all(map(_positive, sides)):
        return sides[1], sides[0]
    return None


def _end_to_end(values: Mapping[str, Any]) -> bool | None:
    """Return whether duplicates are gone, by the head or by a suppression in the file.

    Versions before `end2end` do not write of which kind the head is: YOLOv10's needs none.
    """
    suppressed = _argument(values, 'nms') is True
    head = values.get('end2end')
    return (suppressed or head) if isinstance(head, bool) else (suppressed or None)


def _argument(values: Mapping[str, Any], name: str) -> Any:
    """Return one of the exporter's arguments."""
    arguments = values.get('args')
    return arguments.get(name) if isinstance(arguments, dict) else None


def _keypoints(shape: Any) -> int | None:
    if isinstance(shape, (list, tuple)) and shape and all(map(_positive, shape)):
        return math.prod(shape)
    return None


def _positive(value: Any) -> int | None:
    # True is an int.
    return value if type(value) is int and value > 0 else None
