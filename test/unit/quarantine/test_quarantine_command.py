# SPDX-License-Identifier: Apache-2.0
"""The command ``quarantine`` lists quarantined items and shows their messages."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.quarantined_items import AT, both_forms, diagnostics, image, item, kept, odometry

from worker_pipeline import cli
from worker_pipeline.quarantine.command import main
from worker_pipeline.quarantine.store import default_folder


@pytest.fixture
def ros_home(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures('ros_home')
def test_the_command_lists_one_line_per_item_in_order(make_store, capsys):
    """Of all namespaces, the oldest first."""
    folder = default_folder('/airside')
    first = item(at=AT - 1)
    second = item(image(), stage='geolocation', cause='Traceback\n\nValueError: \x1b[2Jno\n')
    (later, earlier) = kept(make_store(folder), second, first)
    assert main([]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ['STAGE', 'STAMP', 'TYPE', 'BYTES', 'ATTEMPTS', 'FILE', 'CAUSE']
    sizes = [len(first.message), len(second.message)]
    assert [' '.join(line.split()) for line in lines] == [
        f'detect_target 12.000000345 std_msgs/msg/Header {sizes[0]} 2 {earlier} killed by SIGSEGV',
        f'geolocation 12.000000345 sensor_msgs/msg/Image {sizes[1]} 2 {later} ValueError: ?[2Jno',
    ]
    assert main([str(earlier)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.usefixtures('ros_home')
def test_an_empty_quarantine_is_reported(capsys):
    """And is no error."""
    assert main([]) == 0
    assert 'nothing in quarantine: no ' in capsys.readouterr().err
    default_folder().mkdir(parents=True)
    assert main([]) == 0
    assert f'nothing in quarantine: {default_folder()}' in capsys.readouterr().err


@both_forms
def test_unreadable_files_are_reported_and_the_others_are_listed(make_store, tmp_path, capsys):
    """With exit code 1."""
    broken, whole = kept(make_store(), item(), item())
    broken.write_bytes(b'')
    assert main([str(whole.parent), str(tmp_path / 'none.json')]) == 1
    shown = capsys.readouterr()
    assert [str(path) in shown.out for path in (whole, broken)] == [True, False]
    complaints = shown.err.splitlines()
    assert all(line.startswith('quarantine: ') for line in complaints)
    assert [str(broken) in shown.err, 'none.json' in shown.err] == [True, True]
    assert len(complaints) == 2


@both_forms
def test_show_prints_the_message_as_yaml_below_its_description(make_store, capsys):
    """Long lists are cut."""
    yaml = pytest.importorskip('yaml')
    (path,) = kept(make_store(), item(image(10), cause='Traceback\nValueError: \x1b no'))
    assert main(['--show', str(path)]) == 0
    shown = capsys.readouterr().out
    assert '# cause: Traceback\n# ValueError: ? no\n' in shown
    assert '# stamp: 12.000000345, quarantined at: 1763820000.123456789\n' in shown
    message = yaml.safe_load(shown)
    assert (message['header']['frame_id'], message['width'], message['step']) == ('', 10, 30)
    assert message['data'] == [*range(128), '... 300 in all']


@both_forms
def test_show_prints_nested_messages_and_arrays(make_store, capsys):
    """Numbers, texts, octets."""
    yaml = pytest.importorskip('yaml')
    odometry_path, diagnostics_path = kept(make_store(), item(odometry()), item(diagnostics()))
    assert main(['--show', str(odometry_path)]) == 0
    message = yaml.safe_load(capsys.readouterr().out)
    assert message['pose']['covariance'] == [0.0] * 35 + [0.25]
    assert message['twist']['twist']['linear'] == {'x': 12.5, 'y': 0.0, 'z': 0.0}
    assert main(['--show', str(diagnostics_path)]) == 0
    status = yaml.safe_load(capsys.readouterr().out)['status'][0]
    assert (status['level'], status['values'][1]) == (2, {'key': 'b', 'value': ''})


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({'message_type': 'no_such_msgs/msg/Anything'}, 'is not installed here'),
        ({'message_type': 'std_msgs/msg/Nothing'}, 'is not installed here'),
        ({'message_type': 'Header'}, 'is not installed here'),
        ({'message': b'\x00\x01\x00\x00\xff'}, 'not a serialised std_msgs/msg/Header'),
    ],
)
@both_forms
def test_an_item_that_cannot_be_shown_is_reported(make_store, capsys, changes, expected):
    """With exit code 1."""
    (path,) = kept(make_store(), item(**changes))
    assert main(['--show', str(path)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, expected in shown.err) == ('', True)


@both_forms
def test_an_item_is_shown_by_the_beginning_of_its_name(make_store, ros_home, capsys):
    """As the list shows it, with or without its folder; one that fits several is no choice."""
    folder = default_folder('/airside')
    folder.mkdir(parents=True)
    one, other = kept(make_store(), item(), item())
    paths = [
        each.rename(folder / f'detect_{stamp}.000000000_0000000{stamp}{each.suffix}')
        for stamp, file in enumerate((one, other), 1)
        for each in file.parent.glob(f'{file.stem}.*')
    ]
    name = 'detect_1.000000000_00000001'
    for given in (
        *(str(each) for each in paths if name in each.name),
        *(each.name for each in paths if name in each.name),
        name,
        'detect_1',
        f'airside/{name}',
        'airside/detect_1',
    ):
        assert main(['--show', given]) == 0, given
        assert '# type: std_msgs/msg/Header' in capsys.readouterr().out
    assert main(['--show', 'detect_']) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("quarantine: --show: found 'detect_', the beginning of 2 names:")
    assert 'detect_2.000000000_00000002' in shown.err
    for unknown in ('tect_1', 'nobody', '', str(ros_home / 'none.mcap')):
        assert main(['--show', unknown]) == 1
        assert f'--show: found {unknown!r}, no item in ' in capsys.readouterr().err


@pytest.mark.usefixtures('ros_home')
def test_no_item_is_shown_where_none_was_kept(capsys):
    """There is no folder yet."""
    assert main(['--show', 'detect']) == 1
    assert 'no item in' in capsys.readouterr().err


def test_wrong_arguments_are_refused(capsys):
    """With exit code 2, as every command."""
    with pytest.raises(SystemExit) as refused:
        main(['--show', 'a.mcap', 'b.mcap'])
    assert refused.value.code == 2
    assert 'either PATH or --show NAME' in capsys.readouterr().err


def test_quarantine_is_a_command_of_the_package(monkeypatch, ros_home, capsys):
    """``python -m worker_pipeline quarantine``, and ``ros2 run`` calls it without arguments."""
    monkeypatch.setattr(sys, 'argv', ['worker_pipeline', 'quarantine'])
    assert cli.main() == 0
    assert 'nothing in quarantine' in capsys.readouterr().err
    monkeypatch.setattr(sys, 'argv', ['quarantine', str(ros_home / 'none.json')])
    assert cli.quarantine() == 1


@pytest.mark.slow
@both_forms
def test_a_closed_pipe_causes_no_traceback(make_store):
    """As ``head`` does."""
    (path,) = kept(make_store(), item())
    command = [sys.executable, '-m', 'worker_pipeline', 'quarantine', *[str(path)] * 2000]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.readline()
        shown.stdout.close()
        assert shown.stderr.read() == b''
