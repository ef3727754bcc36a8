"""What every detector is to the stage that uses it."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.point_cloud import Records


class Detector(abc.ABC):
    """Finds targets in one image at a time. Built from the stage's parameters.

    ``facts``: what is worth knowing of it, for the stage's status. ``names``: of the labels it
    gives, those that have a name.
    """

    facts: Mapping[str, str] = {}
    names: Mapping[int, str] = {}

    @abc.abstractmethod
    def detect(self, pixels: Pixels) -> Records:
        """What is seen in ``pixels`` (H, W, 3), BGR, which it leaves as they are.

        Returns records (N,) of ``records.DETECTION``, pixels of this image; N may be 0.
        """
