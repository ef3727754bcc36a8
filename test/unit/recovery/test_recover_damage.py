# SPDX-License-Identifier: Apache-2.0
"""Recovery from a state that is damaged: a start never fails because of it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from support.dispatching import Flow, stage
from support.killed_manager import SNAPSHOT

from worker_pipeline.protocol.channel import listen
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.records import ItemAssigned
from worker_pipeline.recovery.recover import discard
from worker_pipeline.recovery.stage_recovery import try_to_restore


def test_the_intact_part_of_a_damaged_journal_is_used_and_the_file_is_kept(killed):
    """A warning says how much is missing; the next items get numbers never used before."""
    assigned = [('a', ItemAssigned('worker_0'))]
    killed.write_journal({'a': SNAPSHOT}, assigned, assigned)
    file = killed.state_dir.journal
    data = bytearray(file.read_bytes())
    data[-15] ^= 1
    file.write_bytes(data)
    stage = killed.recover()['a']
    assert stage.log_entries == [('assign', ('worker_0',))]
    assert not stage.is_complete
    (warning,) = killed.warnings
    assert 'not intact; using its checkpoint and the 1 entries after it' in warning
    assert f'kept as {file}.damaged; later items and answers may be lost or repeated' in warning
    assert (file.with_name('journal.damaged')).read_bytes() == data
    killed.write_journal({'a': SNAPSHOT})  # as the new manager does: the kept file is another one
    assert (file.with_name('journal.damaged')).read_bytes() == data
    assert killed.recover()['a'].is_complete


@pytest.mark.parametrize(
    ('snapshot', 'entry'),
    [
        ([], []),
        ({'a': {}}, []),
        ({'a': None}, []),
        ({}, [1]),
        ({}, [('a', 'unknown', ())]),
        ({}, [('a', 'assign', ())]),
        ({}, [('a', 'assign', None)]),
        ({}, [('a', ['assign'], ())]),
        ({}, None),
    ],
)
def test_a_journal_of_another_structure_with_right_checksums_is_set_aside(killed, snapshot, entry):
    """Of a version that forgot to change the format's number; the start succeeds."""
    journal = Journal(killed.state_dir.journal, killed.run_id, payloads=True)
    journal.checkpoint(snapshot)
    journal._changes = entry or [None]
    journal.commit()
    journal.close()
    assert killed.recover() is None
    assert 'another structure' in killed.warnings[0]
    assert killed.files == ['journal.damaged']


@pytest.mark.timeout(20)
@pytest.mark.parametrize('make', [Path.mkdir, lambda file: file.symlink_to(file), os.mkfifo])
def test_what_cannot_be_read_in_place_of_the_journal_is_set_aside(killed, make):
    """The new manager can write its own. A named pipe would be waited for without end."""
    file = killed.state_dir.journal
    make(file)
    assert killed.recover() is None
    assert 'unusable: it cannot be read' in killed.warnings[0]
    killed.write_journal({'a': SNAPSHOT})
    assert list(killed.recover()) == ['a']


def test_zeroed_liveness_records_are_those_of_no_worker(killed):
    """Their workers, if they live, are unknown to the manager, and get no item."""
    killed.write_journal({'a': SNAPSHOT})
    killed.add_record('a', 'worker_0').path.write_bytes(bytes(4096))
    killed.add_record('a', 'worker_1').path.write_bytes(b'\xff' * 4096)
    assert killed.recover()['a'].live_workers == {}
    assert killed.files == ['journal']
    assert any('is zeroed, and no live worker writes it' in each for each in killed.warnings)


@pytest.mark.slow
def test_a_live_worker_whose_record_was_zeroed_is_waited_for(killed):
    """It writes who it is with its next heartbeat; another one beside it would be one too many."""
    killed.write_journal({'a': SNAPSHOT})
    record = killed.add_record('a', 'worker_0')
    record.register()
    record.path.write_bytes(bytes(4096))
    timer = threading.Timer(0.05, LivenessRecord.heartbeat, [record])
    with record.path.open('r+b') as file:
        file.write(bytes(4096))
    timer.start()
    assert killed.recover()['a'].live_workers.keys() == {'worker_0'}
    timer.join()


@pytest.mark.parametrize(
    'ledger', [{}, {'next_number': 'x'}, None], ids=['empty', 'of another type', 'none']
)
def test_a_journal_that_cannot_be_restored_is_set_aside(killed, ledger):
    """Though its checksums are right; each start would fail, for ever."""
    killed.write_journal({'a': {**SNAPSHOT, 'ledger': ledger}})
    worker = killed.add_live('a', 'worker_0')
    recovered = killed.recover()
    stages = Flow(a=stage()).dispatcher.stages
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)) as caught:
        try_to_restore(stages, recovered)
    discard(killed.state_dir, recovered, caught.value, killed.warnings.append)
    assert worker.wait() == -signal.SIGKILL
    assert killed.files == ['journal.damaged']
    assert 'journal: cannot be restored: ' in killed.warnings[0]
    assert 'kept as ' in killed.warnings[0]


@pytest.mark.parametrize(
    'name', ['workers', 'states', 'frames', 'helpers', 'socket', 'journal.new']
)
def test_a_file_in_place_of_a_folder_or_the_other_way_round_is_set_aside(killed, name: str):
    """The start succeeds, and says what it found."""
    file = killed.state_dir.path / name
    if file.is_dir():
        file.rmdir()
        file.write_bytes(b'not ours')
    else:
        file.unlink(missing_ok=True)
        file.mkdir()
    assert killed.recover() is None
    assert killed.warnings == [f'{file}: of a wrong type; kept as {file}.damaged']
    killed.state_dir.add_helper_process(2**22 + 1)
    killed.write_journal({'a': SNAPSHOT})
    listen(killed.state_dir.socket).close()
    assert list(killed.recover()) == ['a']
    assert len(killed.warnings) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize('name', ['helpers', 'inspected', 'journal.new'])
def test_a_named_pipe_in_place_of_a_file_is_set_aside(killed, name: str):
    """To open it for writing would wait for a reader without end."""
    file = killed.state_dir.path / name
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    assert killed.recover() is None
    assert killed.warnings == [f'{file}: of a wrong type; kept as {file}.damaged']
    killed.state_dir.add_helper_process(2**22 + 1)
    killed.write_journal({'a': SNAPSHOT})
