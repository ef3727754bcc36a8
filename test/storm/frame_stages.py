# SPDX-License-Identifier: Apache-2.0
"""The storm's stages with camera frames between them, each of which is checked.

They mark, count and chain like the stages without frames. The first makes a frame from each header;
the second checks it and makes another; the third checks that one and returns the header.
"""

from __future__ import annotations

from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.observer import number_of

from storm import stages
from storm.frames import HEIGHT, Frames

# Logged texts, which are counted in the log.
TORN = 'torn frame'
BY_SOCKET = 'a frame that came by a socket'


class _Framing(stages.Stage):
    """A stage that makes frames, and checks those made by ``checks``."""

    checks = ''

    def configure(self):
        self.frames = Frames(self.params['height'])
        self.kept = None
        super().configure()

    def take(self, image: Image) -> None:
        """Check a frame in place, and log whether it came by a socket."""
        self.check(image, 'given')
        if not isinstance(image.data, memoryview):
            self.logger.info(BY_SOCKET)

    def keep(self, image: Image) -> None:
        """Check a frame and the one kept before again, and keep this one instead.

        Their memory must not have been overwritten meanwhile.
        """
        self.check(image, 'worked on')
        if self.kept is not None:
            self.check(self.kept, 'kept')
        self.kept = image

    def make(self, header: Header, number: int) -> Image:
        """Return a new frame, every other one in borrowed memory."""
        place = self.borrow_array(self.frames.size) if number % 2 else None
        return self.frames.make(header, number, self.mark, place)

    def check(self, image: Image, when: str) -> None:
        """Check a frame, and log an error if it is torn."""
        fault = self.frames.fault(image.data, number_of(image.header), self.checks)
        if fault:
            self.logger.error(f'{TORN}, {when}: {fault}')


class First(_Framing, stages.First):
    output_type = Image
    parameters = {**stages.First.parameters, 'height': HEIGHT}

    def process(self, item: Header) -> Image:
        return self.make(super().process(item), number_of(item))


class Second(_Framing, stages.Second):
    input_type = Image
    output_type = Image
    parameters = {**stages.Second.parameters, 'height': HEIGHT}
    checks = 'first'

    def process(self, item: Image) -> Image:
        self.take(item)
        header = super().process(item.header)
        made = self.make(header, number_of(item.header))
        self.keep(item)
        return made


class Third(_Framing, stages.Third):
    input_type = Image
    parameters = {**stages.Third.parameters, 'height': HEIGHT}
    checks = 'second'

    def process(self, item: Image) -> Header:
        self.take(item)
        header = super().process(item.header)
        self.keep(item)
        return header
