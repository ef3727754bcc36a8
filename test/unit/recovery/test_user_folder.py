# SPDX-License-Identifier: Apache-2.0
"""Where a user's state is: in a folder of its own, whatever other users have made."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from worker_pipeline.recovery import user_folder
from worker_pipeline.recovery.state_dir import PipelineStateDir, state_dir_path
from worker_pipeline.recovery.user_folder import is_ours, is_usable, user_folders

VARIABLES = ('RUNTIME_DIRECTORY', 'XDG_RUNTIME_DIR')
ANOTHER = 54_321  # a user id
pytestmark = pytest.mark.usefixtures('base')


@pytest.fixture
def memory(monkeypatch):
    """A folder as the system makes them for a user or a service: private, in memory."""
    monkeypatch.setattr(user_folder, 'MIN_SIZE', 0)
    with tempfile.TemporaryDirectory(dir='/dev/shm') as found:
        yield Path(found)


@pytest.mark.parametrize('variable', VARIABLES)
def test_a_folder_made_for_us_comes_first(base, memory, monkeypatch, variable):
    monkeypatch.setenv(variable, str(memory))
    usual = base / f'worker_pipeline_{os.getuid()}'
    assert user_folders(base) == [memory / 'worker_pipeline', usual]


def test_that_of_the_service_comes_before_that_of_the_session(base, memory, monkeypatch):
    """Of several of the service the first."""
    places = [memory / each for each in 'abc']
    for each in places:
        each.mkdir()
    monkeypatch.setenv('RUNTIME_DIRECTORY', f'{places[0]}:{places[1]}')
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(places[2]))
    found = user_folders(base)
    assert found[:2] == [each / 'worker_pipeline' for each in (places[0], places[2])]


@pytest.mark.parametrize('text', ['', ':', 'relative/path', '/does/not/exist', '/proc', '/'])
def test_what_is_no_such_folder_is_ignored(base, monkeypatch, text):
    for variable in VARIABLES:
        monkeypatch.setenv(variable, text)
    assert user_folders(base) == [base / f'worker_pipeline_{os.getuid()}']


def test_a_folder_has_to_be_usable(memory, monkeypatch, tmp_path):
    """Private, no link, large enough, and in memory: else a disk would be written all the time."""
    assert is_usable(memory)
    for mode in (0o777, 0o770, 0o1777, 0o720):
        memory.chmod(mode)
        assert not is_usable(memory), oct(mode)
    memory.chmod(0o755)  # as systemd makes one for a service
    assert is_usable(memory)
    link = tmp_path / 'link'
    link.symlink_to(memory)
    assert not is_usable(link)
    monkeypatch.setattr(user_folder, 'is_in_memory', lambda _: False)
    assert not is_usable(memory)
    monkeypatch.undo()
    monkeypatch.setattr(user_folder, 'MIN_SIZE', 2**60)
    assert not is_usable(memory)


@pytest.mark.parametrize('kind', ['folder', 'file', 'link to ours', 'dangling link'])
def test_who_has_the_usual_name_keeps_nobody_out(base, monkeypatch, kind):
    """The other name cannot be known before; once it is there, it is used again."""
    monkeypatch.setattr(user_folder.os, 'getuid', lambda: ANOTHER)
    taken = base / f'worker_pipeline_{ANOTHER}'
    if kind == 'folder':
        taken.mkdir()
    elif kind == 'file':
        taken.touch()
    else:
        taken.symlink_to(base if kind == 'link to ours' else base / 'nothing')
    (first,), (second,) = user_folders(base), user_folders(base)
    assert first != second
    assert {each.name[: len(taken.name) + 1] for each in (first, second)} == {f'{taken.name}.'}
    # Names that others made like ours do not count.
    (base / f'{taken.name}.0').mkdir()
    monkeypatch.setattr(user_folder, 'is_ours', lambda path: path == second)
    second.mkdir()
    assert user_folders(base) == [second]


def test_a_link_to_a_folder_of_ours_is_none_of_ours(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'folder')
    assert is_ours(tmp_path / 'folder')
    assert not is_ours(tmp_path / 'link')


def test_the_next_manager_finds_the_state_in_another_environment(memory, monkeypatch):
    """A manager from a user's session, its successor from a service without one, and vice versa."""
    outside = PipelineStateDir('/airside', 3)
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(memory))
    assert state_dir_path('/airside', 3) == outside.path
    assert state_dir_path('/other', 3).is_relative_to(memory)
    outside.close(remove=True)
    inside = PipelineStateDir('/airside', 3)
    assert inside.path == memory / 'worker_pipeline/3/airside'
    assert stat.S_IMODE((memory / 'worker_pipeline').stat().st_mode) == 0o700
    inside.close(remove=True)
    assert list(memory.iterdir()) == []


MANAGER = """
import os, sys
from pathlib import Path
from worker_pipeline.recovery import state_dir  # first: the environment may be root's alone
os.setgid(54321)
os.setuid(54321)
state_dir.SHARED_MEMORY = Path(sys.argv[1])
folder = state_dir.PipelineStateDir('/airside', 3)
print(folder.path)
folder.close(remove=sys.argv[2] == 'remove')
"""


@pytest.mark.skipif(os.getuid() != 0, reason='only root can be another user')
@pytest.mark.parametrize('kind', ['folder', 'link'])
def test_a_manager_of_an_ordinary_user_starts_beside_a_squatter(memory, kind):
    """Before and after a crash: its successor finds the same folder."""
    memory.chmod(0o1777)
    taken = memory / 'worker_pipeline_54321'
    if kind == 'folder':
        taken.mkdir()
    else:
        taken.symlink_to('/etc')

    def run(how: str) -> Path:
        command = [sys.executable, '-c', MANAGER, str(memory), how]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    first, second = run('keep'), run('remove')
    assert first == second
    assert first.parents[1].name.startswith('worker_pipeline_54321.')
    assert [each.name for each in memory.iterdir()] == [taken.name]
