# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages from outside: read, corrected, and compared with the time of arrival."""

from __future__ import annotations

import pytest
from support.manager_clock import FakeClock
from support.offline_pipeline import message, stage_config

from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.core.stamp_check import StampKind
from worker_pipeline.manager.input_stamps import InputStamps
from worker_pipeline.ros.cdr import BadMessageError, stamp_of

SECOND = 10**9
TOPIC = '/camera/image'
NOW = 1_790_000_000  # s
ZERO = bytes([0, 1, 0, 0]) + bytes(8) + bytes(8)


class Inputs:
    def __init__(self, clock: FakeClock, *, is_simulated: bool = False, **settings) -> None:
        self.clock = clock
        clock.now = float(NOW)
        self.ros_time = RosTime(is_simulated=is_simulated, now=0.0)
        self.stamps = InputStamps(stage_config('s', **settings), self.ros_time)
        self.stamps.open(is_image=False)

    def receive(self, count: int, offset: float, period: float = 0.1) -> list[int]:
        """Receive messages whose stamps are behind by ``offset``, s; return the stamps used."""
        used = []
        for _ in range(count):
            self.clock.now += period
            used.append(self.stamps.read(TOPIC, message(round((self.clock.now - offset) * SECOND))))
        return [stamp for stamp, data in used if stamp_of(data) == stamp]


def test_headers_are_used_as_they_are(clock):
    inputs = Inputs(clock)
    data = message(5)
    assert inputs.stamps.read(TOPIC, data) == (5, data)


def test_zero_is_refused_with_what_to_do(clock):
    inputs = Inputs(clock)
    with pytest.raises(BadMessageError) as caught:
        inputs.stamps.read(TOPIC, ZERO)
    assert str(caught.value) == (
        'header.stamp: found 0 s and 0 ns; allowed: a time after 0, or s.stamps: arrival, which '
        'stamps messages at their arrival'
    )
    ((source, finding),) = inputs.stamps.look()
    assert (source, finding.kind) == (TOPIC, StampKind.ZERO)
    assert inputs.stamps.notes() == (f'{TOPIC}: stamps are zero: their publisher sets none',)
    assert inputs.stamps.look() == []
    assert inputs.stamps.notes() == ()


def test_by_arrival_a_message_without_a_stamp_is_usable(clock):
    inputs = Inputs(clock, stamps='arrival')
    stamp, data = inputs.stamps.read(TOPIC, ZERO)
    assert stamp == stamp_of(data) == NOW * SECOND
    assert data[12:] == ZERO[12:]
    assert inputs.stamps.values()[f'{TOPIC}.stamps'] == 'arrival'
    assert inputs.stamps.notes() == ()


def test_by_arrival_each_stamp_is_later_than_the_one_before(clock):
    """Also of messages that arrive together, and while the clock is set back a little."""
    inputs = Inputs(clock, stamps='arrival')
    stamps = [inputs.stamps.read(TOPIC, ZERO)[0] for _ in range(3)]
    clock.now -= 1.0
    stamps.append(inputs.stamps.read(TOPIC, ZERO)[0])
    assert stamps == [NOW * SECOND + number for number in range(4)]
    clock.now -= 1000.0  # it was set: its time is followed
    assert inputs.stamps.read(TOPIC, ZERO)[0] == (NOW - 1001) * SECOND


def test_inputs_have_stamps_of_their_own(clock):
    inputs = Inputs(clock, stamps='arrival')
    assert inputs.stamps.read(TOPIC, ZERO)[0] == inputs.stamps.read('input', ZERO)[0]


@pytest.mark.parametrize('data', [b'short', bytes([0, 1, 0, 0]) + b'\xff' * 8, b'\1' * 20])
@pytest.mark.parametrize('stamps', ['header', 'arrival'])
def test_what_is_no_message_is_refused_either_way(clock, stamps, data):
    with pytest.raises(BadMessageError):
        Inputs(clock, stamps=stamps).stamps.read(TOPIC, data)


