"""What every detector is to the stage that uses it."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.point_cloud import Records


class Detector(abc.ABC):
    """Finds targets in one image at a time. Built from the stage's parameters.

    ``labels``: the numbers it tells its finds apart by; not ``NO_LABEL``. ``names``: of these,
    those that have a name. ``facts``: what is worth knowing of it, for the stage's status.
    """

    labels: range = range(0)
    names: Mapping[int, str] = {}
    facts: Mapping[str, str] = {}

    @abc.abstractmethod
    def detect(self, pixels: Pixels) -> Records:
        """What is seen in ``pixels`` (H, W, 3), BGR, which it leaves as they are.

        Returns records (N,) of ``records.DETECTION``, pixels of this image; N may be 0.
        """
