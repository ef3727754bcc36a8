# SPDX-License-Identifier: Apache-2.0
"""The interface of every detector."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records


class Detector(abc.ABC):
    """Finds targets in single images. Created from the stage's parameters.

    ``labels``: the labels of its detections, without ``NO_LABEL``. ``label_names``: names of
    labels, where there are any. ``status_values``: entries for the stage's status.
    ``needs_colour``: it finds nothing in an image without colours.
    """

    labels: range = range(0)
    label_names: Mapping[int, str] = {}
    status_values: Mapping[str, str] = {}
    needs_colour: bool = False

    @abc.abstractmethod
    def detect(self, pixels: Pixels) -> Records:
        """Return the detections in ``pixels`` (H, W, 3), BGR, which it must not change.

        The result is an array (N,) of ``records.DETECTION``, in pixels of this image; N may be 0.
        """
