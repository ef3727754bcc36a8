"""What outlives a manager, and who may have it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.children import child, sleeper

from worker_pipeline.runtime import pipeline_folder
from worker_pipeline.runtime.pipeline_folder import (
    AlreadyRunningError,
    Held,
    PipelineFolder,
    folder_of,
    forget_page,
    manager_of,
    write_held,
)
from worker_pipeline.runtime.proc import start_of
from worker_pipeline.testing import wait_for

BEGIN = """
import os, sys, time
from pathlib import Path
from worker_pipeline.runtime import pipeline_folder
from worker_pipeline.runtime.pipeline_folder import AlreadyRunningError, PipelineFolder

pipeline_folder.SHARED_MEMORY = Path(sys.argv[1])
"""
MANAGER = f"""{BEGIN}
folder = PipelineFolder('/airside', 3)
print('has it', flush=True)
input()
folder.close(remove=True)
print('left', flush=True)
"""
# Comes and goes as fast as it can. While it is there it leaves a mark that nobody else may find.
RESTLESS = f"""{BEGIN}
mark = Path(sys.argv[2])
held = refused = 0
while held < int(sys.argv[3]):
    try:
        folder = PipelineFolder('/airside', 3)
    except AlreadyRunningError as error:
        refused += 1
        assert error.pid != os.getpid()
        continue
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    page = folder.new_page('stage', 'worker_0', held)
    folder.journal.write_bytes(b'journal')
    folder.note_helper(os.getpid() if held % 50 == 0 else 1)
    (folder.states / 'stage.worker_0').write_bytes(b'state')
    assert list(folder.pages()) == [('stage', 'worker_0')], folder.pages()
    assert folder.lock_file.read_text().split()[0] == str(os.getpid())
    assert folder.journal.read_bytes() == b'journal'
    mark.unlink()
    held += 1
    (folder.path / 'helpers').unlink()
    folder.close(remove=held % 3 > 0)
print('done', held, refused)
"""


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    """A folder that stands in for /dev/shm."""
    monkeypatch.setattr(pipeline_folder, 'SHARED_MEMORY', tmp_path / 'shm')
    (tmp_path / 'shm').mkdir()
    return tmp_path / 'shm'


@contextlib.contextmanager
def taken(namespace='/airside', domain=3):
    """A manager's folder, while it runs."""
    folder = PipelineFolder(namespace, domain)
    try:
        yield folder
    finally:
        folder.close(remove=True)


def leave_behind(**files: bytes) -> None:
    """As a manager does that is killed."""
    folder = PipelineFolder('/airside', 3)
    for name, data in files.items():
        (folder.path / name).write_bytes(data)
    folder.close(remove=False)


# -- where it is ---------------------------------------------------------------------------------


def test_each_namespace_in_each_domain_has_its_own(base):
    """Whatever the namespaces are, and the root is one of them."""
    namespaces = ['', '/', '/root', '/a', '/a/b', '/b', '/manager', '/workers']
    paths = {folder_of(name, domain) for name in namespaces for domain in (0, 1)}
    assert len(paths) == 2 * (len(namespaces) - 1)
    assert folder_of('', 7) == folder_of('/', 7) == base / f'worker_pipeline_{os.getuid()}/7/.root'
    with contextlib.ExitStack() as stack:
        for name in namespaces[1:]:
            for domain in (0, 1):
                stack.enter_context(taken(name, domain))
    assert list(base.iterdir()) == []


def test_without_shared_memory_it_is_among_the_temporary_files(base, monkeypatch):
    """Elsewhere than on Linux, or in a container without any."""
    monkeypatch.setattr(pipeline_folder, 'SHARED_MEMORY', base / 'none')
    monkeypatch.setattr(pipeline_folder.tempfile, 'gettempdir', lambda: str(base / 'tmp'))
    assert folder_of('/a', 0).is_relative_to(base / 'tmp')


def test_it_is_for_nobody_else():
    """What is in it is read by programs that trust it."""
    with taken() as folder:
        for path in (folder.path, folder.workers, folder.states):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.lock_file.stat().st_mode) == 0o600


def test_a_manager_that_ends_in_order_leaves_nothing(base):
    """Not even the folders above, but for what is another's."""
    with taken('/other'):
        with taken() as folder:
            folder.new_page('stage', 'worker_0', 1)
            folder.journal.write_bytes(b'journal')
            (folder.states / 'stage.worker_0').write_bytes(b'state')
            folder.note_helper(999_999_999)
        assert not folder.path.exists()
        assert [each.name for each in folder.path.parent.iterdir()] == ['other']
    assert list(base.iterdir()) == []


