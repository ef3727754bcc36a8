"""What the next manager finds, made by hand."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

import pytest
from support.children import sleeper

from worker_pipeline.runtime import pipeline_folder
from worker_pipeline.runtime.inheritance import Legacy, end, inherit
from worker_pipeline.runtime.journal import Journal
from worker_pipeline.runtime.pipeline_folder import Held, PipelineFolder, write_held
from worker_pipeline.runtime.proc import start_of
from worker_pipeline.runtime.vital_signs import VitalSigns

BOOK = {'ledger': {}, 'source': {}, 'handed': [], 'looks': {}, 'listeners': 0, 'outside': []}
PID, STARTED = 2, 3  # fields of a page


class Estate:
    """A folder as a manager leaves it that was killed."""

    def __init__(self) -> None:
        self._folder = PipelineFolder('/airside', 0)
        self._stack = contextlib.ExitStack()
        self.run = self._folder.run
        self.told: list[str] = []

    def write_journal(
        self, snapshot: dict[str, Any], *entries: list[tuple[str, str, tuple[Any, ...]]]
    ) -> None:
        journal = Journal(self._folder.journal, self.run, payloads=True)
        journal.begin(snapshot)
        for entry in entries:
            for stage, name, arguments in entry:
                journal.note(stage, name, *arguments)
            journal.commit()
        journal.close()

    def page(self, stage: str, slot: str, in_work: int = 0, held: Any = None) -> VitalSigns:
        """Of a worker that was never born."""
        page = self._folder.new_page(stage, slot, fit=7)
        if in_work:
            page.begin(in_work)
        if held is not None:
            write_held(page, Held(held, [b'a frame']))
        return page

    def dead(self, stage: str, slot: str, in_work: int = 0, held: Any = None) -> VitalSigns:
        page = self.page(stage, slot, in_work, held)
        with sleeper() as process:
            page._fields[PID], page._fields[STARTED] = process.pid, start_of(process.pid)
        return page

    def living(self, stage: str, slot: str, in_work: int = 0, held: Any = None) -> Any:
        page = self.page(stage, slot, in_work, held)
        process = self._stack.enter_context(sleeper())
        page._fields[PID], page._fields[STARTED] = process.pid, start_of(process.pid)
        return process

    def inherited(self, *, journal_kept: bool = True) -> dict[str, Legacy] | None:
        """What the next manager makes of it."""
        self.close()
        self._folder = PipelineFolder('/airside', 0)
        return inherit(self._folder, self.told.append, journal_kept=journal_kept)

    @property
    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self._folder.path))
            for path in self._folder.path.rglob('*')
            if path.is_file() and path != self._folder.lock_file
        )

    @property
    def folder(self) -> PipelineFolder:
        return self._folder

    def close(self) -> None:
        self._folder.close(remove=False)

    def end(self) -> None:
        self._stack.close()
        self._folder.close(remove=True)


@pytest.fixture
def estate(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline_folder, 'SHARED_MEMORY', tmp_path)
    found = Estate()
    yield found
    found.end()


def pids(legacy: Legacy) -> dict[str, int]:
    return {slot: page.read().pid for slot, page in legacy.living.items()}


def test_the_first_manager_inherits_nothing(estate):
    """And says nothing."""
    assert estate.inherited() is None
    assert estate.told == []


def test_the_living_are_found_by_their_slots(estate):
    """They go on; the run is theirs."""
    estate.write_journal({'a': BOOK, 'b': BOOK})
    first, second, third = (
        estate.living(stage, slot)
        for stage, slot in [('a', 'worker_0'), ('a', 'worker_1'), ('b', 'worker_0')]
    )
    run = estate.run
    left = estate.inherited()
    assert {name: pids(legacy) for name, legacy in left.items()} == {
        'a': {'worker_0': first.pid, 'worker_1': second.pid},
        'b': {'worker_0': third.pid},
    }
    assert [legacy.in_work for legacy in left.values()] == [{}, {}]
    assert estate.folder.run == run
    assert {each.poll() for each in (first, second, third)} == {None}
    assert len(estate.files) == 4


def test_the_dead_leave_what_they_had_in_work(estate):
    """It may have been the cause. Their pages are not needed any more."""
    estate.write_journal({'a': BOOK})
    estate.dead('a', 'worker_0', in_work=17)
    estate.dead('a', 'worker_1')
    left = estate.inherited()
    assert left['a'].living == {}
    assert left['a'].in_work == {'worker_0': 17, 'worker_1': 0}
    assert estate.files == ['journal']


def test_a_worker_that_was_never_born_is_one_of_the_dead(estate):
    """The manager was killed between making its page and its birth."""
    estate.write_journal({'a': BOOK})
    estate.page('a', 'worker_0')
    left = estate.inherited()
    assert left['a'].living == {}
    assert not left['a'].in_work.get('worker_0')
    assert estate.files == ['journal']


def test_what_workers_kept_is_found_whether_they_live_or_not(estate):
    """For items that are not in the journal."""
    estate.write_journal({'a': BOOK, 'b': BOOK})
    estate.living('a', 'worker_0', held={1: b'one', 2: b'two'})
    estate.dead('a', 'worker_1', in_work=3, held={3: b'three'})
    estate.dead('b', 'worker_0', held={3: b'another three'})
    left = estate.inherited(journal_kept=False)
    assert left['a'].payloads == {1: b'one', 2: b'two', 3: b'three'}
    assert left['b'].payloads == {3: b'another three'}


def test_which_frames_workers_look_at_is_what_they_told_last(estate):
    """The journal tells what their manager knew; they, what they looked at after its death."""
    estate.write_journal(
        {'a': BOOK | {'looks': {'worker_0': [b'old'], 'worker_1': [b'old'], 'worker_2': [b'old']}}},
        [('a', 'looks', ('worker_1', [b'new']))],
        [('a', 'looks', ('worker_2', []))],
    )
    estate.living('a', 'worker_0')
    estate.living('a', 'worker_1')
    estate.living('a', 'worker_2', held={})
    assert estate.inherited()['a'].looks == {
        'worker_0': [b'old'],
        'worker_1': [b'new'],
        'worker_2': [b'a frame'],
    }


def test_of_two_that_live_in_one_slot_the_youngest_stays(estate):
    """The other one is ended before anything is given to anybody."""
    estate.write_journal({'a': BOOK})
    older = estate.living('a', 'worker_0', in_work=1)
    younger = estate.living('a', 'worker_0', in_work=2)
    left = estate.inherited()
    assert pids(left['a']) == {'worker_0': younger.pid}
    assert older.wait(5.0) == -signal.SIGKILL
    assert younger.poll() is None
    assert len(estate.files) == 2


@pytest.mark.parametrize('order', ['dead first', 'living first'])
def test_one_that_lives_has_the_slot_of_the_dead(estate, order: str):
    """What the dead one had in work is not the living one's."""
    estate.write_journal({'a': BOOK})
    make = [lambda: estate.dead('a', 'worker_0', in_work=9)]
    make.insert(order == 'dead first', lambda: estate.living('a', 'worker_0', in_work=4))
    for each in make:
        each()
    left = estate.inherited()
    assert list(left['a'].living) == ['worker_0']
    assert left['a'].living['worker_0'].read().in_work == 4
    assert order == 'living first' or left['a'].in_work == {}


