"""Stages for the tests; small, and some of them bad."""

from __future__ import annotations

import os
import time

from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header, String

from worker_pipeline import EndOfStream, Latched, Stage


class Echo(Stage):
    """Gives back what it is given."""

    input_type = Header
    output_type = Header
    parameters = {'gain': 1.0}

    def process(self, item):
        return item


class Work(Stage):
    """Is busy for a while with each item, and writes down which process did it."""

    input_type = Header
    output_type = Header
    parameters = {'seconds': 0.002, 'mark': ''}

    def process(self, item):
        end = time.monotonic() + self.params['seconds']
        while time.monotonic() < end:
            pass
        return Header(
            stamp=item.stamp, frame_id=f'{item.frame_id} {os.getpid()} {self.params["mark"]}'
        )


class Sparse(Echo):
    """Has an answer to every third item only."""

    def process(self, item):
        return item if int(item.frame_id) % 3 == 0 else None


class Environment(Echo):
    """Answers with the variable of its process's environment that an item names."""

    def process(self, item):
        return Header(frame_id=os.environ.get(item.frame_id, 'unset'))


class Counting(Stage):
    """A source that ends after some items."""

    input_type = TimeReference
    output_type = Header
    parameters = {'items': 20}

    def configure(self):
        self.given = 0

    def process(self, item):
        if self.given >= self.params['items']:
            raise EndOfStream
        self.given += 1
        return Header(frame_id=f'{item.source} {item.time_ref.sec}.{item.time_ref.nanosec:09d}')


class Capturing(Stage):
    """A source that stamps what it gives half a second back, and tells of it on topics."""

    input_type = TimeReference
    output_type = Header
    topics = {'seen': Header, 'home': Latched(Header)}

    def activate(self):
        self.topic['home'].publish(Header(frame_id='here'))
        self.count = 0

    def process(self, item):
        self.count += 1
        taken = item.header.stamp.sec * 10**9 + item.header.stamp.nanosec - 500_000_000
        output = Header(frame_id=str(self.count))
        output.stamp.sec, output.stamp.nanosec = divmod(taken, 10**9)
        if self.topic['seen'].is_heard:
            self.topic['seen'].publish(output)
        return output


class Complains(Echo):
    """Says of itself what its items tell it to."""

    def process(self, item):
        if item.frame_id == 'ok':
            self.status.ok()
        else:
            self.status.warn(item.frame_id)
            self.status.count('complaints')
        self.status.set('last', item.frame_id)
        return item


class Poison(Echo):
    """Item 5 ends the process that takes it; item 7 raises."""

    def process(self, item):
        if item.frame_id == '5':
            os._exit(4)
        if item.frame_id == '7':
            raise ValueError('cannot do seven')
        return item


class Debugged(Echo):
    """Somebody looks at what it does."""

    def process(self, item):
        breakpoint()
        return item


class Gated(Echo):
    """Keeps each item, or one of them, until a file is there."""

    parameters = {'gate': '', 'only': ''}

    def process(self, item):
        if self.params['only'] in ('', item.frame_id):
            while not os.path.exists(self.params['gate']):
                time.sleep(0.005)
        return item


class SlowConfigure(Echo):
    """Takes its time to configure."""

    parameters = {'seconds': 1.0}

    def configure(self):
        time.sleep(self.params['seconds'])


class WithContext(Stage):
    """Tells the nearest context to each item."""

    input_type = Header
    output_type = Header
    contexts = {'reference': Header}

    def process(self, item):
        before, after = self.context['reference'].around(item.stamp, timeout=5.0)
        told = [each.frame_id if each else 'none' for each in (before, after)]
        return Header(frame_id=' '.join(told))


class Remembers(Stage):
    """Counts its items, and keeps the sum of their stamps; dies at some, before or after."""

    input_type = Header
    output_type = Header
    parameters = {'seconds': 0.0, 'raise_at': 0}

    def configure(self):
        self.count = self.total = 0

    def process(self, item):
        time.sleep(self.params['seconds'])
        self.count += 1
        if self.count == self.params['raise_at']:
            self.params = dict(self.params, raise_at=0)
            raise ValueError('once, with the item counted already')
        self.total += item.stamp.sec * 1_000_000_000 + item.stamp.nanosec
        return Header(frame_id=f'{self.count} {self.total}')

    def save_state(self):
        return f'{self.count} {self.total}'.encode()

    def restore_state(self, state):
        self.count, self.total = (int(each) for each in state.split())


class Picture(Stage):
    """Answers with a small picture."""

    input_type = Header
    output_type = Image

    def process(self, item):
        """Four pixels."""
        return Image(header=item, height=2, width=2, encoding='mono8', step=2, data=bytes(4))


class NotAStage:
    """No subclass of Stage."""


class NoHeader(Stage):
    """Its messages have no header."""

    input_type = String
    output_type = String


class OtherOutput(Stage):
    """Fits nothing: its output is a TimeReference."""

    input_type = Header
    output_type = TimeReference
