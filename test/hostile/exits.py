# SPDX-License-Identifier: Apache-2.0
"""Exits, and code that runs at the end of a process."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import time
import weakref

from hostile.hostile_stage import HostileStage


class ExitsWithZero(HostileStage):
    """calls os._exit(0)"""

    def trouble(self, item):
        os._exit(0)


class CallsSysExit(HostileStage):
    """calls sys.exit('no camera')"""

    def trouble(self, item):
        sys.exit('no camera')


class CallsSysExitInConfigure(HostileStage):
    """calls sys.exit('no camera') in configure"""

    def configure(self):
        sys.exit('no camera')


class RaisesCancelledError(HostileStage):
    """raises asyncio.CancelledError"""

    def trouble(self, item):
        raise asyncio.CancelledError('by a timeout')


class RaisesKeyboardInterrupt(HostileStage):
    """raises KeyboardInterrupt"""

    def trouble(self, item):
        raise KeyboardInterrupt


class RaisesGeneratorExit(HostileStage):
    """raises GeneratorExit"""

    def trouble(self, item):
        raise GeneratorExit('at the end')


class CameraGone(BaseException):
    """What some libraries raise."""


class RaisesBaseException(HostileStage):
    """raises an exception of its own that is no Exception"""

    def trouble(self, item):
        raise CameraGone('unplugged')


class HangsAtExit(HostileStage):
    """registers an exit handler that never returns"""

    def configure(self):
        atexit.register(time.sleep, 600.0)


class RaisesAtExit(HostileStage):
    """registers exit handlers that raise and that call sys.exit(3)"""

    def configure(self):
        atexit.register(lambda: 1 / 0)
        atexit.register(sys.exit, 3)


class RaisesInDel(HostileStage):
    """has a __del__ that raises, and objects that do"""

    class Resource:
        """Raises when it is freed."""

        def __del__(self):
            raise RuntimeError('freed')

    def configure(self):
        self.resource = self.Resource()

    def trouble(self, item):
        self.resource = self.Resource()
        return super().trouble(item)

    def __del__(self):
        raise RuntimeError('the stage is gone')


class HangsInFinalizer(HostileStage):
    """has a weakref.finalize that never returns"""

    def configure(self):
        weakref.finalize(self, time.sleep, 600.0)


class LeavesThread(HostileStage):
    """starts a thread that never ends and is not a daemon"""

    def configure(self):
        threading.Thread(target=threading.Event().wait).start()


class LeavesDaemonThreads(HostileStage):
    """starts daemon threads, one of which raises and one of which never pauses"""

    def configure(self):
        threading.Thread(target=lambda: 1 / 0, daemon=True).start()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        while True:
            time.sleep(0.001)


class ReplacesExcepthooks(HostileStage):
    """replaces sys.excepthook, threading.excepthook and sys.unraisablehook by one that raises"""

    def configure(self):
        sys.excepthook = threading.excepthook = sys.unraisablehook = self._hook
        threading.Thread(target=lambda: 1 / 0).start()

    def _hook(self, *_):
        raise RuntimeError('a hook that fails')


class KeepsLock(HostileStage):
    """takes a lock for one item and does not release it: the next item waits for ever"""

    def configure(self):
        self.lock = threading.Lock()

    def process(self, item):
        if item.frame_id in ('2', '3') and not self.lock.acquire(timeout=60.0):
            raise TimeoutError
        return super().process(item)
