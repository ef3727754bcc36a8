# SPDX-License-Identifier: Apache-2.0
"""Recovery from the state of a killed manager."""

from __future__ import annotations

import os
import signal

import pytest
from support.child_processes import sleeper
from support.killed_manager import PID, PROCESS_START, SNAPSHOT

from worker_pipeline.recovery.records import (
    FramesRetained,
    ItemAccepted,
    ItemAssigned,
    ItemCompleted,
    OutputPublished,
    OutputsAcked,
    RouteAdded,
    SourceChanged,
    SubscribersChanged,
)
from worker_pipeline.recovery.recover import RecoveredStage, kill_worker
from worker_pipeline.system.proc import start_of


def pids(stage: RecoveredStage) -> dict[str, int]:
    return {slot: record.read().pid for slot, record in stage.live_workers.items()}


# -- workers -------------------------------------------------------------------------------------


def test_the_first_manager_recovers_nothing(killed):
    """And warns of nothing."""
    assert killed.recover() is None
    assert killed.warnings == []


def test_live_workers_are_found_by_their_slots(killed):
    """They keep running, and the new manager continues their run."""
    killed.write_journal({'a': SNAPSHOT, 'b': SNAPSHOT})
    first, second, third = (
        killed.add_live(stage, slot)
        for stage, slot in [('a', 'worker_0'), ('a', 'worker_1'), ('b', 'worker_0')]
    )
    run = killed.run_id
    stages = killed.recover()
    assert {name: pids(stage) for name, stage in stages.items()} == {
        'a': {'worker_0': first.pid, 'worker_1': second.pid},
        'b': {'worker_0': third.pid},
    }
    assert [stage.active_items for stage in stages.values()] == [{}, {}]
    assert killed.state_dir.run_id == run
    assert {each.poll() for each in (first, second, third)} == {None}
    assert len(killed.files) == 4


def test_the_active_items_of_dead_workers_are_known(killed):
    """They may have been the cause. The liveness records are removed."""
    killed.write_journal({'a': SNAPSHOT})
    killed.add_dead('a', 'worker_0', active_item=17)
    killed.add_dead('a', 'worker_1')
    stage = killed.recover()['a']
    assert stage.live_workers == {}
    assert stage.active_items == {'worker_0': 17, 'worker_1': 0}
    assert killed.files == ['journal']


def test_the_processes_of_dead_workers_are_known(killed):
    """A frame is identified by the pid of the process that made it."""
    killed.write_journal({'a': SNAPSHOT})
    pid = killed.add_dead('a', 'worker_0')
    assert killed.recover()['a'].dead_pids == {'worker_0': pid}


def test_a_worker_that_never_registered_counts_as_dead(killed):
    """The manager was killed between creating its record and starting it."""
    killed.write_journal({'a': SNAPSHOT})
    killed.add_record('a', 'worker_0')
    stage = killed.recover()['a']
    assert stage.live_workers == {}
    assert not stage.active_items.get('worker_0')
    assert killed.files == ['journal']


def test_items_saved_by_workers_are_found_whether_the_workers_live_or_not(killed):
    """A journal without payloads does not contain them."""
    killed.write_journal({'a': SNAPSHOT, 'b': SNAPSHOT})
    killed.add_live('a', 'worker_0', saved={1: b'one', 2: b'two'})
    killed.add_dead('a', 'worker_1', active_item=3, saved={3: b'three'})
    killed.add_dead('b', 'worker_0', saved={3: b'another three'})
    stages = killed.recover(journal_kept=False)
    assert stages['a'].payloads == {1: b'one', 2: b'two', 3: b'three'}
    assert stages['b'].payloads == {3: b'another three'}


def test_of_two_live_workers_in_one_slot_the_newest_is_kept(killed):
    """The other one is killed before any item is assigned."""
    killed.write_journal({'a': SNAPSHOT})
    older = killed.add_live('a', 'worker_0', active_item=1)
    newer = killed.add_live('a', 'worker_0', active_item=2)
    stages = killed.recover()
    assert pids(stages['a']) == {'worker_0': newer.pid}
    assert older.wait(5.0) == -signal.SIGKILL
    assert newer.poll() is None
    assert len(killed.files) == 2


