# SPDX-License-Identifier: Apache-2.0
"""Delivery to the ground, without a link and a clock."""

from __future__ import annotations

import itertools
import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from targets import cloud

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.reporting.ground_delivery import (
    GroundDelivery,
    RateLimits,
    TargetMessage,
    TextMessage,
    text_of,
)
from worker_pipeline.airside.reporting.target_report import ReportStore

PACE = RateLimits(period=0.5, retry=1.0, backoff_max=8.0, link_timeout=5.0, min_move=0.25)


def reports(*targets, **how):
    store = ReportStore(1.5)
    store.update(cloud(*targets, **how), 1)
    return store.reports


TWO = reports((3, 0.0, 0.0), (7, 50.0, 0.0))


def drive(delivery, known, begin, end, answer=lambda _message, _now: None):
    """Send all due messages, at its time; return (time, message) of each."""
    sent = []
    now = begin
    while now < end:
        message = delivery.next_message(known, now)
        if message is not None:
            sent.append((now, message))
            answer(message, now)
        now += max(0.001, delivery.time_to_next(known, now))
    return sent


def target_numbers(sent):
    return [each.report.number for _, each in sent if isinstance(each, TargetMessage)]


def test_an_acknowledged_report_is_not_repeated():
    delivery = GroundDelivery(PACE)
    delivery.record_contact(0.0)

    def acknowledge(message, now):
        if isinstance(message, TargetMessage):
            delivery.acknowledged(message.sequence, True, now)

    sent = drive(delivery, TWO, 0.0, 100.0, acknowledge)
    assert target_numbers(sent) == [1, 2]
    assert [each.text for _, each in sent if isinstance(each, TextMessage)] == list(
        map(text_of, TWO)
    )
    assert delivery.due(TWO) == []


def test_without_acknowledgements_all_reports_take_turns_with_growing_pauses():
    delivery = GroundDelivery(PACE)
    sent = drive(delivery, TWO, 0.0, 60.0)
    assert target_numbers(sent)[:6] == [1, 2, 1, 2, 1, 2]
    times = [time for time, _ in sent]
    gaps = [round(late - early, 1) for early, late in itertools.pairwise(times)]
    assert gaps[:6] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_after_new_contact_reports_are_sent_at_once():
    delivery = GroundDelivery(PACE)
    drive(delivery, TWO, 0.0, 36.0)
    assert delivery.time_to_next(TWO, 36.0) > 1.0
    delivery.record_contact(36.0)
    sent = drive(delivery, TWO, 36.0, 40.0)
    # First the texts, then each target again.
    assert [type(each) for _, each in sent[:3]] == [TextMessage, TextMessage, TargetMessage]
    assert sent[2][0] <= 37.01


def test_texts_are_sent_only_during_contact():
    delivery = GroundDelivery(PACE)
    assert not [
        each for _, each in drive(delivery, TWO, 0.0, 20.0) if isinstance(each, TextMessage)
    ]


def test_only_large_changes_are_sent():
    delivery = GroundDelivery(PACE)
    message = delivery.next_message(TWO, 0.0)
    delivery.acknowledged(message.sequence, True, 0.1)
    near = [attrs.evolve(TWO[0], east=0.2, count=9), TWO[1]]
    far = [attrs.evolve(TWO[0], east=0.3), TWO[1]]
    surer = [attrs.evolve(TWO[0], var_east=0.05, var_north=0.05), TWO[1]]
    gone = [attrs.evolve(TWO[0], withdrawn=True), TWO[1]]
    due = [[each.number for each in delivery.due(known)] for known in (near, far, surer, gone)]
    assert [1 in each for each in due] == [False, True, True, True]


def test_a_rejected_report_is_not_repeated():
    delivery = GroundDelivery(PACE)
    message = delivery.next_message(TWO, 0.0)
    delivery.acknowledged(message.sequence, False, 0.1)
    assert [each.number for each in delivery.due(TWO)] == [2]
    assert delivery.refused == 1


def test_a_late_acknowledgement_counts_for_its_own_report():
    delivery = GroundDelivery(PACE)
    first = delivery.next_message(TWO, 0.0)
    second = delivery.next_message(TWO, 1.0)
    assert (first.report.number, second.report.number) == (1, 2)
    delivery.acknowledged(first.sequence, True, 1.1)
    delivery.acknowledged(first.sequence, True, 1.2)
    assert [each.number for each in delivery.due(TWO)] == [2]


def test_a_target_is_finished_once_its_withdrawal_is_acknowledged():
    delivery = GroundDelivery(PACE)
    delivery.next_message(TWO[:1], 0.0)
    gone = [attrs.evolve(TWO[0], withdrawn=True)]
    message = delivery.next_message(gone, 1.0)
    assert message.report.withdrawn
    assert delivery.acknowledged(message.sequence, True, 1.1) == 1
    # This one was never sent.
    assert GroundDelivery(PACE).due(gone) == []


def test_a_replacement_neither_repeats_nor_forgets():
    first, second = GroundDelivery(PACE), GroundDelivery(PACE)
    message = first.next_message(TWO, 0.0)
    first.acknowledged(message.sequence, True, 0.1)
    second.restore(first.snapshot())
    assert [each.number for each in second.due(TWO)] == [2]
    assert second.next_message(TWO, 0.2).sequence != message.sequence


@given(st.integers(0, 2**32), st.floats(0.0, 0.6))
def test_everything_arrives_despite_losses_and_within_the_rate_limit(seed, loss):
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
