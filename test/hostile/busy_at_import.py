# SPDX-License-Identifier: Apache-2.0
"""A module that does at import what it should do in configure."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from hostile.hostile_stage import HostileStage

print('a line that a module prints when it is imported')
sys.setrecursionlimit(5000)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=threading.Event().wait, daemon=True).start()
CHILD = subprocess.Popen(['sleep', '300'])


class DoesAllAtImport(HostileStage):
    """at import: prints, ignores SIGTERM, starts a thread and a program"""

    def configure(self):
        self.record_child(CHILD.pid)