@pytest.mark.parametrize('order', ['dead first', 'live first'])
def test_a_live_worker_keeps_the_slot_of_a_dead_one(killed, order: str):
    """The active item of the dead worker is not attributed to the live one."""
    killed.write_journal({'a': SNAPSHOT})
    add = [lambda: killed.add_dead('a', 'worker_0', active_item=9)]
    add.insert(order == 'dead first', lambda: killed.add_live('a', 'worker_0', active_item=4))
    for each in add:
        each()
    stage = killed.recover()['a']
    assert list(stage.live_workers) == ['worker_0']
    assert stage.live_workers['worker_0'].read().active_item == 4
    assert order == 'live first' or stage.active_items == {}


def test_of_several_dead_workers_in_one_slot_the_newest_has_the_active_item(killed):
    """The manager had handled the earlier deaths, but not removed the records."""
    killed.write_journal({'a': SNAPSHOT})
    for number in (1, 2, 3):
        killed.add_dead('a', 'worker_0', active_item=number)
    assert killed.recover()['a'].active_items == {'worker_0': 3}


def test_workers_of_another_run_are_killed_and_nothing_of_theirs_is_recovered(killed):
    """Their item numbers are those of other items."""
    killed.run_id += 1
    killed.write_journal({'a': SNAPSHOT})
    stranger = killed.add_live('a', 'worker_0', active_item=1, saved={1: b'one'})
    killed.add_dead('a', 'worker_1', active_item=2, saved={2: b'two'})
    killed.add_record('a', 'worker_2')
    assert killed.recover() == {'a': RecoveredStage(snapshot=SNAPSHOT)}
    assert stranger.wait(5.0) == -signal.SIGKILL
    assert killed.files == ['journal']
    assert killed.state_dir.run_id == killed.run_id


@pytest.mark.slow
@pytest.mark.parametrize('journal', [None, b'', b'of another version'])
def test_without_a_readable_journal_all_workers_are_killed(killed, journal: bytes | None):
    """It is unknown which items they have processed. A warning is logged."""
    processes = [
        killed.add_live('a', 'worker_0', saved={1: b'one'}),
        killed.add_live('b', 'worker_0'),
    ]
    killed.add_dead('a', 'worker_1')
    killed.add_record('a', 'worker_2')
    (killed.state_dir.states / 'a.worker_0').write_bytes(b'state')
    if journal is not None:
        killed.state_dir.journal.write_bytes(journal)
    assert killed.recover() is None
    assert [each.wait(5.0) for each in processes] == [-signal.SIGKILL] * 2
    killed_two = 'killed 2 workers of an earlier manager: its journal is unreadable'
    if journal is None:
        assert (killed.warnings, killed.files) == ([killed_two], [])
        return
    assert killed.warnings[0].startswith(f'{killed.state_dir.journal}: unusable: ')
    assert killed.warnings[1:] == [killed_two]
    assert killed.files == ['journal.damaged']
    assert (killed.state_dir.path / 'journal.damaged').read_bytes() == journal


def test_without_payloads_and_live_workers_nothing_is_recovered(killed):
    """The items no longer exist anywhere. A journal with payloads has them."""
    killed.write_journal({'a': SNAPSHOT})
    killed.add_dead('a', 'worker_0', active_item=3)
    (killed.state_dir.states / 'a.worker_0').write_bytes(b'state')
    run = killed.run_id
    assert killed.recover(journal_kept=True)['a'].active_items == {'worker_0': 3}
    killed.add_dead('a', 'worker_0', active_item=3)
    assert killed.recover(journal_kept=False) is None
    assert killed.state_dir.run_id != run
    assert (killed.files, killed.warnings) == ([], [])


def test_items_saved_by_dead_workers_suffice_for_recovery(killed):
    """Also without payloads in the journal."""
    killed.write_journal({'a': SNAPSHOT})
    killed.add_dead('a', 'worker_0', saved={3: b'three'})
    assert killed.recover(journal_kept=False)['a'].payloads == {3: b'three'}


# -- the journal ---------------------------------------------------------------------------------


