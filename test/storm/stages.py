"""The stages that the storm goes over: two that mark items, and one that remembers them all."""

from __future__ import annotations

import json
import os
import signal
import time

from std_msgs.msg import Header
from support.observing import number_of

from storm import misbehaving
from storm.history import GENESIS, link
from worker_pipeline import Stage

MARKS = ('first', 'second')


class Marking(Stage):
    """Adds a mark to each item, after some work."""

    input_type = Header
    output_type = Header
    parameters = {'poison': '', 'seconds': 0.002}
    mark = ''

    def configure(self):
        misbehaving.obey()
        self.poison = {int(number) for number in self.params['poison'].split()}

    def process(self, item):
        time.sleep(self.params['seconds'])
        if number_of(item) in self.poison:
            self.die()
        misbehaving.raise_if_asked()
        return Header(frame_id=f'{item.frame_id} {self.mark}')

    def die(self):
        """What poison does, here."""


class First(Marking):
    mark = 'first'

    def die(self):
        os._exit(4)


class Second(Marking):
    mark = 'second'

    def die(self):
        misbehaving.crash()


class Third(Stage):
    """Counts and chains what it applies: what was done twice, or forgotten, shows for good."""

    input_type = Header
    output_type = Header
    parameters = {'poison': ''}

    def configure(self):
        misbehaving.obey()
        self.poison = {int(number) for number in self.params['poison'].split()}
        self.index, self.chain, self.last = 0, GENESIS, -1

    def process(self, item):
        number = number_of(item)
        self.index += 1
        self.chain = link(self.chain, number)
        self.last = number
        # Poison and exceptions come when the state is changed already, and must be undone with it.
        if number in self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        misbehaving.raise_if_asked()
        return Header(frame_id=f'{item.frame_id} {self.index} {self.chain}')

    def save_state(self):
        return json.dumps([self.index, self.chain, self.last]).encode()

    def restore_state(self, state):
        self.index, self.chain, self.last = json.loads(state)
