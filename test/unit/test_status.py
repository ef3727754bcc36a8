# SPDX-License-Identifier: Apache-2.0
"""The status of a stage, and its additional topics."""

from __future__ import annotations

import signal
import threading

from std_msgs.msg import Header

from worker_pipeline import Latched, Stage, StageStatus, TopicRecorder
from worker_pipeline.topic import message_type_of


class Plain(Stage):
    input_type = Header
    output_type = Header


def test_every_bound_stage_has_a_status_of_its_own():
    """One stage's warning does not appear in another; an unbound stage has a status too."""
    one, other = Plain().bind(), Plain().bind()
    one.status.warn('cold')
    assert (one.status.level, one.status.message) == ('warn', 'cold')
    assert (other.status.level, other.status.message) == ('ok', '')
    assert isinstance(Plain().status, StageStatus)


def test_the_last_level_counts_and_values_stay():
    """``ok`` clears level and message only."""
    status = StageStatus()
    status.error('no camera')
    status.set('camera', '/dev/video0')
    status.count('missed')
    status.count('missed', 3)
    values = {'camera': '/dev/video0', 'missed': '4'}
    assert status.snapshot() == ('error', 'no camera', values)
    status.ok()
    assert status.snapshot() == ('ok', '', values)


def test_a_snapshot_does_not_change_with_the_status():
    """Its values are a copy."""
    status = StageStatus()
    before = status.snapshot()
    status.count('missed')
    assert before == ('ok', '', {})


def test_the_former_names_still_work():
    """Stages outside this repository use them."""
    status = StageStatus()
    status.warn('cold')
    assert status.told() == status.snapshot()
    for has_subscribers in (True, False):
        topic = TopicRecorder(has_subscribers=has_subscribers)
        assert topic.is_heard is topic.has_subscribers is has_subscribers


def test_the_type_of_a_latched_topic_is_found_like_that_of_any_other():
    """``Latched`` only adds a property."""
    assert message_type_of(Latched(Header)) is message_type_of(Header) is Header


class Mute:
    def __str__(self):
        raise ValueError('mute')


def test_a_message_may_be_of_any_type():
    """Such as the exception that was caught. What is shown is a plain text of bounded length."""
    status = StageStatus()
    status.warn(ValueError('no camera \udcff'))
    status.set('mute', Mute())
    status.set('long', 'x' * 10**7)
    level, message, values = status.snapshot()
    assert (level, message) == ('warn', 'no camera \\udcff')
    assert values['mute'] == '<Mute whose text raises ValueError>'
    assert len(values['long']) < 2000
    status.error(None)
    assert status.snapshot()[:2] == ('error', 'None')


def test_attributes_that_a_stage_has_set_itself_are_shown_as_far_as_possible():
    """The manager knows three levels and plain texts only, and not too many."""
    status = StageStatus()
    status.level = 'critical'
    status.message = ValueError('no camera')
    status.values = {3: 4, 'a': None}
    assert status.snapshot() == ('error', 'no camera', {'3': '4', 'a': 'None'})
    status.values = {number: number for number in range(1000)}
    values = status.snapshot()[2]
    assert len(values) == 201
    assert values['...'] == '1000 values in all'


class UsesStatus:
    """A value whose text is made by code that uses the status itself."""

    def __init__(self, status):
        self.status = status

    def __str__(self):
        self.status.count('shown')
        return 'value'


def test_a_value_may_use_the_status_while_its_text_is_made():
    """As an exception or an object of a library may, and a signal handler at any moment."""
    status = StageStatus()
    value = UsesStatus(status)
    threads = [
        threading.Thread(target=call, args=arguments, daemon=True)
        for call, arguments in (
            (status.set, ('key', value)),
            (status.warn, (value,)),
            (status.error, (value,)),
        )
    ]
    for each in threads:
        each.start()
        each.join(10.0)
        assert not each.is_alive()
    status.message = value
    level, message, values = status.snapshot()
    assert (level, message, values['key']) == ('error', 'value', 'value')
    assert status.values['shown'] == '4'


def test_a_signal_handler_may_use_the_status_at_any_moment():
    """Also while its own thread is in the midst of using it."""
    status = StageStatus()
    former = signal.signal(signal.SIGALRM, lambda *_: status.count('alarms'))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while int(status.values.get('alarms', 0)) < 50:
            status.count('items')
            status.set('rate', 1.5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, former)
    assert int(status.values['items']) > 0