def test_retained_frames_are_those_that_each_worker_reported_last(killed):
    """To its manager, or after the manager's death in its own file."""
    frames = {'worker_0': [b'old'], 'worker_1': [b'old'], 'worker_2': [b'old']}
    killed.write_journal(
        {'a': SNAPSHOT | {'retained_frames': frames}},
        [('a', FramesRetained('worker_1', [b'new']))],
        [('a', FramesRetained('worker_2', []))],
    )
    killed.add_live('a', 'worker_0')
    killed.add_live('a', 'worker_1')
    killed.add_live('a', 'worker_2', saved={})
    assert killed.recover()['a'].retained_frames == {
        'worker_0': [b'old'],
        'worker_1': [b'new'],
        'worker_2': [b'a frame'],
    }


def test_log_entries_are_sorted_by_stage_and_stay_in_order(killed):
    """Also those of a stage that did not exist at the last checkpoint."""
    killed.write_journal(
        {'a': {**SNAPSHOT, 'ledger': 'a ledger'}},
        [('a', ItemAssigned('worker_0')), ('b', ItemAccepted('a', 1, b'', 0.5))],
        [('b', SourceChanged({'epoch': 1})), ('a', ItemCompleted('worker_0', 1, ()))],
        [('a', RouteAdded('b', 'b'))],
    )
    stages = killed.recover()
    assert stages['a'].snapshot['ledger'] == 'a ledger'
    assert stages['a'].log_entries == [
        ('assign', ('worker_0',)),
        ('complete', ('worker_0', 1, ())),
        ('route', ('b', 'b')),
    ]
    assert stages['b'].snapshot is None
    assert stages['b'].log_entries == [
        ('accept', ('a', 1, b'', 0.5, 0)),
        ('source', ({'epoch': 1},)),
    ]


def test_unacknowledged_outputs_are_those_published_and_not_acknowledged(killed):
    """In order, after those of the snapshot; the oldest are acknowledged first."""
    start = {'a': {**SNAPSHOT, 'unacked_outputs': [b'0'], 'subscribers': 1}}
    published = [('a', OutputPublished(b'1'))]
    killed.write_journal(start, [*published, ('a', SubscribersChanged(2))])
    stage = killed.recover()['a']
    assert (stage.unacked_outputs, stage.subscribers, stage.log_entries) == ([b'0', b'1'], 2, [])
    killed.write_journal(start, published, [('a', OutputsAcked(2)), ('a', OutputPublished(b'2'))])
    stage = killed.recover()['a']
    assert (stage.unacked_outputs, stage.subscribers, stage.log_entries) == ([b'2'], 1, [])
    killed.write_journal(start, [*published, ('a', OutputsAcked(1))])
    assert killed.recover()['a'].unacked_outputs == [b'1']


def test_a_stage_that_no_journal_knows_is_recovered_with_its_workers(killed):
    """The manager, which knows its configuration, decides about them."""
    killed.write_journal({'a': SNAPSHOT})
    process = killed.add_live('unknown', 'worker_0')
    stages = killed.recover()
    assert stages['unknown'].snapshot is None
    assert pids(stages['unknown']) == {'worker_0': process.pid}


def test_recovery_can_be_repeated(killed):
    """The next manager was killed as well, before its first checkpoint."""
    killed.write_journal({'a': SNAPSHOT}, [('a', ItemAssigned('worker_0'))])
    process = killed.add_live('a', 'worker_0', saved={1: b'one'})
    for _ in range(3):
        stages = killed.recover()
        assert stages['a'].log_entries == [('assign', ('worker_0',))]
        assert stages['a'].payloads == {1: b'one'}
        assert pids(stages['a']) == {'worker_0': process.pid}


# -- killing workers -----------------------------------------------------------------------------


def test_a_process_that_reuses_a_workers_pid_is_not_killed(killed):
    """Only the process that registered itself is."""
    record = killed.add_record('a', 'worker_0')
    with sleeper() as stranger:
        started = start_of(stranger.pid)
        record._fields[PID], record._fields[PROCESS_START] = stranger.pid, started - 1
        kill_worker(record)
        assert stranger.poll() is None
        record._fields[PROCESS_START] += 1
        # The pid is reused between the first check and the opening of the pidfd.
        pidfd_open = os.pidfd_open

        def late(pid):
            record._fields[PROCESS_START] -= 1
            return pidfd_open(pid)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, 'pidfd_open', late)
            kill_worker(record)
        assert stranger.poll() is None
        record._fields[PROCESS_START] += 1
        kill_worker(record)
        assert stranger.wait(5.0) == -signal.SIGKILL
    kill_worker(record)
