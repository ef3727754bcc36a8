# SPDX-License-Identifier: Apache-2.0
"""Changes of what belongs to the process: files, folders, the environment, limits."""

from __future__ import annotations

import io
import locale
import os
import resource
import sys
import tempfile
from pathlib import Path

from hostile.hostile_stage import HostileStage


class LeavesItsFolder(HostileStage):
    """changes to a folder that is then deleted"""

    def configure(self):
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        os.rmdir(folder)


class ClearsEnvironment(HostileStage):
    """clears os.environ"""

    def configure(self):
        os.environ.clear()


class ChangesEnvironment(HostileStage):
    """sets ROS_DOMAIN_ID, RMW_IMPLEMENTATION, HOME and TMPDIR to something else"""

    def configure(self):
        os.environ.update(
            ROS_DOMAIN_ID='101', RMW_IMPLEMENTATION='none', HOME='/nowhere', TMPDIR='/nowhere'
        )


class ChangesUmask(HostileStage):
    """sets the umask to 0o777, and remembers"""

    def configure(self):
        os.umask(0o777)
        self.count = 0

    def save_state(self):
        return str(self.count).encode()

    def restore_state(self, state):
        self.count = int(state)


class ReplacesStdout(HostileStage):
    """replaces sys.stdout and sys.stderr by None and by an object without fileno"""

    def configure(self):
        sys.stdout, sys.stderr = io.StringIO(), None

    def trouble(self, item):
        print('to nobody')
        self.logger.warning('and to the log')
        return super().trouble(item)


class ClosesStdout(HostileStage):
    """closes sys.stdout, sys.stderr and sys.stdin"""

    def configure(self):
        for stream in (sys.stdout, sys.stderr, sys.stdin):
            stream.close()

    def trouble(self, item):
        self.logger.warning('to the log')
        return super().trouble(item)


class ClosesStandardStreams(HostileStage):
    """closes the file descriptors 0, 1 and 2, as a daemon does, and opens files in their place"""

    def configure(self):
        os.closerange(0, 3)
        self.files = [open(os.devnull) for _ in range(3)]  # noqa: SIM115

    def trouble(self, item):
        self.logger.warning('to nobody')
        return super().trouble(item)


class UsesUpDescriptors(HostileStage):
    """lowers RLIMIT_NOFILE to what is in use"""

    def configure(self):
        used = max(int(name) for name in os.listdir('/proc/self/fd'))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))


class MayNotWrite(HostileStage):
    """sets RLIMIT_FSIZE to 0, and has a state to save"""

    def configure(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def save_state(self):
        return b'state'

    def restore_state(self, state):
        """Nothing to do."""


class SetsLocale(HostileStage):
    """sets a locale with a decimal comma where there is one, else C"""

    def configure(self):
        for name in ('de_DE.UTF-8', 'fr_FR.UTF-8', 'C'):
            try:
                locale.setlocale(locale.LC_ALL, name)
            except locale.Error:
                continue
            return


class RenamesItself(HostileStage):
    """changes its process's name, as setproctitle does"""

    def configure(self):
        Path('/proc/self/comm').write_text('init')


class LowersItsPriority(HostileStage):
    """calls os.nice(19)"""

    def configure(self):
        os.nice(19)
        self.nice = True


class ReadsStdin(HostileStage):
    """calls input()"""

    def trouble(self, item):
        return input('continue? ')
