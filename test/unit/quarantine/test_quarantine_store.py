# SPDX-License-Identifier: Apache-2.0
"""A store keeps quarantined items whole on the disk and removes the oldest at its limit."""

from __future__ import annotations

import os
import stat
import time

import attrs
import pytest
from support.quarantined_items import both_forms, image, item, kept, serious

from worker_pipeline.quarantine.store import QuarantineStore, default_folder, glance, items_in, read

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
def test_an_item_is_read_back_as_it_was_kept(make_store, given):
    """All of it, to the byte."""
    (path,) = kept(make_store(), given)
    expected = attrs.evolve(given, cause=given.cause.replace('\udcff', r'\udcff'))
    assert read(path) == expected
    label, size = glance(path)
    assert size == len(given.message)
    assert attrs.asdict(label).items() <= attrs.asdict(expected).items()


@pytest.mark.slow
@both_forms
def test_a_large_image_is_read_back(make_store):
    """Larger than a chunk of an mcap file."""
    given = item(message_type='sensor_msgs/msg/Image', message=os.urandom(6_220_854))
    (path,) = kept(make_store(), given)
    assert read(path) == given


@pytest.mark.slow
@both_forms
def test_the_file_name_has_stage_and_stamp_and_is_unique(make_store):
    """Two inputs may bring the same stamp, and another process may write into the same folder."""
    store = make_store()
    paths = kept(store, *[item()] * 20)
    assert len(set(paths)) == 20
    assert all(path.name.startswith('detect_target_12.000000345_') for path in paths)
    assert sorted(items_in(store.folder)) == sorted(paths)


@both_forms
def test_no_stage_name_leads_out_of_the_folder(make_store):
    """A name is no path."""
    store = make_store()
    (path,) = kept(store, item(stage='../../' + 'x' * 300))
    assert path.parent == store.folder
    assert read(path).stage == '../../' + 'x' * 300


@both_forms
def test_folder_and_files_are_private(make_store):
    """Camera images may be private."""
    store = make_store()
    kept(store, item())
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_without_items_no_folder_is_created(make_store):
    """It is made on demand."""
    store = make_store()
    assert store.close(5.0)
    assert not store.folder.exists()


# The limit


@pytest.mark.slow
def test_the_oldest_items_are_removed(make_store, form, errors):
    """The folder never holds more than the limit, and nothing is left of those that went."""
    store = make_store(limit=3)
    paths = kept(store, *[item(stamp=stamp) for stamp in range(10)])
    assert sorted(items_in(store.folder)) == sorted(paths[-3:])
    assert len(list(store.folder.iterdir())) == (3 if form == 'mcap' else 6)
    assert serious(errors) == []


@both_forms
def test_earlier_files_are_older_whatever_the_clock_says(make_store):
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
def test_files_of_other_names_are_neither_counted_nor_removed(make_store):
    """A bag that a user records there, or an item that was renamed to be kept."""
    store = make_store(limit=1)
    store.folder.mkdir()
    for name in ('flight_3.mcap', 'notes.json', 'detect_target_1.000000000.mcap'):
        (store.folder / name).write_text('mine')
    (_, last) = kept(store, item(), item())
    assert list(items_in(store.folder)) == [last]
    assert (store.folder / 'flight_3.mcap').read_text() == 'mine'
    assert (store.folder / 'notes.json').exists()
    assert (store.folder / 'detect_target_1.000000000.mcap').exists()


def test_a_limit_below_one_is_refused(tmp_path):
    """One item at least."""
    with pytest.raises(ValueError, match='found 0; allowed: 1 or more'):
        QuarantineStore(tmp_path, limit=0, on_error=print)


# The folder


def test_the_default_folder_is_in_ros_home(monkeypatch, tmp_path):
    """A namespace has a folder of its own."""
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'worker_pipeline' / 'quarantine'
    assert default_folder('/uav1/airside') == default_folder() / 'uav1' / 'airside'
    monkeypatch.delenv('ROS_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert default_folder() == tmp_path / '.ros' / 'worker_pipeline' / 'quarantine'
