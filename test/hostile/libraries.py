# SPDX-License-Identifier: Apache-2.0
"""Libraries for vision, as they are used."""

from __future__ import annotations

import os

import numpy as np
from std_msgs.msg import Header

from hostile.hostile_stage import HostileStage


class Device:
    """A handle that is invalid in a forked process, as those of CUDA are."""

    def __init__(self):
        self._pid = os.getpid()

    def use(self):
        """Raise unless this process has opened it."""
        if os.getpid() != self._pid:
            raise RuntimeError('opened before a fork')


DEVICE = Device()


class OpensDeviceAtImport(HostileStage):
    """opens a device, as CUDA, at import and at class level"""

    device = Device()

    def process(self, item):
        DEVICE.use()
        self.device.use()
        return Header(frame_id=item.frame_id)


class UsesCv2Threads(HostileStage):
    """uses OpenCV with eight threads"""

    def configure(self):
        import cv2

        cv2.setNumThreads(8)
        self.blur = cv2.blur

    def process(self, item):
        self.blur(np.zeros((600, 800), np.uint8), (9, 9))
        return Header(frame_id=item.frame_id)


class ShowsWindow(HostileStage):
    """opens a window where there is no display"""

    def trouble(self, item):
        import cv2

        cv2.imshow('window', np.zeros((9, 9), np.uint8))
        cv2.waitKey(1)


class RaisesCv2Error(HostileStage):
    """calls OpenCV with an empty image"""

    def trouble(self, item):
        import cv2

        return cv2.cvtColor(np.zeros((0, 0), np.uint8), cv2.COLOR_BGR2GRAY)