def test_a_manager_that_does_not_own_what_is_there_leaves_it():
    """It had a bad configuration, say, and somebody has still the workers of the last one."""
    leave_behind(journal=b'of the last one')
    folder = PipelineFolder('/airside', 3)
    folder.close(remove=False)
    with taken() as folder:
        assert folder.journal.read_bytes() == b'of the last one'


def test_a_manager_that_has_left_is_nobodys():
    """Though its process lives on for a while."""
    folder = PipelineFolder('/airside', 3)
    folder.close(remove=False)
    assert manager_of(folder.lock_file) is None


def test_leaving_a_folder_that_somebody_has_removed_is_leaving():
    """By hand, because it was in the way."""
    folder = PipelineFolder('/airside', 3)
    pipeline_folder.shutil.rmtree(folder.path)
    folder.close(remove=True)


def test_a_file_where_the_folder_should_be_is_an_error(monkeypatch):
    """Told, rather than tried for ever."""
    monkeypatch.setattr(pipeline_folder, 'HANDOVER', 0.01)
    path = folder_of('/airside', 3)
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(FileExistsError):
        PipelineFolder('/airside', 3)


# -- who has it ----------------------------------------------------------------------------------


def test_a_second_manager_is_refused_and_told_of_the_first(base):
    """And neither disturbs the other."""
    with child(MANAGER, base) as first:
        assert first.line() == 'has it'
        lock_file = folder_of('/airside', 3) / 'manager'
        for _ in range(2):
            with pytest.raises(AlreadyRunningError) as caught:
                PipelineFolder('/airside', 3)
            assert caught.value.pid == manager_of(lock_file) == first.pid
            assert str(caught.value) == (
                f'/airside: found a manager already running, pid {first.pid}; '
                'allowed: one manager in a namespace'
            )
        with taken('/other') as other:
            assert manager_of(other.lock_file) == os.getpid()
        first.tell()
        assert first.line() == 'left'
    assert list(base.iterdir()) == []
    assert str(AlreadyRunningError('', 1)).startswith('/: found')


@pytest.mark.parametrize('attempt', range(3))
def test_the_folder_of_a_killed_manager_is_free_at_once(base, attempt: int):  # noqa: ARG001
    """With all that is in it, and nobody is named as its manager."""
    with child(MANAGER, base) as first:
        assert first.line() == 'has it'
        (folder_of('/airside', 3) / 'journal').write_bytes(b'of the first')
        first.kill()
        assert manager_of(folder_of('/airside', 3) / 'manager') is None
    with taken() as folder:
        assert folder.journal.read_bytes() == b'of the first'
        assert manager_of(folder.lock_file) == os.getpid()


def test_a_manager_whose_pid_another_process_has_is_gone():
    """Its start is noted beside its pid."""
    with taken() as folder:
        pid = os.getpid()
        folder.lock_file.write_text(f'{pid} {start_of(pid)}')
        assert manager_of(folder.lock_file) == pid
        folder.lock_file.write_text(f'{pid} {start_of(pid) - 1}')
        assert manager_of(folder.lock_file) is None


@pytest.mark.parametrize('text', ['', '17', '1 2 3', 'no pid', '999999999 1'])
def test_nobody_is_the_manager_where_none_is_named(tmp_path, text: str):
    """As in a file that is not written yet."""
    (tmp_path / 'manager').write_text(text)
    assert manager_of(tmp_path / 'manager') is None
    assert manager_of(tmp_path / 'none') is None


def test_the_pid_of_a_longer_name_leaves_nothing_behind():
    """The last manager's line is not the end of this one's."""
    leave_behind()
    lock_file = folder_of('/airside', 3) / 'manager'
    lock_file.write_text('1234567890 12345678901234567890\n')
    with taken():
        assert lock_file.read_text() == f'{os.getpid()} {start_of(os.getpid())}'


def test_processes_that_we_start_do_not_keep_the_lock():
    """A worker lives on; the next manager is to come in all the same."""
    folder = PipelineFolder('/airside', 3)
    code = 'import os; print(*(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 60) if '
    code += 'os.path.exists(f"/proc/self/fd/{fd}")))'
    run = subprocess.run(
        [sys.executable, '-S', '-c', code], close_fds=False, capture_output=True, text=True
    )
    assert 'manager' not in run.stdout
    folder.close(remove=False)
    with sleeper(), taken():
        pass


