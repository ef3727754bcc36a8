# SPDX-License-Identifier: Apache-2.0
"""The stages of the storm: two that mark items, and a stateful one that counts and chains them."""

from __future__ import annotations

import json
import os
import signal
import time

from std_msgs.msg import Header
from support.observer import number_of

from storm import faults
from storm.history import GENESIS, link
from worker_pipeline import Stage

MARKS = ('first', 'second')


class Marking(Stage):
    """Adds a mark to each item."""

    input_type = Header
    output_type = Header
    parameters = {'poison': '', 'seconds': 0.002}
    mark = ''

    def configure(self):
        faults.install_handlers()
        self.poison = {int(number) for number in self.params['poison'].split()}

    def process(self, item):
        time.sleep(self.params['seconds'])
        if number_of(item) in self.poison:
            self.die()
        faults.raise_if_requested()
        return Header(frame_id=f'{item.frame_id} {self.mark}')

    def die(self):
        """Die of poison."""


class First(Marking):
    mark = 'first'

    def die(self):
        os._exit(4)


class Second(Marking):
    mark = 'second'

    def die(self):
        faults.segfault()


class Third(Stage):
    """Counts and chains the items it applies, so that doubled and lost items show for good."""

    input_type = Header
    output_type = Header
    parameters = {'poison': ''}

    def configure(self):
        faults.install_handlers()
        self.poison = {int(number) for number in self.params['poison'].split()}
        self.index, self.chain, self.last = 0, GENESIS, -1

    def process(self, item):
        number = number_of(item)
        self.index += 1
        self.chain = link(self.chain, number)
        self.last = number
        # Poison and exceptions come after the state was changed, and the change must be undone.
        if number in self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        faults.raise_if_requested()
        return Header(frame_id=f'{item.frame_id} {self.index} {self.chain}')

    def save_state(self):
        return json.dumps([self.index, self.chain, self.last]).encode()

    def restore_state(self, state):
        self.index, self.chain, self.last = json.loads(state)
