"""What every detector is to the stage that uses it."""

from __future__ import annotations

from typing import Protocol

from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.point_cloud import Records


class Detector(Protocol):
    """Finds targets in one image at a time. Built from the stage's parameters."""

    def detect(self, pixels: Pixels) -> Records:
        """What is seen in ``pixels`` (H, W, 3), BGR, which it leaves as they are.

        Returns records (N,) of ``records.DETECTION``, pixels of this image; N may be 0.
        """
