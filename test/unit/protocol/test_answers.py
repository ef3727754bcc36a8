# SPDX-License-Identifier: Apache-2.0
"""A worker keeps its last final answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers


def numbers(recent: RecentAnswers) -> list[int]:
    return [answer.number for answer in recent.all()]


@given(given_=st.lists(st.integers(1, 9), max_size=30), size=st.integers(1, 5))
def test_the_last_answers_are_kept_oldest_first(given_: list[int], size: int):
    """A repeated answer replaces the earlier one and counts as the latest."""
    recent = RecentAnswers(size)
    for number in given_:
        recent.add(Answer(number, answers.NONE))
    last = list(dict.fromkeys(reversed(given_)))[:size]
    assert numbers(recent) == last[::-1]


def test_the_latest_answer_to_an_item_counts():
    """The item was retried: an answer that is not final removes the earlier one."""
    recent = RecentAnswers(3)
    recent.add(Answer(1, answers.NONE))
    recent.add(Answer(1, answers.OUTPUT, output=b'output'))
    assert recent.all() == [Answer(1, answers.OUTPUT, '', b'output')]
    recent.add(Answer(1, answers.ERROR, 'bad'))
    assert recent.all() == []


@pytest.mark.parametrize(
    ('kind', 'is_final'),
    [
        (answers.OUTPUT, True),
        (answers.NONE, True),
        (answers.END_OF_STREAM, True),
        (answers.REFUSED, True),
        (answers.ERROR, False),
        (answers.RETURNED, False),
    ],
)
def test_only_final_answers_are_kept(kind: str, is_final: bool):
    """An item that failed or was not started may be sent again, and replaces no other answer."""
    recent = RecentAnswers(1)
    recent.add(Answer(5, answers.OUTPUT))
    recent.add(Answer(1, kind))
    assert recent.get(1) == (Answer(1, kind) if is_final else None)
    assert recent.get(5) == (None if is_final else Answer(5, answers.OUTPUT))
    assert recent.get(2) is None


def test_with_answer_returns_a_copy():
    """The original is unchanged."""
    recent = RecentAnswers(2)
    recent.add(Answer(1, answers.NONE))
    recent.add(Answer(2, answers.NONE))
    assert numbers(recent.with_answer(Answer(3, answers.NONE))) == [2, 3]
    assert numbers(recent) == [1, 2]