def test_an_offset_is_added(clock):
    inputs = Inputs(clock, stamp_offset=-0.25)
    stamp, data = inputs.stamps.read(TOPIC, message(2 * SECOND))
    assert stamp == stamp_of(data) == 1_750_000_000
    with pytest.raises(BadMessageError, match='after its correction'):
        inputs.stamps.read(TOPIC, message(SECOND // 4))


def test_an_offset_is_added_to_arrivals_too(clock):
    inputs = Inputs(clock, stamps='arrival', stamp_offset=-0.25)
    assert inputs.stamps.read(TOPIC, ZERO)[0] == NOW * SECOND - SECOND // 4


def test_a_constant_offset_is_found_and_corrected(clock):
    inputs = Inputs(clock)
    inputs.receive(50, offset=-0.5)
    ((source, finding),) = inputs.stamps.look()
    assert (source, finding.kind) == (TOPIC, StampKind.AHEAD)
    assert finding.text == 'stamps are 0.5 s ahead of their arrival: another clock'
    assert inputs.stamps.remedy(finding) == (
        '; synchronise the clocks, or correct it by s.stamp_offset'
    )
    assert inputs.stamps.notes() == (f'{TOPIC}: {finding.text}',)
    corrected = Inputs(clock, stamp_offset=-0.5)
    corrected.receive(50, offset=-0.5)
    assert corrected.stamps.look() == []
    assert corrected.stamps.notes() == ()
    assert corrected.stamps.values()[f'{TOPIC}.stamps'] == 'ok'


def test_the_figures_of_each_input_are_in_the_diagnostics(clock):
    inputs = Inputs(clock)
    inputs.receive(50, offset=0.02)
    inputs.stamps.look()
    clock.now += 0.2
    inputs.receive(1, offset=0.02)
    assert inputs.stamps.values() == {
        f'{TOPIC}.rate_hz': '10.00',
        f'{TOPIC}.period_jitter_ms': '0.00',
        f'{TOPIC}.gaps': 1,
        f'{TOPIC}.missing': 2,
        f'{TOPIC}.stamps': 'ok',
        f'{TOPIC}.stamp_offset_ms': '20.00',
        f'{TOPIC}.stamp_jitter_ms': '0.00',
    }


def test_a_topic_has_figures_before_its_first_message():
    """But not the stage's own, which few use."""
    stamps = InputStamps(stage_config('s', TOPIC, 'before'), RosTime(is_simulated=False, now=0.0))
    stamps.open(is_image=True)
    values = stamps.values()
    assert values[f'{TOPIC}.rate_hz'] == '0.00'
    assert values[f'{TOPIC}.stamps'] == values[f'{TOPIC}.stamp_offset_ms'] == ''
    assert {each.rpartition('.')[0] for each in values} == {TOPIC}


def test_a_recording_is_told_and_is_no_warning(clock):
    inputs = Inputs(clock)
    inputs.receive(50, offset=86_400.0)
    ((_, finding),) = inputs.stamps.look()
    assert finding.kind is StampKind.BEHIND
    assert inputs.stamps.notes() == ()


def test_simulated_time_is_what_stamps_are_compared_with(clock):
    inputs = Inputs(clock, is_simulated=True)
    inputs.stamps.read(TOPIC, message(7 * SECOND))  # /clock has shown nothing yet
    for number in range(50):
        inputs.ros_time.clock_received((10 + number) * SECOND, number)
        inputs.stamps.read(TOPIC, message((10 + number) * SECOND + 5))
    assert inputs.stamps.look() == []
    assert inputs.stamps.values()[f'{TOPIC}.stamps'] == 'ok'


def test_simulated_arrivals_begin_with_the_clock(clock):
    inputs = Inputs(clock, is_simulated=True, stamps='arrival')
    with pytest.raises(BadMessageError, match='found no time of arrival, as use_sim_time is true'):
        inputs.stamps.read(TOPIC, ZERO)
    inputs.ros_time.clock_received(7 * SECOND, 1.0)
    assert [inputs.stamps.read(TOPIC, ZERO)[0] - 7 * SECOND for _ in range(3)] == [0, 1, 2]