def test_of_several_dead_in_one_slot_the_youngest_had_it_in_work(estate):
    """The others were buried, only their pages were not."""
    estate.write_journal({'a': BOOK})
    for number in (1, 2, 3):
        estate.dead('a', 'worker_0', in_work=number)
    assert estate.inherited()['a'].in_work == {'worker_0': 3}


def test_workers_of_another_run_are_ended_and_nothing_is_taken_over(estate):
    """Their numbers are those of other items."""
    estate.run += 1
    estate.write_journal({'a': BOOK})
    stranger = estate.living('a', 'worker_0', in_work=1, held={1: b'one'})
    estate.dead('a', 'worker_1', in_work=2, held={2: b'two'})
    estate.page('a', 'worker_2')
    left = estate.inherited()
    assert left == {'a': Legacy(book=BOOK)}
    assert stranger.wait(5.0) == -signal.SIGKILL
    assert estate.files == ['journal']
    assert estate.folder.run == estate.run


@pytest.mark.parametrize('journal', [None, b'', b'of another version'])
def test_workers_whose_journal_cannot_be_read_are_ended(estate, journal: bytes | None):
    """Nobody knows what they have done; it is told."""
    processes = [estate.living('a', 'worker_0', held={1: b'one'}), estate.living('b', 'worker_0')]
    estate.dead('a', 'worker_1')
    estate.page('a', 'worker_2')
    (estate.folder.states / 'a.worker_0').write_bytes(b'state')
    if journal is not None:
        estate.folder.journal.write_bytes(journal)
    assert estate.inherited() is None
    assert [each.wait(5.0) for each in processes] == [-signal.SIGKILL] * 2
    assert estate.told == ['found 2 workers without a journal that can be read; ended them']
    assert estate.files == []


