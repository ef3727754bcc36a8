# SPDX-License-Identifier: Apache-2.0
"""A quarantined item is an mcap file for readers that know no ROS, or plain files without mcap."""

from __future__ import annotations

import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from support.quarantined_items import (
    AT,
    STAMP,
    diagnostics,
    image,
    item,
    kept,
    odometry,
    without_mcap,
)

from worker_pipeline.quarantine.store import McapMissingError, read
from worker_pipeline.ros.message_types import name_of


def cloud():
    fields = [
        PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
        for place, name in enumerate('xyz')
    ]
    return PointCloud2(height=1, width=2, fields=fields, point_step=12, data=list(range(24)))


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


def test_the_file_has_the_ros_2_profile_and_the_cause(make_store):
    """The profile is for tools; the metadata is for people."""
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


def test_an_item_of_an_unknown_type_is_kept_without_a_definition(make_store, errors):
    """The bytes matter most; it is logged once."""
    reader = pytest.importorskip('mcap.reader')
    unknown = item(message_type='no_such_msgs/msg/Anything')
    path, _ = kept(make_store(), unknown, unknown)
    with path.open('rb') as file:
        ((schema, _, _),) = reader.make_reader(file).iter_messages()
    assert (schema.name, schema.encoding, schema.data) == ('no_such_msgs/msg/Anything', '', b'')
    assert len(errors) == 1
    assert 'no_such_msgs/msg/Anything is kept without its definition' in errors[0]


def test_without_mcap_bytes_and_json_are_written_and_one_error_is_reported(
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
    """The missing part is reported."""
    pytest.importorskip('mcap')
    (path,) = kept(make_store(), item())
    without_mcap(monkeypatch)
    with pytest.raises(McapMissingError, match='needs the Python package mcap'):
        read(path)
