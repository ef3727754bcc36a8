"""A worker's page in shared memory."""

from __future__ import annotations

import errno
import os
import signal
import stat
import time

import psutil
import pytest
from support.children import child, sleeper

from worker_pipeline.runtime import vital_signs
from worker_pipeline.runtime.proc import start_of
from worker_pipeline.runtime.vital_signs import SIZE, Signs, VitalSigns
from worker_pipeline.testing import wait_for

WORKER = """
import sys
from pathlib import Path
from worker_pipeline.runtime.vital_signs import VitalSigns

signs = VitalSigns(Path(sys.argv[1]))
signs.born()
signs.begin(5)
signs.end()
signs.begin(2 ** 63 + 1)
print('at work', flush=True)
input()
"""


@pytest.fixture
def page(tmp_path):
    signs = VitalSigns.prepare(tmp_path / 'page', run=2**63 - 1, fit=2**64 - 1)
    yield signs
    signs.close()


def test_a_page_begins_with_its_run_and_its_fit_and_nobody_born(page):
    """Nobody lives whom nobody bore."""
    assert page.read() == Signs(2**63 - 1, 2**64 - 1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert not page.alive()


def test_a_page_is_for_nobody_else_and_made_once(page):
    """A second one of that name is an error."""
    assert stat.S_IMODE(page.path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        VitalSigns.prepare(page.path, 1, 1)
    assert page.read().run == 2**63 - 1


def test_a_page_that_nobody_made_is_not_made_by_looking(tmp_path):
    """Its worker is to find the one that its manager made."""
    with pytest.raises(FileNotFoundError):
        VitalSigns(tmp_path / 'none')
    assert not list(tmp_path.iterdir())


def test_what_a_worker_shows_is_read_in_another_process(page):
    """Also when it was killed: exactly which item it had in work."""
    before = time.monotonic_ns()
    with child(WORKER, page.path) as worker:
        assert worker.line() == 'at work'
        signs = page.read()
        assert (signs.pid, signs.started) == (worker.pid, start_of(worker.pid))
        assert (signs.in_work, signs.done) == (2**63 + 1, 1)
        assert before < signs.beat <= signs.born <= signs.since < time.monotonic_ns()
        assert page.alive()
        worker.kill()
    assert not page.alive()
    assert page.read() == signs


def test_each_beat_is_later_than_the_last(page):
    """By the clock that every process of the machine has in common."""
    beats = []
    for _ in range(3):
        page.beat()
        beats.append(page.read().beat)
    assert beats == sorted(set(beats))
    assert 0 <= time.monotonic_ns() - beats[-1] < 5_000_000_000


def test_items_are_counted_when_they_end(page):
    """In between none is in work."""
    for done in range(3):
        page.begin(done + 10)
        assert (page.read().in_work, page.read().done) == (done + 10, done)
        page.end()
        assert (page.read().in_work, page.read().done) == (0, done + 1)


def test_how_long_it_was_at_items_is_added_up(page, monkeypatch):
    """From each one's begin to its end; what lies between them is not its own."""
    now = 100
    monkeypatch.setattr(vital_signs.time, 'monotonic_ns', lambda: now)
    for begin, end in ((1_000, 1_250), (5_000, 5_001)):
        now = begin
        page.begin(7)
        now = end
        page.end()
    assert page.read().busy == 251


def test_since_when_is_known_before_what(page, monkeypatch):
    """Otherwise a new item would seem as old as the one before it, for a moment."""
    page.begin(1)
    page.end()
    seen = []
    monkeypatch.setattr(vital_signs.time, 'monotonic_ns', lambda: seen.append(page.read()) or 77)
    page.begin(2)
    assert [each.in_work for each in seen] == [0]
    assert (page.read().in_work, page.read().since) == (2, 77)


def test_a_process_that_has_got_the_pid_of_a_dead_one_is_not_taken_for_it(page):
    """The kernel knows when each was started."""
    page.born()
    assert page.alive()
    page._fields[3] -= 1
    assert not page.alive()


def test_a_dead_process_that_nobody_has_reaped_is_dead(page):
    """And one that is stopped is not."""
    with sleeper() as process:
        page._fields[2], page._fields[3] = process.pid, start_of(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(process.pid).status() == 'stopped', 'the stop')
        assert page.alive()
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: psutil.Process(process.pid).status() == 'zombie', 'its end')
        assert not page.alive()
        assert start_of(process.pid) is None


def test_a_page_is_taken_away_when_it_is_closed_for_good(page, tmp_path):
    """Otherwise it stays for whoever comes."""
    other = VitalSigns.prepare(tmp_path / 'other', 1, 1)
    other.close()
    assert other.path.exists()
    again = VitalSigns(other.path)
    other.path.unlink()
    again.close(remove=True)  # somebody else was faster
    page_again = VitalSigns(page.path)
    page_again.close(remove=True)
    assert not list(tmp_path.iterdir())


def test_a_page_has_all_its_room_from_the_beginning(tmp_path, monkeypatch):
    """Where there is none it is not made: writing to it later would be SIGBUS."""
    page = VitalSigns.prepare(tmp_path / 'page', 1, 1)
    assert page.path.stat().st_size == SIZE
    page.close(remove=True)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(OSError, match='No space left'):
        VitalSigns.prepare(tmp_path / 'page', 1, 1)
    assert not list(tmp_path.iterdir())
