# SPDX-License-Identifier: Apache-2.0
"""Hooks that sleep, fail and are written in unusual ways."""

from __future__ import annotations

import collections
import threading
import time

from std_msgs.msg import Header

from hostile.hostile_stage import HostileStage

LONG = 300.0  # s


class SleepsInConfigure(HostileStage):
    """never returns from configure"""

    def configure(self):
        time.sleep(LONG)


class SleepsInActivate(HostileStage):
    """never returns from activate"""

    def activate(self):
        threading.Event().wait()


class SleepsInProcess(HostileStage):
    """never returns from process"""

    def trouble(self, item):
        time.sleep(LONG)


class SleepsInDeactivate(HostileStage):
    """never returns from deactivate"""

    def deactivate(self):
        time.sleep(LONG)


class SleepsInCleanup(HostileStage):
    """never returns from cleanup, and ignores SIGTERM"""

    def cleanup(self):
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(LONG)


class FailsInConfigure(HostileStage):
    """raises in configure"""

    def configure(self):
        raise FileNotFoundError('no model.onnx')


class FailsInActivate(HostileStage):
    """raises in activate"""

    def activate(self):
        raise OSError('no camera')


class FailsInDeactivate(HostileStage):
    """raises in deactivate"""

    def deactivate(self):
        raise OSError('the camera does not stop')


class FailsInCleanup(HostileStage):
    """raises in cleanup"""

    def cleanup(self):
        raise OSError('the camera does not close')


class ExitsInCleanup(HostileStage):
    """calls sys.exit in cleanup"""

    def cleanup(self):
        raise SystemExit('done')


class FailsInInit(HostileStage):
    """raises in __init__"""

    def __init__(self):
        raise FileNotFoundError('no labels.txt')


class SavesWrongState(HostileStage):
    """returns a dictionary from save_state"""

    def save_state(self):
        return {'count': 1}

    def restore_state(self, state):
        """Nothing to do."""


class SavesDefaultDict(HostileStage):
    """returns a defaultdict from save_state, which comes back as a plain dict"""

    state_codec = 'json'

    def configure(self):
        self.seen = collections.defaultdict(int)

    def save_state(self):
        return self.seen

    def restore_state(self, state):
        self.seen = state


class RaisesInSaveState(HostileStage):
    """raises in save_state after an item"""

    count = 0

    def process(self, item):
        self.count = int(item.frame_id)
        return Header(frame_id=item.frame_id)

    def save_state(self):
        if self.count == 2:
            raise ValueError('cannot save two')
        return b'%d' % self.count

    def restore_state(self, state):
        self.count = int(state)


class DoesNotCallSuper(HostileStage):
    """has an __init__ that does not call the base class's, and __slots__"""

    __slots__ = ('count',)

    def __init__(self):
        self.count = 0


class SharesList(HostileStage):
    """keeps items in a list of its class"""

    seen = []

    def process(self, item):
        self.seen.append(item)
        return Header(frame_id=item.frame_id)


class Singleton(type):
    """Makes one instance of a class."""

    instance = None

    def __call__(cls, *arguments):
        if cls.instance is None:
            cls.instance = super().__call__(*arguments)
        return cls.instance


class IsSingleton(HostileStage, metaclass=Singleton):
    """is a singleton by a metaclass"""


class HasStaticProcess(HostileStage):
    """has a static process"""

    @staticmethod
    def process(item):
        return Header(frame_id=item.frame_id)


class HasClassProcess(HostileStage):
    """has a class method process"""

    @classmethod
    def process(cls, item):
        return Header(frame_id=item.frame_id)


class HidesAttributes(HostileStage):
    """has read-only properties named status and logger, which raise"""

    @property
    def status(self):
        """Raise."""
        raise RuntimeError('no status')

    @property
    def logger(self):
        """Raise."""
        raise RuntimeError('no logger')


class AnswersEverything(HostileStage):
    """answers every attribute, by a __getattr__ and a __getattribute__ that raise others' errors"""

    def __getattr__(self, name):
        return lambda *_: None

    def __eq__(self, other):
        raise RuntimeError('not comparable')

    def __bool__(self):
        raise RuntimeError('neither true nor false')

    def __len__(self):
        return 0

    __hash__ = None
