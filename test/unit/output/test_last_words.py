# SPDX-License-Identifier: Apache-2.0
"""Of a dead worker's last lines those are shown that belong to its end."""

from __future__ import annotations

from worker_pipeline.output.last_words import MAX_OTHER, MAX_REPORT, last_words

RUNNER = '  File "/x/worker_pipeline/worker/stage_runner.py", line 229 in _call_stage'
FRAME = '  File "/home/me/stage.py", line 13 in process'


def test_of_a_crash_the_frames_of_the_stage():
    lines = ['item 7', 'free(): invalid pointer', 'Fatal Python error: Aborted', '']
    lines += ['Stack (most recent call first):', FRAME, RUNNER, RUNNER, '', 'Extension modules: a']
    assert last_words(['much earlier', *lines]) == [*lines[:3], *lines[4:6]]


def test_of_a_crash_the_thread_that_crashed():
    lines = ['Fatal Python error: Segmentation fault', '', 'Thread 0x1 (most recent call first):']
    lines += [RUNNER, '', 'Current thread 0x2 (most recent call first):', FRAME, RUNNER]
    assert last_words(lines) == [lines[0], lines[5], FRAME]


def test_of_an_expired_timeout_the_stage_on_the_thread_that_calls_it():
    """It shows all threads, the last call of each first."""
    lines = ['Timeout (0:00:00.300000)!', 'Thread 0x1 (most recent call first):']
    lines += ['  File "/x/worker_pipeline/worker/liveness_thread.py", line 9 in run', '']
    lines += ['Thread 0x2 (most recent call first):', FRAME, RUNNER, '  File "/x/cli.py", line 2']
    assert last_words(lines) == [lines[0], FRAME]
    assert last_words(lines[:1] + lines[4:6]) == [lines[0], lines[4], FRAME]


def test_of_a_traceback_the_end():
    frames = [f'  File "a.py", line {number}' for number in range(50)]
    lines = ['Traceback (most recent call last):', *frames, 'ValueError: bad']
    found = last_words(lines)
    assert found[0] == lines[0]
    assert found[-1] == 'ValueError: bad'
    assert len(found) == MAX_REPORT
    assert last_words([lines[0], frames[0], 'E: x']) == [lines[0], frames[0], 'E: x']


def test_of_anything_else_the_last_few_lines():
    assert last_words([str(number) for number in range(100)] + ['', ' ']) == [
        str(number) for number in range(100 - MAX_OTHER, 100)
    ]
    assert last_words([]) == []
