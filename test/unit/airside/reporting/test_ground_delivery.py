"""What is sent to the ground, and when; no link and no clock."""

from __future__ import annotations

import itertools
import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from targets import cloud

from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.airside.reporting.ground_delivery import (
    GroundDelivery,
    Pace,
    TargetMessage,
    TextMessage,
    text_of,
)
from worker_pipeline.airside.reporting.target_report import ReportBook

PACE = Pace(period=0.5, retry=1.0, backoff_max=8.0, link_timeout=5.0, min_move=0.25)


def reports(*targets, **how):
    book = ReportBook(1.5)
    book.update(cloud(*targets, **how), 1)
    return book.reports


TWO = reports((3, 0.0, 0.0), (7, 50.0, 0.0))


def drive(delivery, known, begin, end, answer=lambda _message, _now: None):
    """Send whatever is to be sent, at the time it says; returns (time, message) of each."""
    sent = []
    now = begin
    while now < end:
        message = delivery.next(known, now)
        if message is not None:
            sent.append((now, message))
            answer(message, now)
        now += max(0.001, delivery.wait(known, now))
    return sent


def told(sent):
    return [each.report.number for _, each in sent if isinstance(each, TargetMessage)]


def test_what_is_acknowledged_is_not_repeated():
    delivery = GroundDelivery(PACE)
    delivery.heard(0.0)

    def acknowledge(message, now):
        if isinstance(message, TargetMessage):
            delivery.acknowledged(message.sequence, True, now)

    sent = drive(delivery, TWO, 0.0, 100.0, acknowledge)
    assert told(sent) == [1, 2]
    assert [each.text for _, each in sent if isinstance(each, TextMessage)] == list(
        map(text_of, TWO)
    )
    assert delivery.due(TWO) == []


def test_without_an_answer_all_have_their_turn_and_the_attempts_get_rarer():
    delivery = GroundDelivery(PACE)
    sent = drive(delivery, TWO, 0.0, 60.0)
    assert told(sent)[:6] == [1, 2, 1, 2, 1, 2]
    times = [time for time, _ in sent]
    gaps = [round(late - early, 1) for early, late in itertools.pairwise(times)]
    assert gaps[:6] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_the_ground_heard_again_is_told_at_once():
    delivery = GroundDelivery(PACE)
    drive(delivery, TWO, 0.0, 36.0)
    assert delivery.wait(TWO, 36.0) > 1.0
    delivery.heard(36.0)
    sent = drive(delivery, TWO, 36.0, 40.0)
    # First to the person, then each target again.
    assert [type(each) for _, each in sent[:3]] == [TextMessage, TextMessage, TargetMessage]
    assert sent[2][0] <= 37.01


def test_a_person_is_told_only_while_somebody_is_there():
    delivery = GroundDelivery(PACE)
    assert not [
        each for _, each in drive(delivery, TWO, 0.0, 20.0) if isinstance(each, TextMessage)
    ]


def test_a_small_change_is_kept_to_oneself_and_a_large_one_told():
    delivery = GroundDelivery(PACE)
    message = delivery.next(TWO, 0.0)
    delivery.acknowledged(message.sequence, True, 0.1)
    near = [attrs.evolve(TWO[0], east=0.2, count=9), TWO[1]]
    far = [attrs.evolve(TWO[0], east=0.3), TWO[1]]
    surer = [attrs.evolve(TWO[0], var_east=0.05, var_north=0.05), TWO[1]]
    gone = [attrs.evolve(TWO[0], withdrawn=True), TWO[1]]
    due = [[each.number for each in delivery.due(known)] for known in (near, far, surer, gone)]
    assert [1 in each for each in due] == [False, True, True, True]


def test_what_the_ground_has_no_use_for_is_not_repeated():
    delivery = GroundDelivery(PACE)
    message = delivery.next(TWO, 0.0)
    delivery.acknowledged(message.sequence, False, 0.1)
    assert [each.number for each in delivery.due(TWO)] == [2]
    assert delivery.refused == 1


def test_a_late_acknowledgement_counts_for_what_it_was_of():
    delivery = GroundDelivery(PACE)
    first = delivery.next(TWO, 0.0)
    second = delivery.next(TWO, 1.0)
    assert (first.report.number, second.report.number) == (1, 2)
    delivery.acknowledged(first.sequence, True, 1.1)
    delivery.acknowledged(first.sequence, True, 1.2)
    assert [each.number for each in delivery.due(TWO)] == [2]


def test_a_target_is_done_with_when_the_ground_knows_that_it_was_withdrawn():
    delivery = GroundDelivery(PACE)
    delivery.next(TWO[:1], 0.0)
    gone = [attrs.evolve(TWO[0], withdrawn=True)]
    message = delivery.next(gone, 1.0)
    assert message.report.withdrawn
    assert delivery.acknowledged(message.sequence, True, 1.1) == 1
    # Nobody ever heard of this one.
    assert GroundDelivery(PACE).due(gone) == []


def test_a_replacement_neither_repeats_nor_forgets():
    first, second = GroundDelivery(PACE), GroundDelivery(PACE)
    message = first.next(TWO, 0.0)
    first.acknowledged(message.sequence, True, 0.1)
    second.load(first.dump())
    assert [each.number for each in second.due(TWO)] == [2]
    assert second.next(TWO, 0.2).sequence != message.sequence


@given(st.integers(0, 2**32), st.floats(0.0, 0.6))
def test_whatever_is_lost_everything_arrives_and_never_faster_than_allowed(seed, loss):
    luck = random.Random(seed)
    known = reports(*((NO_LABEL, 10.0 * i, 0.0) for i in range(6)))
    delivery = GroundDelivery(PACE)
    arrived = {}

    def answer(message, now):
        if isinstance(message, TargetMessage) and luck.random() > loss:
            arrived[message.report.number] = message.report
            if luck.random() > loss:
                delivery.acknowledged(message.sequence, True, now)

    sent = drive(delivery, known, 0.0, 3000.0, answer)
    times = [time for time, _ in sent]
    assert all(late - early >= PACE.period - 1e-9 for early, late in itertools.pairwise(times))
    assert delivery.due(known) == []
    assert arrived == {each.number: each for each in known}


@pytest.mark.parametrize('label', [NO_LABEL, 49, 2**31 - 1])
def test_a_text_fits_into_one_message(label):
    (report,) = reports((label, 0.0, 0.0))
    text = text_of(attrs.evolve(report, longitude=-179.1234567, latitude=-45.1234567))
    assert len(text) <= 50
    assert text.isascii()
    if label < 50:
        assert text.endswith('0.5 m')
