"""The storm's stages with camera frames between them: of each it is seen whether it is torn.

What they mark, count and chain is what the stages without frames do. The first makes a frame of
each header; the second looks at it and makes another; the third looks at that one, and gives out
the header.
"""

from __future__ import annotations

from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.observing import number_of

from storm import stages
from storm.frames import HEIGHT, Frames

# What is logged, and counted in the log.
TORN = 'torn frame'
BY_SOCKET = 'a frame that came by a socket'


class _Framing(stages.Stage):
    """A stage that makes frames, or looks at those of ``looks_at``."""

    looks_at = ''

    def configure(self):
        self.frames = Frames(self.params['height'])
        self.kept = None
        super().configure()

    def take(self, image: Image) -> None:
        """Look at a frame where it is, and see how it came."""
        self.look(image, 'given')
        if not isinstance(image.data, memoryview):
            self.logger.info(BY_SOCKET)

    def keep(self, image: Image) -> None:
        """Look again, at the one that was kept before, too; and keep this one in its place.

        Nobody may have written there meanwhile.
        """
        self.look(image, 'worked on')
        if self.kept is not None:
            self.look(self.kept, 'kept')
        self.kept = image

    def make(self, header: Header, number: int) -> Image:
        """A frame; every other one in memory that is borrowed for it."""
        place = self.borrow_array(self.frames.size) if number % 2 else None
        return self.frames.make(header, number, self.mark, place)

    def look(self, image: Image, when: str) -> None:
        """See whether a frame is what it should be."""
        fault = self.frames.fault(image.data, number_of(image.header), self.looks_at)
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
    looks_at = 'first'

    def process(self, item: Image) -> Image:
        self.take(item)
        header = super().process(item.header)
        made = self.make(header, number_of(item.header))
        self.keep(item)
        return made


class Third(_Framing, stages.Third):
    input_type = Image
    parameters = {**stages.Third.parameters, 'height': HEIGHT}
    looks_at = 'second'

    def process(self, item: Image) -> Header:
        self.take(item)
        header = super().process(item.header)
        self.keep(item)
        return header
