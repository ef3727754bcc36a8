# SPDX-License-Identifier: Apache-2.0
"""What a pipeline prints blocks nothing, read or not, and says which worker printed it."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from support.observer import header

from worker_pipeline.testing import wait_for


def prints(**settings):
    return {
        'plugin': 'support.printing_stages:Prints',
        'queue_size': 1000,
        'task_timeout': 30.0,
        **settings,
    }


def item(number, *ways):
    """An item of which its worker prints something."""
    message = header(number)
    message.frame_id = ' '.join([str(number), *ways])
    return message


class Feed:
    """A stage's input and output."""

    def __init__(self, observer, stage):
        self.answers = observer.collect(f'{stage}/output')
        self._feed = observer.feeder(f'{stage}/input')
        self._next = 0

    def publish(self, count, *ways):
        """Publish items; return the number of the last one."""
        for _ in range(count):
            self._feed.publish(item(self._next, *ways))
            self._next += 1
        return self._next - 1


def test_output_that_nobody_reads_blocks_nothing(start, observer):
    """Neither the chatty stage, nor the other one, nor diagnostics, nor Ctrl-C; and no item fails.

    Then the reader is gone altogether.
    """
    read, write = os.pipe()
    stages = {'loud': prints(workers=2), 'quiet': prints()}
    manager = start({'stages': [*stages], **stages}, output=write)
    os.close(write)
    feeds = [(Feed(observer, 'loud'), 'flood'), (Feed(observer, 'quiet'), '')]
    for name, workers in (('loud', 2), ('quiet', 1)):
        observer.wait_until_active(name, workers)
    for count, what in ((60, 'the answers'), (100, 'the answers without a reader')):
        for feed, way in feeds:
            feed.publish(count - len(feed.answers), *way.split())
        wait_for(lambda count=count: all(len(feed.answers) == count for feed, _ in feeds), what)
        if count == 60:
            os.close(read)
    received = len(observer.diagnostics)
    wait_for(lambda: len(observer.diagnostics) > received + 1, 'further diagnostics')
    wait_for(lambda: observer.count('manager', 'output_dropped') > 0, 'the dropped lines counted')
    wait_for(lambda: observer.count('loud', 'completed') == 100, 'the items counted')
    assert observer.count('loud', 'quarantined') == observer.count('loud', 'redelivered') == 0
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []


@pytest.fixture
def relays():
    """Return the output relays of a manager."""

    def find(manager):
        relatives = manager.relatives()
        return [each.pid for each in relatives if psutil.Process(each.pid).name() == 'output relay']

    return find


def test_every_line_names_its_worker_and_a_death_its_last_lines(start, observer, relays):
    """Also those of an orphan, through the next manager."""
    parameters = {'stages': ['prints'], 'prints': prints()}
    manager = start(parameters)
    feed = Feed(observer, 'prints')
    observer.wait_until_active('prints', 1)
    feed.publish(1, 'speak')
    wait_for(lambda: 'C says 0' in manager.output, 'what was printed', seen=manager.show)
    lines = manager.output.splitlines()
    for who in ('Python', 'C'):
        assert f'[prints/worker_0] {who} says 0' in lines
    feed.publish(1, 'ask')
    wait_for(lambda: observer.quarantined, 'the first quarantined', seen=manager.show)
    assert 'no standard input' in observer.quarantined[0].message

    def cause_of_a_crash():
        # On an overloaded machine the last lines may be late for the cause.
        count = len(observer.quarantined)
        feed.publish(1, 'crash')
        wait_for(lambda: len(observer.quarantined) > count, 'another one', seen=manager.show)
        cause = observer.quarantined[-1].message
        assert cause.startswith('killed by SIGSEGV')
        return 'it printed last' in cause and cause

    cause = wait_for(cause_of_a_crash, 'the last lines', seen=manager.show)
    for words in ('dying of ', 'Fatal Python error: Segmentation fault', ' in crash'):
        assert words in cause
    reported = 'worker_0 exited: killed by SIGSEGV; requeued its'
    wait_for(lambda: reported in manager.output, 'the report', seen=manager.show)
    # The next worker works, so it can be adopted.
    living = f'C says {feed.publish(1, "speak")}'
    wait_for(lambda: living in manager.output, 'the next worker', seen=manager.show)

    (former,) = relays(manager)
    manager.signal(signal.SIGKILL)
    manager.wait()
    matches = observer.matches('prints/input')
    manager.start_again()
    wait_for(lambda: 'adopted worker_0' in manager.output, 'the adoption', seen=manager.show)
    wait_for(lambda: observer.matches('prints/input') > matches, 'the next manager as a listener')
    orphan = f'C says {feed.publish(1, "speak")}'
    wait_for(lambda: f'[prints/worker_0] {orphan}' in manager.output, 'it', seen=manager.show)
    (relay,) = relays(manager)
    assert relay != former
    os.kill(relay, signal.SIGKILL)
    last = f'C says {feed.publish(1, "speak")}'
    wait_for(lambda: f'[prints/worker_0] {last}' in manager.output, 'it', seen=manager.show)
    wait_for(lambda: 'another was started' in manager.output, 'its report', seen=manager.show)
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []
    assert not manager.folder.exists()
