# SPDX-License-Identifier: Apache-2.0
"""Conversion of the vehicle's time to ours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.mavlink.vehicle_clock import MILLISECONDS, SECONDS, VehicleClock

START = 5_000 * SECONDS
BOOTED = 4_000 * SECONDS


class Course:
    """A vehicle that sends its time 50 times per second, and answers TIMESYNC once per second.

    ``delay``: a function that returns the delay of a message, ns.
    """

    def __init__(self, clock, drift=0.0, booted=BOOTED, delay=lambda: 5 * MILLISECONDS):
        self.clock = clock
        self.drift, self.booted, self.delay = drift, booted, delay
        self.now = START
        self.answers = True
        self.errors = []

    def vehicle_ns(self, at):
        return round((at - self.booted) * (1 + self.drift))

    def send(self, extra=0):
        """Send one message; return whether it is plausible. Its error is recorded."""
        sent = self.vehicle_ns(self.now) // 1000
        relied_on = self.clock.add_message(sent, self.now + self.delay() + extra)
        if relied_on:
            self.errors.append(self.clock.to_local(sent) - self.now)
        return relied_on

    def answer(self):
        there, back = self.delay(), self.delay()
        asked = self.now
        self.clock.add_timesync(asked, self.vehicle_ns(asked + there), asked + there + back)

    def fly(self, seconds):
        for step in range(round(50 * seconds)):
            self.now += SECONDS // 50
            if self.answers and step % 50 == 0:
                self.answer()
            self.send()
        return self

    def errors_ms(self, last):
        return np.abs(self.errors[-last:]) / MILLISECONDS


def jittery(seed, least=4.0, mean=6.0):
    """Return random delays with a tail, ns, never below ``least`` (ms)."""
    random = np.random.default_rng(seed)
    return lambda: round((least + random.exponential(mean)) * MILLISECONDS)


@pytest.mark.parametrize('drift', [0.0, 50e-6, -50e-6])
def test_with_timesync_the_clock_is_accurate_to_two_milliseconds(drift):
    """For any delays, as long as the fastest messages take equally long both ways."""
    course = Course(VehicleClock(), drift, delay=jittery(1)).fly(60)
    assert course.errors_ms(2500).max() < 2.0
    assert 2 * MILLISECONDS < course.clock.uncertainty < 10 * MILLISECONDS


@pytest.mark.parametrize('drift', [0.0, 50e-6, -50e-6])
def test_without_timesync_the_error_is_the_smallest_delay(drift):
    """It cannot be known then; if it is configured, it is subtracted."""
    course = Course(VehicleClock(), drift, delay=jittery(2))
    course.answers = False
    course.fly(60)
    assert course.clock.uncertainty is None
    errors = course.errors_ms(2500)
    assert (errors.min(), errors.max()) == pytest.approx((4.0, 4.0), abs=1.0)
    configured = Course(VehicleClock(4 * MILLISECONDS), drift, delay=jittery(2))
    configured.answers = False
    assert configured.fly(60).errors_ms(2500).max() < 1.0


@given(st.lists(st.floats(0.5, 500.0), min_size=20, max_size=60), st.floats(-9e-5, 9e-5))
def test_the_error_never_exceeds_the_stated_uncertainty(delays, drift):
    course = Course(VehicleClock(), drift)
    delay = itertools.cycle(round(each * MILLISECONDS) for each in delays)
    course.delay = lambda: next(delay)
    course.answer()
    course.send()
    for _ in delays:
        course.fly(0.1)
        # The vehicle's times are rounded to a microsecond.
        assert abs(course.errors[-1]) <= course.clock.uncertainty + 2_000


def test_a_late_message_changes_nothing():
    """A link that stalls for three seconds and then delivers everything at once."""
    course = Course(VehicleClock()).fly(10)
    before = course.errors[-1]
    for late in range(150, 0, -1):
        course.now += SECONDS // 50
        assert course.send(extra=late * SECONDS // 50)
    assert abs(course.errors[-1] - before) < MILLISECONDS
    assert course.clock.jumps == 0


@pytest.mark.parametrize('answers', [True, False])
def test_a_reboot_is_detected_and_counted(answers):
    """Two messages are rejected, as they may be stray; the third confirms the jump."""
    course = Course(VehicleClock())
    course.answers = answers
    course.fly(10)
    course.booted = course.now - SECONDS // 2
    course.now += SECONDS // 2
    assert [course.send() for _ in range(4)] == [False, False, True, True]
    assert course.clock.jumps == 1
    assert course.fly(5).clock.jumps == 1
    assert course.errors_ms(100).max() < 6.0


def test_one_stray_message_is_not_a_reboot():
    course = Course(VehicleClock()).fly(10)
    for vehicle_us in (1_000_000, 2**40):
        assert not course.clock.add_message(vehicle_us, course.now)
        assert course.send()
    assert course.clock.jumps == 0
    assert course.errors_ms(10).max() < 1.0


@pytest.mark.parametrize('answers', [True, False])
def test_a_reboot_during_a_silence_is_detected(answers):
    """The link was down for so long that the new time is later than the old one."""
    course = Course(VehicleClock(), booted=START - 5 * SECONDS)
    course.answers = answers
    course.fly(5)
    course.now += 60 * SECONDS
    course.booted = course.now - 20 * SECONDS
    course.fly(10)
    assert course.clock.jumps == 1
    assert course.errors_ms(100).max() < 6.0


def test_a_clock_set_forward_is_detected():
    course = Course(VehicleClock()).fly(5)
    course.booted -= 3600 * SECONDS
    course.fly(5)
    assert course.clock.jumps == 1
    assert course.errors_ms(100).max() < 1.0


def test_a_replacement_continues_with_the_estimate():
    """On a machine that has booted since, the estimate is dropped."""
    course = Course(VehicleClock(), delay=jittery(3)).fly(20)
    successor = VehicleClock()
    successor.restore(course.clock.snapshot(), course.now + SECONDS)
    successor.add_message(course.vehicle_ns(course.now) // 1000, course.now + SECONDS)
    there = course.vehicle_ns(course.now) // 1000
    assert abs(successor.to_local(there) - course.clock.to_local(there)) < MILLISECONDS
    other = VehicleClock()
    other.restore(course.clock.snapshot(), START - SECONDS)
    assert not other.is_known