def test_without_a_journal_and_without_anybody_there_is_nothing_to_go_on_with(estate):
    """It was another day: nobody has the items any more. With a journal they are there."""
    estate.write_journal({'a': BOOK})
    estate.dead('a', 'worker_0', in_work=3)
    (estate.folder.states / 'a.worker_0').write_bytes(b'state')
    run = estate.run
    assert estate.inherited(journal_kept=True)['a'].in_work == {'worker_0': 3}
    estate.dead('a', 'worker_0', in_work=3)
    assert estate.inherited(journal_kept=False) is None
    assert estate.folder.run != run
    assert (estate.files, estate.told) == ([], [])


def test_what_the_dead_have_kept_is_enough_to_go_on_with(estate):
    """Also without a journal."""
    estate.write_journal({'a': BOOK})
    estate.dead('a', 'worker_0', held={3: b'three'})
    assert estate.inherited(journal_kept=False)['a'].payloads == {3: b'three'}


def test_changes_are_sorted_by_stage_and_kept_in_order(estate):
    """Also those of a stage that was not there when the snapshot was taken."""
    estate.write_journal(
        {'a': {**BOOK, 'ledger': 'a ledger'}},
        [('a', 'assign', ('worker_0', True)), ('b', 'accept', ('a', 1, b'', 0.5))],
        [('b', 'source', ({'epoch': 1},)), ('a', 'complete', ('worker_0', 1, ()))],
        [('a', 'handed', ('b', 'b'))],
    )
    left = estate.inherited()
    assert left['a'].book['ledger'] == 'a ledger'
    assert left['a'].changes == [
        ('assign', ('worker_0', True)),
        ('complete', ('worker_0', 1, ())),
        ('handed', ('b', 'b')),
    ]
    assert left['b'].book is None
    assert left['b'].changes == [('accept', ('a', 1, b'', 0.5)), ('source', ({'epoch': 1},))]


def test_messages_that_nobody_may_have_heard_are_those_that_are_left(estate):
    """In order, behind those of the snapshot, the oldest heard first; and how many listened."""
    begin = {'a': {**BOOK, 'outside': [b'0'], 'listeners': 1}}
    estate.write_journal(begin, [('a', 'outside', (b'1',)), ('a', 'listeners', (2,))])
    left = estate.inherited()['a']
    assert (left.outside, left.listeners, left.changes) == ([b'0', b'1'], 2, [])
    estate.write_journal(
        begin, [('a', 'outside', (b'1',))], [('a', 'heard', (2,)), ('a', 'outside', (b'2',))]
    )
    left = estate.inherited()['a']
    assert (left.outside, left.listeners, left.changes) == ([b'2'], 1, [])
    estate.write_journal(begin, [('a', 'outside', (b'1',)), ('a', 'heard', (1,))])
    assert estate.inherited()['a'].outside == [b'1']


def test_a_stage_that_nobody_knows_any_more_is_there_with_its_workers(estate):
    """What becomes of them is for the manager to say, who knows its configuration."""
    estate.write_journal({'a': BOOK})
    process = estate.living('gone', 'worker_0')
    left = estate.inherited()
    assert left['gone'].book is None
    assert pids(left['gone']) == {'worker_0': process.pid}


def test_what_was_inherited_can_be_inherited_again(estate):
    """The next manager was killed as well, before it had begun its own journal."""
    estate.write_journal({'a': BOOK}, [('a', 'assign', ('worker_0', True))])
    process = estate.living('a', 'worker_0', held={1: b'one'})
    for _ in range(3):
        left = estate.inherited()
        assert left['a'].changes == [('assign', ('worker_0', True))]
        assert left['a'].payloads == {1: b'one'}
        assert pids(left['a']) == {'worker_0': process.pid}


def test_a_stranger_that_has_got_a_workers_pid_is_not_ended(estate):
    """Only whoever was born with the page is."""
    page = estate.page('a', 'worker_0')
    with sleeper() as stranger:
        page._fields[PID], page._fields[STARTED] = stranger.pid, start_of(stranger.pid) - 1
        end(page)
        assert stranger.poll() is None
        page._fields[STARTED] += 1
        # It got the pid a moment after it was looked up.
        pidfd_open = os.pidfd_open

        def late(pid):
            page._fields[STARTED] -= 1
            return pidfd_open(pid)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, 'pidfd_open', late)
            end(page)
        assert stranger.poll() is None
        page._fields[STARTED] += 1
        end(page)
        assert stranger.wait(5.0) == -signal.SIGKILL
    end(page)
