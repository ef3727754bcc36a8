# SPDX-License-Identifier: Apache-2.0
"""``python -m worker_pipeline create``: its output, and its exit code."""

from __future__ import annotations

import pytest

from worker_pipeline.create.command import main


@pytest.fixture(autouse=True)
def _current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_it_creates_a_package_in_the_current_directory_and_says_how_to_use_it(tmp_path, capsys):
    assert main(['my_stages']) == 0
    assert (tmp_path / 'my_stages' / 'my_stages' / 'echo.py').is_file()
    printed = capsys.readouterr()
    assert printed.err == ''
    assert printed.out.startswith('created my_stages\n')
    for command in ('python3 -m pytest', 'ros2 launch my_stages my_stages.launch.py'):
        assert command in printed.out


def test_it_creates_the_stages_asked_for_in_the_folder_asked_for(tmp_path):
    (tmp_path / 'src').mkdir()
    arguments = ['my_stages', '--directory', 'src', '--stage', 'Camera', '--stage', 'DetectTarget']
    assert main(arguments) == 0
    modules = tmp_path / 'src' / 'my_stages' / 'my_stages'
    assert sorted(each.name for each in modules.iterdir()) == [
        '__init__.py',
        'camera.py',
        'detect_target.py',
    ]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['My-Stages'], "create: NAME: found 'My-Stages'; allowed: two or more small letters"),
        (['class'], "create: NAME: found 'class'; allowed: another name; it is a keyword"),
        (['../up'], "create: NAME: found '../up'; allowed: two or more"),
        (['mine', '--stage', 'camera'], "create: --stage: found 'camera'; allowed: a class"),
        (
            ['mine', '--directory', 'nowhere'],
            "create: --directory: found 'nowhere'; allowed: a folder that exists",
        ),
    ],
)
def test_a_bad_argument_is_rejected_and_nothing_is_written(arguments, message, tmp_path, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ''
    assert list(tmp_path.iterdir()) == []


def test_all_bad_arguments_are_reported_at_once(capsys):
    assert main(['class', '--directory', 'nowhere', '--stage', 'Manager', '--stage', 'x']) == 2
    assert [line.split(': found')[0] for line in capsys.readouterr().err.splitlines()] == [
        'create: NAME',
        'create: --stage',
        'create: --stage',
        'create: --directory',
    ]


@pytest.mark.parametrize('kind', ['folder', 'file', 'dangling link'])
def test_what_exists_is_never_overwritten(kind, tmp_path, capsys):
    path = tmp_path / 'my_stages'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'file':
        path.write_text('mine')
    else:
        path.symlink_to('nowhere')
    assert main(['my_stages']) == 2
    assert capsys.readouterr().err == (
        "create: NAME: found 'my_stages'; allowed: a new one; my_stages exists\n"
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_reported(monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('worker_pipeline.create.command.write_package', fail)
    assert main(['my_stages']) == 1
    assert capsys.readouterr().err == (
        'create: my_stages cannot be written: [Errno 13] Permission denied\n'
    )


def test_arguments_that_it_does_not_have_end_with_exit_code_2(capsys):
    with pytest.raises(SystemExit) as raised:
        main([])
    assert raised.value.code == 2
    assert 'NAME' in capsys.readouterr().err
