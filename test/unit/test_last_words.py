"""What a worker says of its end, in its page."""

from __future__ import annotations

import pytest

from worker_pipeline.runtime.vital_signs import VitalSigns


@pytest.fixture
def page(tmp_path):
    signs = VitalSigns.prepare(tmp_path / 'page', run=1, fit=2)
    yield signs
    signs.close()


@pytest.mark.parametrize(
    'words',
    ['ValueError: no', 'KeyError: 猫\n', 'x' * 1023],
    ids=['short', 'not English', 'as long as may be'],
)
def test_last_words_are_read_by_whoever_opens_the_page(page, words):
    """Also when the process that left them is gone."""
    assert page.words() == ''
    page.say(words)
    other = VitalSigns(page.path)
    assert other.words() == words
    other.close()
    assert page.read().run == 1


@pytest.mark.parametrize(
    ('words', 'kept'), [('é' * 2000, 'é' * 511), ('a\0b', 'a'), ('\ud800', '?')]
)
def test_last_words_that_do_not_fit_are_cut(page, words, kept):
    """Whole characters are left; the last said are the ones that hold."""
    page.say('y' * 5000)
    page.say(words)
    assert page.words() == kept
