# SPDX-License-Identifier: Apache-2.0
"""An exit is logged with the last lines of its worker, as soon as they are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from worker_pipeline.manager.exit_reporter import ExitReporter
from worker_pipeline.manager.worker_facts import WorkerExited
from worker_pipeline.output.output_relay import LAST_LINES_TIMEOUT


class Relay:
    """Answers requests when it is told to."""

    def __init__(self):
        self.asked: list[str] = []
        self.forgotten: list[str] = []
        self.answers: dict[int, list[str]] = {}

    def ask_last_words(self, record):
        self.asked.append(record.name)
        return len(self.asked)

    def answer(self, request):
        return self.answers.get(request) if request else []

    def await_answer(self, request):
        return self.answer(request) or []

    def ended(self, record):
        self.forgotten.append(record.name)


@pytest.fixture
def rig():
    log: list[str] = []
    relay = Relay()
    return SimpleNamespace(
        log=log, relay=relay, exits=ExitReporter(relay, SimpleNamespace(warning=log.append))
    )


def exited(slot='worker_0', reason='killed by SIGSEGV', recorded='', wanted=True):
    record = SimpleNamespace(path=Path(slot), exit_reason=lambda: recorded)
    return WorkerExited(slot, reason, None, record, wanted)


def test_an_exit_is_logged_when_its_last_lines_have_arrived(rig):
    rig.exits.begin(exited(), 2)
    rig.exits.end(1.0)
    rig.exits.tick(1.1)
    assert rig.log == []
    rig.relay.answers[1] = ['bad pointer', 'Aborted']
    rig.exits.tick(1.2)
    rig.exits.tick(1.3)
    text = 'worker_0 exited: killed by SIGSEGV; requeued its 2 items; it printed last:'
    assert rig.log == [f'{text}\n  bad pointer\n  Aborted']


def test_a_late_answer_is_not_waited_for(rig):
    rig.exits.begin(exited(), 0)
    rig.exits.end(1.0)
    rig.exits.tick(1.0 + LAST_LINES_TIMEOUT)
    assert rig.log == ['worker_0 exited: killed by SIGSEGV; it held no items']


def test_exits_are_logged_in_their_order(rig):
    for slot in ('worker_0', 'worker_1'):
        rig.exits.begin(exited(slot), 0)
        rig.exits.end(1.0)
    rig.relay.answers[2] = []
    rig.exits.tick(1.1)
    assert rig.log == []
    rig.relay.answers[1] = []
    rig.exits.tick(1.2)
    assert [line.split()[0] for line in rig.log] == ['worker_0', 'worker_1']


def test_a_quarantine_for_an_exit_has_the_last_lines_and_no_other_has(rig):
    assert rig.exits.explain('ValueError: x') == 'ValueError: x'
    rig.relay.answers[1] = ['a', '  b']
    rig.exits.begin(exited(), 0)
    assert rig.exits.explain('ValueError: x') == 'ValueError: x'
    cause = 'killed by SIGSEGV; it printed last: a | b'
    assert rig.exits.explain('killed by SIGSEGV') == cause
    assert rig.exits.explain('killed by SIGSEGV') == cause
    rig.exits.end(1.0)
    assert rig.relay.asked == ['worker_0']
    assert rig.log[0].endswith('it printed last:\n  a\n    b')
    assert rig.exits.explain('killed by SIGSEGV') == 'killed by SIGSEGV'


def test_a_reason_that_the_worker_has_recorded_is_enough(rig):
    rig.exits.begin(exited(reason='no camera', recorded='no camera'), 0)
    assert rig.exits.explain('no camera') == 'no camera'
    rig.exits.end(1.0)
    assert rig.log == ['worker_0 exited: no camera; it held no items']
    assert rig.relay.asked == []
    assert rig.relay.forgotten == ['worker_0']


def test_an_exit_that_was_wanted_is_not_logged(rig):
    rig.exits.begin(exited(wanted=False), 0)
    rig.exits.end(1.0)
    rig.exits.tick(9.0)
    assert rig.log == rig.relay.asked == []
    assert rig.relay.forgotten == ['worker_0']
    rig.exits.end(2.0)
