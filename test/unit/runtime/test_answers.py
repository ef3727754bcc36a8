"""The last answers of a worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.runtime import answers
from worker_pipeline.runtime.answers import Answer, RecentAnswers


def numbers(recent: RecentAnswers) -> list[int]:
    return [answer.number for answer in recent.all()]


@given(given_=st.lists(st.integers(1, 9), max_size=30), size=st.integers(1, 5))
def test_the_last_ones_are_kept_the_oldest_first(given_: list[int], size: int):
    """An item answered again counts as answered then, and once."""
    recent = RecentAnswers(size)
    for number in given_:
        recent.add(Answer(number, answers.NONE))
    last = list(dict.fromkeys(reversed(given_)))[:size]
    assert numbers(recent) == last[::-1]


def test_the_later_answer_to_an_item_is_the_one_that_counts():
    """It was tried again: one that is not final takes away the one before."""
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
def test_only_an_item_that_is_done_is_answered_for_good(kind: str, is_final: bool):
    """What failed or was not begun may be given again, and takes no other's place."""
    recent = RecentAnswers(1)
    recent.add(Answer(5, answers.OUTPUT))
    recent.add(Answer(1, kind))
    assert recent.get(1) == (Answer(1, kind) if is_final else None)
    assert recent.get(5) == (None if is_final else Answer(5, answers.OUTPUT))
    assert recent.get(2) is None


def test_these_and_one_more_are_others():
    """These stay what they are."""
    recent = RecentAnswers(2)
    recent.add(Answer(1, answers.NONE))
    recent.add(Answer(2, answers.NONE))
    assert numbers(recent.and_also(Answer(3, answers.NONE))) == [2, 3]
    assert numbers(recent) == [1, 2]