def test_whoever_comes_while_another_is_about_to_leave_waits_for_it(monkeypatch):
    """It has taken away the file with its name already; "pid 0" is told to nobody."""
    first = PipelineFolder('/airside', 3)
    first.lock_file.write_text('')
    tried = []
    sleep = pipeline_folder.time.sleep

    def leave(seconds):
        tried.append(seconds)
        if len(tried) == 2:
            first.close(remove=True)
        sleep(0)

    monkeypatch.setattr(pipeline_folder.time, 'sleep', leave)
    with taken() as folder:
        assert len(tried) == 2
        assert folder.workers.is_dir()


def test_a_lock_on_a_file_that_was_taken_away_is_none(monkeypatch):
    """Another one came, opened it, and got the lock when its owner had left."""
    first = PipelineFolder('/airside', 3)
    flock = pipeline_folder.fcntl.flock

    def late(file, operation):
        monkeypatch.setattr(pipeline_folder.fcntl, 'flock', flock)
        first.close(remove=True)
        flock(file, operation)

    monkeypatch.setattr(pipeline_folder.fcntl, 'flock', late)
    with taken() as folder:
        assert manager_of(folder.lock_file) == os.getpid()
        assert folder.workers.is_dir()


def test_whoever_never_tells_its_pid_is_a_manager_all_the_same(monkeypatch):
    """It is told as one without."""
    monkeypatch.setattr(pipeline_folder, 'HANDOVER', 0.01)
    with taken() as first:
        first.lock_file.write_text('')
        with pytest.raises(AlreadyRunningError) as caught:
            PipelineFolder('/airside', 3)
        assert caught.value.pid == 0


def test_of_many_that_come_and_go_one_has_it_at_a_time(base, tmp_path):
    """And whoever has it finds it whole; whether the last one left in order or not."""
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(child(RESTLESS, base, tmp_path / 'mark', 100)) for _ in range(4)
        ]
        told = [each.rest() for each in crowd]
        assert [each.wait() for each in crowd] == [0, 0, 0, 0]
    assert [lines[0].split()[:2] for lines in told] == [['done', '100']] * 4


def test_the_lock_s_file_is_the_last_to_go(monkeypatch):
    """Once it is gone, whatever is there belongs to the next manager."""
    folder = PipelineFolder('/airside', 3)
    folder.new_page('stage', 'worker_0', 1)
    folder.journal.touch()
    seen = []
    unlink = Path.unlink

    def watched(path, **options):
        if path == folder.lock_file:
            seen.append([each.name for each in folder.path.iterdir()])
        unlink(path, **options)

    monkeypatch.setattr(Path, 'unlink', watched)
    folder.close(remove=True)
    assert seen == [['manager']]


# -- pages ---------------------------------------------------------------------------------------


def test_pages_are_found_by_their_slots_the_youngest_first():
    """Made by this manager or by an earlier one."""
    folder = PipelineFolder('/airside', 3)
    made = [
        folder.new_page(stage, slot, fit)
        for fit, (stage, slot) in enumerate(
            [('a', 'w_0'), ('b', 'w_0'), ('a', 'w_1'), ('a', 'w_0')]
        )
    ]
    run = folder.run
    folder.close(remove=False)
    with taken() as folder:
        found = folder.pages()
        assert {slot: [page.read().fit for page in pages] for slot, pages in found.items()} == {
            ('a', 'w_0'): [3, 0],
            ('a', 'w_1'): [2],
            ('b', 'w_0'): [1],
        }
        assert {page.read().run for pages in found.values() for page in pages} == {run}
        assert folder.run != run
        assert len({page.path for page in made}) == 4


def test_youth_is_a_number_and_not_a_text():
    """The clock may have got another digit in between."""
    with taken() as folder:
        for age in (9, 10, 100):
            page = folder.new_page('a', 'w', age)
            page.path.rename(folder.workers / f'a.w.{age}')
        assert [page.read().fit for page in folder.pages()['a', 'w']] == [100, 10, 9]


