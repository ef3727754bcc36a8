# SPDX-License-Identifier: Apache-2.0
"""The table of the hostile stages and its document."""

from __future__ import annotations

import re
from collections import Counter

from hostile.case import Promise
from hostile.document import DOCUMENT, document
from hostile.table import CASES


def test_the_document_is_what_the_table_says():
    """After a change: PYTHONPATH=.:test python -m hostile.document."""
    assert DOCUMENT.read_text() == document()


def test_there_are_many_cases_with_names_of_their_own():
    names = Counter(case.name for case in CASES)
    assert names.most_common(1)[0][1] == 1
    assert len(CASES) > 100


def test_every_case_says_what_it_does_and_names_its_cause():
    for case in CASES:
        assert case.description, case.name
        assert not case.source or re.fullmatch(r'[\w.-]+/[\w.-]+#\d+', case.source)
        if case.promise not in (Promise.ANSWERED, Promise.REPLACED):
            assert case.cause, case.name
