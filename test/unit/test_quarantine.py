"""Items that were given up: kept on disk, and read again."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress

import attrs
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

from worker_pipeline import cli
from worker_pipeline.runtime import quarantine, quarantine_files
from worker_pipeline.runtime.message_types import name_of
from worker_pipeline.runtime.quarantine import (
    BadFileError,
    McapMissingError,
    QuarantinedItem,
    QuarantineStore,
    default_folder,
    glance,
    items_in,
    read,
)
from worker_pipeline.runtime.quarantine_command import main
from worker_pipeline.testing import wait_for

STAMP = 12_000_000_345
AT = 1_763_820_000_123_456_789


def item(message=None, /, **changes):
    """A quarantined item; of a Header, where no message is given."""
    message = message or Header(frame_id='camera')
    return QuarantinedItem(
        **{
            'stage': 'detect_target',
            'source': 'video_input',
            'topic': '/airside/detect_target/input',
            'message_type': name_of(type(message)),
            'message': serialize_message(message),
            'stamp': STAMP,
            'attempts': 2,
            'cause': 'killed by SIGSEGV',
            'at': AT,
            **changes,
        }
    )


def image(side=2):
    pixels = [value % 256 for value in range(3 * side * side)]
    return Image(height=side, width=side, encoding='rgb8', step=3 * side, data=pixels)


def without_mcap(monkeypatch):
    """As on a computer where the package is not installed."""
    monkeypatch.setitem(sys.modules, 'mcap.reader', None)


@pytest.fixture(params=['mcap', 'plain'])
def form(request, monkeypatch):
    """Both forms a file may have."""
    if request.param == 'mcap':
        pytest.importorskip('mcap')
    else:
        without_mcap(monkeypatch)
    return request.param


both_forms = pytest.mark.usefixtures('form')


@pytest.fixture
def errors():
    return []


@pytest.fixture
def make_store(tmp_path, errors):
    """Make stores that are closed at the end, on a folder that is not there yet."""
    stores = []

    def make(folder=tmp_path / 'quarantine', **options):
        stores.append(QuarantineStore(folder, on_error=errors.append, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close(5.0)


@pytest.fixture
def gate(monkeypatch):
    """While it is not set, the disk takes nothing."""
    opened = threading.Event()
    write = quarantine_files.write

    def write_later(*arguments):
        assert opened.wait(20.0)
        write(*arguments)

    monkeypatch.setattr(quarantine_files, 'write', write_later)
    yield opened
    opened.set()


def kept(store, *items):
    """The paths of items that are on the disk; the store is closed."""
    paths = [store.keep(each) for each in items]
    assert store.close(10.0)
    return paths


def serious(errors):
    """What was said, apart from the one remark that there is no mcap."""
    return [error for error in errors if 'pip install mcap' not in error]


# Round trip


@pytest.mark.parametrize(
    'given',
    [
        item(),
        item(image()),
        item(stamp=0, attempts=0),
        item(stamp=-1),
        item(cause='Traceback:\n  "ü" ✈\nValueError: \udcff is no letter'),
        item(cause='', source='', topic=''),
        item(message_type='no_such_msgs/msg/Anything'),
    ],
    ids=['header', 'image', 'zero', 'before_1970', 'odd_cause', 'empty', 'unknown_type'],
)
@both_forms
def test_what_is_kept_is_read_again(make_store, given):
    """All of it, to the byte."""
    (path,) = kept(make_store(), given)
    expected = attrs.evolve(given, cause=given.cause.replace('\udcff', r'\udcff'))
    assert read(path) == expected
    label, size = glance(path)
    assert size == len(given.message)
    assert attrs.asdict(label).items() <= attrs.asdict(expected).items()


@both_forms
def test_a_large_image_is_read_again(make_store):
    """Larger than a chunk of an mcap file."""
    given = item(message_type='sensor_msgs/msg/Image', message=os.urandom(6_220_854))
    (path,) = kept(make_store(), given)
    assert read(path) == given


@both_forms
def test_the_name_tells_stage_and_stamp_and_is_unique(make_store):
    """Two inputs may bring the same stamp, and another process may write into the same folder."""
    store = make_store()
    paths = kept(store, *[item()] * 20)
    assert len(set(paths)) == 20
    assert all(path.name.startswith('detect_target_12.000000345_') for path in paths)
    assert sorted(items_in(store.folder)) == sorted(paths)


@both_forms
def test_a_stage_of_any_name_stays_in_the_folder(make_store):
    """A name is no path."""
    store = make_store()
    (path,) = kept(store, item(stage='../../' + 'x' * 300))
    assert path.parent == store.folder
    assert read(path).stage == '../../' + 'x' * 300


@both_forms
def test_folder_and_files_are_their_owners_alone(make_store):
    """What a camera saw is not for everybody."""
    store = make_store()
    kept(store, item())
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_nothing_kept_makes_no_folder(make_store):
    """It is made on demand."""
    store = make_store()
    assert store.close(5.0)
    assert not store.folder.exists()


# Read by somebody else


def cloud():
    fields = [
        PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
        for place, name in enumerate('xyz')
    ]
    return PointCloud2(height=1, width=2, fields=fields, point_step=12, data=list(range(24)))


def odometry():
    message = Odometry(child_frame_id='base_link')
    message.header.stamp.sec = 7
    message.pose.pose.position.z = -1.5
    message.pose.covariance[35] = 0.25
    message.twist.twist.linear.x = 12.5
    return message


def diagnostics():
    values = [KeyValue(key='a', value='1'), KeyValue(key='b', value='')]
    status = [DiagnosticStatus(level=b'\x02', name='stage', values=values), DiagnosticStatus()]
    return DiagnosticArray(status=status)


@pytest.mark.parametrize(
    ('message', 'seen'),
    [
        (
            Header(frame_id='camera'),
            lambda found: found.frame_id == 'camera' and found.stamp.sec == 0,
        ),
        (
            image(4),
            lambda found: found.encoding == 'rgb8' and bytes(found.data) == bytes(range(48)),
        ),
        (
            cloud(),
            lambda found: (
                [(field.name, field.offset) for field in found.fields]
                == [('x', 0), ('y', 4), ('z', 8)]
                and bytes(found.data) == bytes(range(24))
            ),
        ),
        (
            odometry(),
            lambda found: (
                found.header.stamp.sec == 7
                and found.pose.pose.position.z == -1.5
                and list(found.pose.covariance) == [0.0] * 35 + [0.25]
                and found.twist.twist.linear.x == 12.5
            ),
        ),
        (
            diagnostics(),
            lambda found: (
                [status.level for status in found.status] == [2, 0]
                and [(each.key, each.value) for each in found.status[0].values]
                == [('a', '1'), ('b', '')]
            ),
        ),
    ],
    ids=['header', 'image', 'point_cloud', 'odometry', 'diagnostics'],
)
def test_an_independent_reader_decodes_the_message(make_store, message, seen):
    """It knows no ROS: all it has is the definition in the file."""
    readers = pytest.importorskip('mcap_ros2.reader')
    (path,) = kept(make_store(), item(message))
    (found,) = readers.read_ros2_messages(str(path))
    assert seen(found.ros_msg)
    assert found.channel.topic == '/airside/detect_target/input'
    assert found.channel.message_encoding == 'cdr'
    assert found.schema.name == name_of(type(message))
    assert found.schema.encoding == 'ros2msg'
    assert (found.log_time_ns, found.publish_time_ns) == (AT, STAMP)


def test_the_file_is_marked_as_ros_2_and_says_why_it_is_there(make_store):
    """The profile tells tools what to expect; the metadata is for people."""
    reader = pytest.importorskip('mcap.reader')
    (path,) = kept(make_store(), item())
    with path.open('rb') as file:
        found = reader.make_reader(file)
        assert found.get_header().profile == 'ros2'
        (metadata,) = found.iter_metadata()
    assert metadata.metadata['stage'] == 'detect_target'
    assert metadata.metadata['source'] == 'video_input'
    assert metadata.metadata['attempts'] == '2'
    assert metadata.metadata['cause'] == 'killed by SIGSEGV'


def test_a_type_that_cannot_be_described_is_kept_without_its_definition(make_store, errors):
    """The bytes are what matters; it is said once."""
    reader = pytest.importorskip('mcap.reader')
    unknown = item(message_type='no_such_msgs/msg/Anything')
    path, _ = kept(make_store(), unknown, unknown)
    with path.open('rb') as file:
        ((schema, _, _),) = reader.make_reader(file).iter_messages()
    assert (schema.name, schema.encoding, schema.data) == ('no_such_msgs/msg/Anything', '', b'')
    assert len(errors) == 1
    assert 'no_such_msgs/msg/Anything is kept without its definition' in errors[0]


# Without mcap


def test_without_mcap_bytes_and_json_are_written_and_it_is_said_once(
    make_store, errors, monkeypatch
):
    """A sourced ROS 2 does not have it."""
    without_mcap(monkeypatch)
    store = make_store()
    first, _ = kept(store, item(), item())
    assert first.suffix == '.json'
    assert first.with_suffix('.cdr').read_bytes() == item().message
    assert read(first.with_suffix('.cdr')) == item()
    assert len(errors) == 1
    assert 'pip install mcap' in errors[0]


def test_an_mcap_file_cannot_be_read_without_mcap(make_store, monkeypatch):
    """And what is missing is said."""
    pytest.importorskip('mcap')
    (path,) = kept(make_store(), item())
    without_mcap(monkeypatch)
    with pytest.raises(McapMissingError, match='needs the Python package mcap'):
        read(path)


# The limit


def test_the_oldest_give_way(make_store, form, errors):
    """The folder never holds more than the limit, and nothing is left of those that went."""
    store = make_store(limit=3)
    paths = kept(store, *[item(stamp=stamp) for stamp in range(10)])
    assert sorted(items_in(store.folder)) == sorted(paths[-3:])
    assert len(list(store.folder.iterdir())) == (3 if form == 'mcap' else 6)
    assert serious(errors) == []


@both_forms
def test_what_was_there_before_is_older_whatever_the_clock_says(make_store):
    """A computer on board may start with its clock years behind."""
    before = kept(make_store(), *[item(stamp=stamp) for stamp in range(3)])
    for path in before:
        for file in path.parent.glob(f'{path.stem}.*'):
            os.utime(file, (time.time() + 1e6, time.time() + 1e6))
    after = kept(make_store(limit=3), *[item(stamp=stamp) for stamp in range(2)])
    left = set(items_in(after[0].parent))
    assert len(left) == 3
    assert left > set(after)


@both_forms
def test_files_that_are_not_ours_are_neither_counted_nor_removed(make_store):
    """A bag that somebody records there, or an item that was renamed to be kept."""
    store = make_store(limit=1)
    store.folder.mkdir()
    for name in ('flight_3.mcap', 'notes.json', 'detect_target_1.000000000.mcap'):
        (store.folder / name).write_text('mine')
    (_, last) = kept(store, item(), item())
    assert list(items_in(store.folder)) == [last]
    assert (store.folder / 'flight_3.mcap').read_text() == 'mine'
    assert (store.folder / 'notes.json').exists()
    assert (store.folder / 'detect_target_1.000000000.mcap').exists()


def test_a_limit_of_nothing_is_refused(tmp_path):
    """One item at least."""
    with pytest.raises(ValueError, match='found 0; allowed: 1 or more'):
        QuarantineStore(tmp_path, limit=0, on_error=print)


# Slow and broken disks


def test_a_disk_that_does_not_answer_holds_nobody_up(make_store, gate, errors):
    """What is given away waits, and is written once the disk answers."""
    store = make_store()
    began = time.monotonic()
    paths = [store.keep(item(stamp=stamp)) for stamp in range(20)]
    assert not store.close(0.05)
    assert time.monotonic() - began < 5.0
    assert list(items_in(store.folder)) == []
    assert '20 items are not written after 0.05 s' in serious(errors)[0]
    gate.set()
    assert store.close(10.0)
    assert sorted(items_in(store.folder)) == sorted(paths)


def test_too_many_items_for_the_disk_are_refused(make_store, gate, errors, monkeypatch):
    """So that they do not fill the memory."""
    monkeypatch.setattr(quarantine, 'WAITING_ITEMS', 2)
    store = make_store()
    assert None not in (store.keep(item()), store.keep(item()))
    assert store.keep(item()) is None
    assert 'is not kept: 2 items' in serious(errors)[0]
    gate.set()
    wait_for(lambda: store.keep(item()), 'room again')


def test_too_many_bytes_for_the_disk_are_refused_but_not_one_item_alone(
    make_store, gate, errors, monkeypatch
):
    """However large: it is in memory anyway."""
    monkeypatch.setattr(quarantine, 'WAITING_BYTES', 10)
    store = make_store()
    assert store.keep(item(message=b'x' * 1000)) is not None
    assert store.keep(item(message=b'x')) is None
    assert '(1000 bytes) wait for the disk' in serious(errors)[0]
    gate.set()
    wait_for(lambda: not store._waiting, 'all written')
    gate.clear()
    assert None not in (store.keep(item(message=b'x')), store.keep(item(message=b'x')))
    gate.set()
    assert store.close(10.0)


def test_a_closed_store_takes_nothing(make_store, errors):
    """And says so."""
    store = make_store()
    assert store.close(5.0)
    assert store.keep(item()) is None
    assert 'is closed' in serious(errors)[0]


@both_forms
def test_a_folder_that_cannot_be_made_is_said_and_the_next_item_is_tried(
    make_store, errors, tmp_path
):
    """A file stands in its place; later it is gone."""
    obstacle = tmp_path / 'quarantine'
    obstacle.write_text('in the way')
    store = make_store()
    path = store.keep(item())
    wait_for(lambda: serious(errors), 'the error')
    assert f'{path} could not be written' in serious(errors)[0]
    obstacle.unlink()
    (path,) = kept(store, item())
    assert read(path) == item()
    assert len(serious(errors)) == 1


@both_forms
def test_a_folder_that_may_not_be_written_is_said(make_store, errors, tmp_path):
    """Whose folder it is is not for us to change."""
    folder = tmp_path / 'theirs'
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip('we may write everywhere')
    kept(make_store(folder), item())
    assert 'Permission denied' in serious(errors)[0]


def test_a_full_disk_is_said_and_leaves_no_half_behind(make_store, form, errors, monkeypatch):
    """And what fits later is written."""
    # Of two files the first has room, and its folder's entry too.
    synced = 0 if form == 'mcap' else 2
    full = threading.Event()
    full.set()
    fsync = os.fsync
    calls = itertools.count()

    def fsync_if_room(descriptor):
        if full.is_set() and next(calls) >= synced:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', fsync_if_room)
    store = make_store()
    store.keep(item())
    wait_for(lambda: serious(errors), 'the error')
    assert 'No space left on device' in serious(errors)[0]
    assert list(store.folder.iterdir()) == []
    full.clear()
    (path,) = kept(store, item())
    assert read(path) == item()


def test_whoever_cannot_bear_to_hear_of_an_error_does_not_end_the_writing(tmp_path):
    """A logger may be shut down before us."""

    def on_error(_text):
        raise RuntimeError('no longer')

    store = QuarantineStore(tmp_path / 'quarantine', on_error=on_error)
    (tmp_path / 'quarantine').write_text('in the way')
    store.keep(item())
    wait_for(lambda: not store._waiting, 'the failure')
    (tmp_path / 'quarantine').unlink()
    (path,) = kept(store, item())
    assert read(path) == item()


@both_forms
def test_a_file_that_is_being_written_is_not_seen(make_store, monkeypatch):
    """Only its whole gets the name."""
    half, whole = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow_fsync(descriptor):
        half.set()
        assert whole.wait(20.0)
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', slow_fsync)
    store = make_store()
    path = store.keep(item())
    assert half.wait(20.0)
    try:
        assert not path.exists()
        assert list(items_in(store.folder)) == []
        assert len(list(store.folder.glob('.*.part'))) == 1
    finally:
        whole.set()
    assert store.close(10.0)
    assert read(path) == item()
    assert list(store.folder.glob('.*')) == []


@both_forms
def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(
    make_store, tmp_path
):
    """Another manager may write into the same folder."""
    folder = tmp_path / 'quarantine'
    folder.mkdir()
    (folder / '.left.mcap.part').write_bytes(b'half')
    with (folder / '.being_written.mcap.part').open('wb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept(make_store(), item())
        assert [path.name for path in folder.glob('.*')] == ['.being_written.mcap.part']


def test_a_killed_process_leaves_whole_items_alone(tmp_path, form):
    """Killed in the middle of writing, again and again."""
    code = """if True:
        import sys
        from pathlib import Path
        if sys.argv[2] == 'plain':
            sys.modules['mcap.reader'] = None
        from worker_pipeline.runtime.quarantine import QuarantinedItem, QuarantineStore
        store = QuarantineStore(Path(sys.argv[1]), on_error=lambda text: None)
        print('ready', flush=True)
        while True:
            store.keep(QuarantinedItem(
                stage='s', source='i', topic='/t', message_type='std_msgs/msg/Header',
                message=bytes(100_000), stamp=1, attempts=1, cause='', at=1))
    """
    folder = tmp_path / 'quarantine'
    for _ in range(3):
        command = [sys.executable, '-c', code, str(folder), form]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b'ready\n'
            before = len(list(folder.glob('*')))
            wait_for(lambda before=before: len(list(folder.glob('*'))) > before + 5, 'some items')
            writer.kill()
    found = list(items_in(folder))
    assert len(found) >= 6
    assert all(read(path).message == bytes(100_000) for path in found)


# Files that are not what they should be


@pytest.mark.parametrize('share', [0.0, 0.2, 0.5, 0.9, 0.99])
def test_a_cut_file_is_refused(make_store, share):
    """As a copy may be."""
    pytest.importorskip('mcap')
    (path,) = kept(make_store(), item(image(40)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadFileError, match='detect_target_12'):
        read(path)


def test_a_damaged_message_is_refused(make_store):
    """Whichever byte it is; one that does no harm is not noticed."""
    pytest.importorskip('mcap')
    given = item()
    (path,) = kept(make_store(), given)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        content[place] ^= 0x10
        path.write_bytes(content)
        with suppress(BadFileError):
            assert read(path).message == given.message
        content[place] ^= 0x10


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', 'JSONDecodeError'),
        ('[]', 'found list; allowed: an object'),
        ('{}', "found an item without its 'stage'"),
        ('{"stage": 1', 'JSONDecodeError'),
    ],
)
def test_a_wrong_json_is_refused(tmp_path, text, expected):
    """With the file's name and what is wrong."""
    (tmp_path / 'item.json').write_text(text)
    (tmp_path / 'item.cdr').write_bytes(b'')
    with pytest.raises(BadFileError, match=expected):
        read(tmp_path / 'item.json')


