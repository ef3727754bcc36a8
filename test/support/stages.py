# SPDX-License-Identifier: Apache-2.0
"""Small stages for the tests, some of them bad."""

from __future__ import annotations

import os
import time

from sensor_msgs.msg import Image, Imu, TimeReference
from std_msgs.msg import Header, String

from worker_pipeline import AbsoluteTopic, EndOfStream, Latched, Stage


class Echo(Stage):
    """Returns its items."""

    input_type = Header
    output_type = Header
    parameters = {'gain': 1.0}

    def process(self, item: Header) -> Header:
        return item


class Work(Stage):
    """Takes a while for each item, and writes down which process did it."""

    input_type = Header
    output_type = Header
    parameters = {'seconds': 0.002, 'mark': ''}

    def process(self, item: Header) -> Header:
        end = time.monotonic() + self.params['seconds']
        while time.monotonic() < end:
            pass
        return Header(
            stamp=item.stamp, frame_id=f'{item.frame_id} {os.getpid()} {self.params["mark"]}'
        )


class Sparse(Echo):
    """Has an output for every third item only."""

    def process(self, item: Header) -> Header | None:
        return item if int(item.frame_id) % 3 == 0 else None


class Environment(Echo):
    """Returns the environment variable that an item names."""

    def process(self, item: Header) -> Header:
        return Header(frame_id=os.environ.get(item.frame_id, 'unset'))


class StreamTime(Stage):
    """A source that says how long its stream has been running, s."""

    input_type = TimeReference
    output_type = Header

    def process(self, item: TimeReference) -> Header:
        since = item.time_ref
        return Header(frame_id=f'{since.sec + since.nanosec / 1e9:.1f}')


class Counting(Stage):
    """A source that ends after some items."""

    input_type = TimeReference
    output_type = Header
    parameters = {'items': 20}

    def configure(self) -> None:
        self.given = 0

    def process(self, item: TimeReference) -> Header:
        if self.given >= self.params['items']:
            raise EndOfStream
        self.given += 1
        return Header(frame_id=f'{item.source} {item.time_ref.sec}.{item.time_ref.nanosec:09d}')


class Capturing(Stage):
    """A source that stamps its outputs half a second back, and publishes additional topics."""

    input_type = TimeReference
    output_type = Header
    topics = {'seen': Header, 'home': Latched(Header)}

    def activate(self) -> None:
        self.topic['home'].publish(Header(frame_id='here'))
        self.count = 0

    def process(self, item: TimeReference) -> Header:
        self.count += 1
        taken = item.header.stamp.sec * 10**9 + item.header.stamp.nanosec - 500_000_000
        output = Header(frame_id=str(self.count))
        output.stamp.sec, output.stamp.nanosec = divmod(taken, 10**9)
        if self.topic['seen'].has_subscribers:
            self.topic['seen'].publish(output)
        return output


class Announcing(Echo):
    """Publishes each item on topics that are not simply below it."""

    topics = {
        'item/compressed': Header,
        'frames': AbsoluteTopic('/frames', Header),
        'fixed': AbsoluteTopic('/fixed_frames', Latched(Header)),
    }
    contexts = {'reference': Header}
    optional_contexts = ('reference',)

    def process(self, item: Header) -> Header:
        for topic in self.topic.values():
            topic.publish(item)
        assert self.context['reference'].latest() is None
        return item


class Complains(Echo):
    """Sets its status from its items."""

    def process(self, item: Header) -> Header:
        if item.frame_id == 'ok':
            self.status.ok()
        else:
            self.status.warn(item.frame_id)
            self.status.count('complaints')
        self.status.set('last', item.frame_id)
        return item


class Poison(Echo):
    """Item 5 kills the process; item 7 raises an exception."""

    def process(self, item: Header) -> Header:
        if item.frame_id == '5':
            os._exit(4)
        if item.frame_id == '7':
            raise ValueError('cannot do seven')
        return item


class Debugged(Echo):
    """Waits for a debugger."""

    def process(self, item: Header) -> Header:
        breakpoint()
        return item


class Gated(Echo):
    """Holds each item, or one of them, until a file exists; writes down which process did it."""

    parameters = {'gate': '', 'only': ''}

    def process(self, item: Header) -> Header:
        if self.params['only'] in ('', item.frame_id):
            while not os.path.exists(self.params['gate']):
                time.sleep(0.005)
        return Header(stamp=item.stamp, frame_id=f'{item.frame_id} {os.getpid()}')


class SlowConfigure(Echo):
    """Takes a while to configure."""

    parameters = {'seconds': 1.0}

    def configure(self) -> None:
        time.sleep(self.params['seconds'])


class WithContext(Stage):
    """Returns the nearest context message for each item."""

    input_type = Header
    output_type = Header
    contexts = {'reference': Header}

    def process(self, item: Header) -> Header:
        before, after = self.context['reference'].around(item.stamp, timeout=5.0)
        names = [each.frame_id if each else 'none' for each in (before, after)]
        return Header(frame_id=' '.join(names))


class Remembers(Stage):
    """Counts its items, and sums up their stamps; dies at some, before or after."""

    input_type = Header
    output_type = Header
    parameters = {'seconds': 0.0, 'raise_at': 0}

    def configure(self) -> None:
        self.count = self.total = 0

    def process(self, item: Header) -> Header:
        time.sleep(self.params['seconds'])
        self.count += 1
        if self.count == self.params['raise_at']:
            self.params = dict(self.params, raise_at=0)
            raise ValueError('once, with the item counted already')
        self.total += item.stamp.sec * 1_000_000_000 + item.stamp.nanosec
        return Header(frame_id=f'{self.count} {self.total}')

    def save_state(self) -> bytes:
        return f'{self.count} {self.total}'.encode()

    def restore_state(self, state: bytes) -> None:
        self.count, self.total = (int(each) for each in state.split())


class PassImu(Stage):
    """Passes a message of an ordinary type on."""

    input_type = Imu
    output_type = Imu

    def process(self, item: Imu) -> Imu:
        return item


class Picture(Stage):
    """Returns a small picture."""

    input_type = Header
    output_type = Image

    def process(self, item: Header) -> Image:
        """Four pixels."""
        return Image(header=item, height=2, width=2, encoding='mono8', step=2, data=bytes(4))


class NotAStage:
    """Not a subclass of Stage."""


class NoHeader(Stage):
    """Its messages have no header."""

    input_type = String
    output_type = String

    def process(self, item: String) -> None:
        """Return nothing."""


class OtherOutput(Stage):
    """Its output is a TimeReference, which no stage takes."""

    input_type = Header
    output_type = TimeReference

    def process(self, item: Header) -> None:
        """Return nothing."""
