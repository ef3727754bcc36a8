# SPDX-License-Identifier: Apache-2.0
"""Recovery from a state that is damaged: a start never fails because of it."""

from __future__ import annotations

import pytest
from support.killed_manager import SNAPSHOT

from worker_pipeline.protocol.channel import listen
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.records import ItemAssigned


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


@pytest.mark.parametrize('kind', ['folder', 'loop'])
def test_what_cannot_be_read_in_place_of_the_journal_is_set_aside(killed, kind: str):
    """The new manager can write its own."""
    file = killed.state_dir.journal
    file.mkdir() if kind == 'folder' else file.symlink_to(file)
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
