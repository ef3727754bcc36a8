# SPDX-License-Identifier: Apache-2.0
"""The text of message definitions."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import ParameterDescriptor, ParameterEvent
from rclpy.serialization import serialize_message
from rosidl_parser import definition as idl
from sensor_msgs.msg import BatteryState, CameraInfo, Image, JointState, NavSatFix, PointCloud2
from std_msgs.msg import ByteMultiArray, Empty, Header
from type_description_interfaces.msg import FieldType, TypeDescription

from worker_pipeline.ros import message_types
from worker_pipeline.ros.message_types import class_of, definition_of, name_of

MESSAGES = [
    BatteryState,
    ByteMultiArray,
    CameraInfo,
    DiagnosticArray,
    Empty,
    FieldType,
    Header,
    Image,
    JointState,
    NavSatFix,
    Odometry,
    ParameterDescriptor,
    ParameterEvent,
    PointCloud2,
    Time,
    TypeDescription,
]
INTEGERS = {
    f'{sign}int{bits}': (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if not sign else (0, 2**bits - 1)
    for sign in ('', 'u')
    for bits in (8, 16, 32, 64)
}


def values(slot):
    """Return a strategy for the values of a field."""
    if isinstance(slot, idl.NamespacedType):
        return messages(class_of('/'.join([*slot.namespaces, slot.name])))
    if isinstance(slot, idl.Array):
        return st.lists(values(slot.value_type), min_size=slot.size, max_size=slot.size)
    if isinstance(slot, idl.AbstractSequence):
        largest = getattr(slot, 'maximum_size', 3)
        return st.lists(values(slot.value_type), max_size=min(3, largest))
    if isinstance(slot, idl.AbstractString):
        # An IDL string has no NUL.
        return st.text(max_size=8).map(lambda text: text.replace('\0', ''))
    if slot.typename in INTEGERS:
        return st.integers(*INTEGERS[slot.typename])
    if slot.typename in ('float', 'double'):
        return st.floats(allow_nan=False, width=32 if slot.typename == 'float' else 64)
    return {'boolean': st.booleans(), 'octet': st.binary(min_size=1, max_size=1)}[slot.typename]


def messages(message_class):
    """Return a strategy for messages of a class."""
    fields = message_class.get_fields_and_field_types()
    slots = zip(fields, message_class.SLOT_TYPES, strict=True)
    return st.builds(message_class, **{name: values(slot) for name, slot in slots})


def plain(value):
    """Return a message as plain values that can be compared."""
    if hasattr(value, 'get_fields_and_field_types'):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, bytes):  # an octet
        return value[0]
    if isinstance(value, (bool, int, float, str)):
        return value
    return [plain(element) for element in value]


def decoded_plain(value):
    """Return the same of a message that mcap_ros2 has decoded."""
    if hasattr(value, '_full_text'):
        return {name: decoded_plain(getattr(value, name)) for name in type(value).__slots__}
    if isinstance(value, (bool, int, float, str)):
        return value
    return [decoded_plain(element) for element in value]


def test_a_definition_has_the_fields_and_then_each_contained_type_once():
    """As recorders write it: after a line of 80 signs, without msg in the name."""
    line = '=' * 80
    assert definition_of('sensor_msgs/msg/TimeReference') == (
        'std_msgs/Header header\n'
        'builtin_interfaces/Time time_ref\n'
        'string source\n'
        f'{line}\n'
        'MSG: std_msgs/Header\n'
        'builtin_interfaces/Time stamp\n'
        'string frame_id\n'
        f'{line}\n'
        'MSG: builtin_interfaces/Time\n'
        'int32 sec\n'
        'uint32 nanosec\n'
    )


@pytest.mark.parametrize(
    ('idl_type', 'expected'),
    [
        ('boolean', 'bool'),
        ('octet', 'byte'),
        ('float', 'float32'),
        ('double', 'float64'),
        ('int8', 'int8'),
        ('uint64', 'uint64'),
        ('wstring', 'wstring'),
        ('string<255>', 'string<=255'),
        ('wstring<5>', 'wstring<=5'),
        ('sequence<uint8>', 'uint8[]'),
        ('sequence<double, 10>', 'float64[<=10]'),
        ('double[36]', 'float64[36]'),
        ('sequence<string<5>>', 'string<=5[]'),
        ('sequence<string<5>, 2>', 'string<=5[<=2]'),
        ('string<5>[3]', 'string<=5[3]'),
        ('std_msgs/Header[2]', 'std_msgs/Header[2]'),
        ('sequence<std_msgs/Header, 2>', 'std_msgs/Header[<=2]'),
    ],
)
def test_every_field_type_is_named_as_in_msg_files(monkeypatch, idl_type, expected):
    """The generated classes use the names of IDL."""

    class Strange:
        @staticmethod
        def get_fields_and_field_types():
            return {'field': idl_type}

    classes = {'a_msgs/msg/Strange': Strange}
    found = message_types.class_of
    monkeypatch.setattr(message_types, 'class_of', lambda name: classes.get(name) or found(name))
    text = definition_of('a_msgs/msg/Strange')
    assert text.splitlines()[0] == f'{expected} field'
    assert ('MSG: std_msgs/Header' in text) == ('Header' in idl_type)


@pytest.mark.parametrize('idl_type', ['wchar', 'long double', 'sequence<wchar>'])
def test_types_without_a_name_in_msg_files_are_rejected(monkeypatch, idl_type):
    """Rather than described wrongly."""

    class Strange:
        @staticmethod
        def get_fields_and_field_types():
            return {'field': idl_type}

    monkeypatch.setattr(message_types, 'class_of', lambda _name: Strange)
    with pytest.raises(ValueError, match=r'allowed: the types of \.msg files'):
        definition_of('a_msgs/msg/Strange')


def test_a_type_that_is_not_installed_is_an_import_error():
    """Its definition is not available."""
    with pytest.raises(ImportError, match='no_such_msgs'):
        definition_of('no_such_msgs/msg/Anything')


@pytest.mark.slow
@pytest.mark.parametrize('message_class', MESSAGES, ids=lambda found: found.__name__)
def test_mcap_ros2_reads_messages_by_the_definition(message_class):
    """Every field has its value."""
    dynamic = pytest.importorskip('mcap_ros2._dynamic')
    name = name_of(message_class)
    decode = dynamic.generate_dynamic(name, definition_of(name))[name]

    @settings(max_examples=20)
    @given(messages(message_class))
    def agrees(message):
        assert decoded_plain(decode(serialize_message(message))) == plain(message)

    agrees()