def test_a_cut_message_beside_its_json_is_refused(make_store, monkeypatch):
    """Its size is known."""
    without_mcap(monkeypatch)
    (path,) = kept(make_store(), item())
    path.with_suffix('.cdr').write_bytes(item().message[:-1])
    with pytest.raises(BadFileError, match='found a message of'):
        read(path)


def test_an_mcap_file_of_somebody_else_is_refused(tmp_path):
    """It says of no item why it was given up."""
    writer = pytest.importorskip('mcap.writer')
    path = tmp_path / 'bag.mcap'
    with path.open('wb') as file:
        other = writer.Writer(file)
        other.start()
        other.finish()
    with pytest.raises(BadFileError, match='without a quarantined item'):
        read(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    """By its name."""
    with pytest.raises(BadFileError, match=r'found a file \*\.txt; allowed: \*\.mcap'):
        read(tmp_path / 'notes.txt')


def test_a_file_that_is_not_there_is_an_os_error(tmp_path, form):
    """As everywhere in Python."""
    with pytest.raises(FileNotFoundError):
        read(tmp_path / ('none.mcap' if form == 'mcap' else 'none.json'))


# The folder


def test_the_default_folder_is_where_ros_keeps_its_things(monkeypatch, tmp_path):
    """A namespace has a folder of its own."""
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'worker_pipeline' / 'quarantine'
    assert default_folder('/uav1/airside') == default_folder() / 'uav1' / 'airside'
    monkeypatch.delenv('ROS_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert default_folder() == tmp_path / '.ros' / 'worker_pipeline' / 'quarantine'


# The command


@pytest.fixture
def ros_home(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures('ros_home')
def test_the_command_lists_one_line_an_item_in_order(make_store, capsys):
    """Of all namespaces, the one given up first at the top."""
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
def test_nothing_in_quarantine_is_said(capsys):
    """And is no error."""
    assert main([]) == 0
    assert 'nothing in quarantine: no ' in capsys.readouterr().err
    default_folder().mkdir(parents=True)
    assert main([]) == 0
    assert f'nothing in quarantine: {default_folder()}' in capsys.readouterr().err


@both_forms
def test_what_cannot_be_read_is_said_and_the_rest_is_listed(make_store, tmp_path, capsys):
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
def test_show_prints_the_message_as_yaml_below_what_is_known(make_store, capsys):
    """Long lists are cut."""
    yaml = pytest.importorskip('yaml')
    (path,) = kept(make_store(), item(image(10), cause='Traceback\nValueError: \x1b no'))
    assert main(['--show', str(path)]) == 0
    shown = capsys.readouterr().out
    assert '# cause: Traceback\n# ValueError: ? no\n' in shown
    assert '# stamp: 12.000000345, given up at: 1763820000.123456789\n' in shown
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
def test_what_cannot_be_shown_is_said(make_store, capsys, changes, expected):
    """With exit code 1."""
    (path,) = kept(make_store(), item(**changes))
    assert main(['--show', str(path)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, expected in shown.err) == ('', True)


def test_wrong_arguments_are_refused(capsys):
    """With exit code 2, as every command."""
    with pytest.raises(SystemExit) as refused:
        main(['--show', 'a.mcap', 'b.mcap'])
    assert refused.value.code == 2
    assert 'either PATH or --show FILE' in capsys.readouterr().err


def test_it_is_one_of_the_commands(monkeypatch, ros_home, capsys):
    """``python -m worker_pipeline quarantine``, and ``ros2 run`` calls it without arguments."""
    monkeypatch.setattr(sys, 'argv', ['worker_pipeline', 'quarantine'])
    assert cli.main() == 0
    assert 'nothing in quarantine' in capsys.readouterr().err
    monkeypatch.setattr(sys, 'argv', ['quarantine', str(ros_home / 'none.json')])
    assert cli.quarantine() == 1


@both_forms
def test_a_reader_that_has_seen_enough_of_the_list_causes_no_traceback(make_store):
    """As ``head`` does."""
    (path,) = kept(make_store(), item())
    command = [sys.executable, '-m', 'worker_pipeline', 'quarantine', *[str(path)] * 2000]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.readline()
        shown.stdout.close()
        assert shown.stderr.read() == b''
