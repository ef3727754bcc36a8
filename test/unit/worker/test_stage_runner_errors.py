# SPDX-License-Identifier: Apache-2.0
"""An exception of any kind in a stage's hook fails only the item or the job, and is logged."""

from __future__ import annotations

import asyncio
from bdb import BdbQuit

import pytest
from support.stage_runners import Plain, Worker, output

from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer


def test_an_error_is_logged_with_its_traceback(caplog):
    """In the log of its worker."""
    Worker(Plain()).run((12, 'raise'))
    (record,) = caplog.records
    assert record.levelname == 'ERROR'
    assert record.getMessage().startswith(
        'process() failed on the item stamped 12.000000005:\nTraceback'
    )
    assert 'RuntimeError: it failed' in record.getMessage()


class OddError(BaseException):
    """One of a library, which is no Exception."""


class RaisingTextError(Exception):
    def __str__(self):
        raise KeyboardInterrupt


RAISED = {
    'exit': (SystemExit('no camera'), 'SystemExit: no camera'),
    'interrupt': (KeyboardInterrupt(), 'KeyboardInterrupt'),
    'cancelled': (asyncio.CancelledError(), 'CancelledError'),
    'generator': (GeneratorExit(), 'GeneratorExit'),
    'stop': (StopIteration(3), 'StopIteration: 3'),
    'odd': (OddError('no'), 'OddError: no'),
    'text': (RaisingTextError(), 'RaisingTextError: no text'),
    'surrogates': (ValueError('\udcff\0'), 'ValueError: \\udcff\\x00'),
    'memory': (MemoryError(), 'MemoryError'),
}


@pytest.mark.parametrize('name', RAISED)
def test_an_exception_of_any_kind_fails_its_item_only(name: str, caplog):
    """With its own words; the worker continues."""
    error, expected = RAISED[name]

    class Raising(Plain):
        def process(self, item):
            if item.text == 'raise':
                raise error
            return super().process(item)

    first, second = Worker(Raising()).run((1, 'raise'), (2, 'b'))
    assert first == Answer(1, answers.ERROR, expected)
    assert second == output(2, 'b!')
    assert 'process() failed on the item stamped 1.000000005:\nTraceback' in caplog.text


def test_a_very_long_error_is_shortened():
    """In its answer, which is sent, kept and shown."""

    class Talkative(Plain):
        def process(self, item):
            raise ValueError(item.text * 10**7)

    (answer,) = Worker(Talkative()).run((1, 'a'))
    assert len(answer.text) < 2000


def test_quitting_the_debugger_ends_the_runner():
    """It is no failure of the item."""

    class Debugged(Plain):
        def process(self, item):  # noqa: ARG002
            raise BdbQuit

    worker = Worker(Debugged())
    with pytest.raises(BdbQuit):
        worker.run((1, 'a'))
    assert worker.said == []


def test_an_error_is_logged_whatever_the_stage_has_done_to_its_logger(caplog):
    """It may have one of its own, or none."""

    class Quiet(Plain):
        def process(self, item):
            self.logger = None
            return super().process(item)

    Worker(Quiet()).run((1, 'raise'))
    assert 'RuntimeError: it failed' in caplog.text


@pytest.mark.parametrize('name', RAISED)
def test_the_exception_of_a_job_is_kept_for_its_submitter(name: str):
    """Of any kind; the runner continues."""
    error, _ = RAISED[name]

    def hook() -> None:
        raise error

    worker = Worker(Plain())
    job = worker.runner.submit(hook)
    assert worker.run((1, 'a')) == [output(1, 'a!')]
    assert job.done
    assert job.error is error