def test_half_made_pages_and_those_that_go_away_are_passed_over(monkeypatch):
    """A manager was killed while it made one; a worker ended while it was looked at."""
    with taken() as folder:
        folder.new_page('a', 'w', 1)
        (folder.workers / 'a.w.5').touch()
        (folder.workers / 'a.w.6').write_bytes(b'too short')
        gone = folder.workers / 'a.gone.7'
        gone.touch()
        make = pipeline_folder.VitalSigns

        def late(path):
            if path == gone:
                gone.unlink()
            return make(path)

        monkeypatch.setattr(pipeline_folder, 'VitalSigns', late)
        ((slot, pages),) = folder.pages().items()
        assert (slot, [page.read().fit for page in pages]) == (('a', 'w'), [1])
        assert [path.name.split('.')[1] for path in folder.workers.iterdir()] == ['w']


def test_what_a_worker_has_kept_is_found_with_its_page_and_goes_with_it():
    """A file half written does not count."""
    with taken() as folder:
        page = folder.new_page('a', 'w', 1)
        assert folder.held(page) == ({}, None)
        held = page.path.with_name(page.path.name + '.held')
        held.with_name(held.name + '.new').write_bytes(b'half')
        assert folder.held(page) == ({}, None)
        write_held(page, Held({5: b'five', 6: b'six'}, [b'a frame']))
        assert folder.held(page) == ({5: b'five', 6: b'six'}, [b'a frame'])
        assert list(folder.pages()) == [('a', 'w')]
        forget_page(page)
        assert folder.pages() == {}
        assert not held.exists()


def test_everything_can_be_forgotten_but_who_is_here():
    """The next one finds a new folder; helpers of before are still to be waited for."""
    leave_behind(journal=b'old', **{'journal.new': b'old'})
    with taken() as folder:
        folder.new_page('a', 'w', 1)
        (folder.states / 'a.w').write_bytes(b'old')
        folder.note_helper(os.getpid())
        folder.forget_all()
        assert sorted(each.name for each in folder.path.iterdir()) == [
            'frames',
            'helpers',
            'manager',
            'states',
            'workers',
        ]
        assert folder.pages() == {}
        assert list(folder.states.iterdir()) == []
        assert folder.helpers() == [os.getpid()]
        assert manager_of(folder.lock_file) == os.getpid()
        folder._helpers_file.unlink()


# -- helpers -------------------------------------------------------------------------------------


def test_helpers_are_those_that_were_noted_and_live():
    """Not a stranger that has got the pid of one."""
    with taken() as folder, sleeper() as living, sleeper() as dead:
        assert folder.helpers() == []
        for process in (living, dead):
            folder.note_helper(process.pid)
        folder.note_helper(999_999_999)
        dead.kill()
        wait_for(lambda: start_of(dead.pid) is None, 'its end')
        assert folder.helpers() == [living.pid]
        with folder._helpers_file.open('a') as file:
            file.write(f'{os.getpid()} {start_of(os.getpid()) - 1}\n')
        assert folder.helpers() == [living.pid]
        living.kill()


def test_a_file_of_helpers_that_makes_no_sense_names_none():
    """As it was when the machine ran out of memory."""
    with taken() as folder:
        folder._helpers_file.write_text('12')
        assert folder.helpers() == []


def test_leaving_waits_for_helpers_to_end_by_themselves():
    """So that no process is left when the manager is gone."""
    folder = PipelineFolder('/airside', 3)
    with child('input()') as helper:
        folder.note_helper(helper.pid)
        helper.tell()
        folder.close(remove=True)
        assert helper.wait() == 0


def test_helpers_that_do_not_end_are_ended(monkeypatch):
    """They may take some time, and no more."""
    monkeypatch.setattr(pipeline_folder, 'HELPERS_EXIT', 0.05)
    folder = PipelineFolder('/airside', 3)
    with sleeper() as helper:
        folder.note_helper(helper.pid)
        folder.close(remove=True)
        assert helper.wait(5.0) == -signal.SIGKILL


def test_helpers_are_none_of_the_business_of_whoever_leaves_all_as_it_is():
    """They are those of workers that live."""
    folder = PipelineFolder('/airside', 3)
    with sleeper() as helper:
        folder.note_helper(helper.pid)
        folder.close(remove=False)
        assert helper.poll() is None
        with pytest.MonkeyPatch.context() as patch, taken() as folder:
            patch.setattr(pipeline_folder, 'HELPERS_EXIT', 0.0)
            assert folder.helpers() == [helper.pid]
            helper.kill()
