# SPDX-License-Identifier: Apache-2.0
"""``sensor_msgs/PointCloud2`` and numpy structured arrays: one record with named fields per point.

(The package that ships with ROS 2 for this, sensor_msgs_py, is not among the wheels.)
"""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField

from worker_pipeline.airside.messages.records import OPTIONAL

Records = npt.NDArray[np.void]

_DATATYPES = {
    PointField.INT8: 'i1',
    PointField.UINT8: 'u1',
    PointField.INT16: 'i2',
    PointField.UINT16: 'u2',
    PointField.INT32: 'i4',
    PointField.UINT32: 'u4',
    PointField.FLOAT32: 'f4',
    PointField.FLOAT64: 'f8',
}
_CODES = {name: code for code, name in _DATATYPES.items()}


def to_message(records: Records, frame_id: str) -> Any:
    """Return a PointCloud2 of N points with an empty stamp from records (N,).

    ValueError if a field's type has no PointField equivalent.
    """
    dtype = records.dtype
    if records.ndim != 1 or dtype.names is None:
        raise ValueError(
            f'found {dtype} of {records.shape}; allowed: a one-dimensional array of records'
        )
    message = PointCloud2(
        height=1,
        width=len(records),
        is_bigendian=sys.byteorder == 'big',
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * len(records),
        is_dense=True,
    )
    message.header.frame_id = frame_id
    message.fields = [_field(dtype, name) for name in dtype.names]
    message.data = array.array('B', records.tobytes())
    return message


def not_searched(dtype: np.dtype[np.void], frame_id: str) -> Any:
    """Return a cloud without points of an image that could not be searched.

    It differs from that of an image in which nothing was found: ``is_dense`` is False. The stages
    that follow pass it on.
    """
    message = to_message(np.empty(0, dtype), frame_id)
    message.is_dense = False
    return message


def is_searched(message: Any) -> bool:
    """Return whether a cloud is of an image that was searched."""
    return bool(message.is_dense) or message.width * message.height > 0


def from_message(message: Any) -> Records:
    """Return the points (N,) of a PointCloud2 as records, a view of the message's data.

    ValueError if the fields or the size are inconsistent.
    """
    order = '>' if message.is_bigendian else '<'
    fields = list(message.fields)
    unknown = [f'{field.name} ({field.datatype})' for field in fields if not _known(field)]
    if unknown:
        raise ValueError(f'fields: found {", ".join(unknown)}; allowed: scalars of a known type')
    dtype = np.dtype(
        {
            'names': [field.name for field in fields],
            'formats': [order + _DATATYPES[field.datatype] for field in fields],
            'offsets': [field.offset for field in fields],
            'itemsize': message.point_step,
        }
    )
    count = message.width * message.height
    if len(message.data) < count * message.point_step or (count and not message.point_step):
        raise ValueError(f'data: found {len(message.data)} bytes; allowed: {count} points')
    if count == 0:
        return np.empty(0, dtype)
    return np.frombuffer(message.data, dtype=dtype, count=count)


def as_type(records: Records, dtype: np.dtype[np.void]) -> Records:
    """Return a copy of records (N,) as ``dtype``, matched by field names; extra fields are ignored.

    Those of ``records.OPTIONAL`` may be missing, and are then 0. ValueError if others are missing
    (allowed in an empty cloud), or if the value of an integer field is not finite.
    """
    assert dtype.names is not None
    found = records.dtype.names or ()
    missing = [name for name in dtype.names if name not in found and name not in OPTIONAL]
    if missing and len(records):
        raise ValueError(f'fields: found {", ".join(found)}; missing: {", ".join(missing)}')
    made = np.zeros(len(records), dtype)
    for name in [name for name in dtype.names if name in found] if len(records) else ():
        if dtype[name].kind in 'iu' and not np.isfinite(records[name]).all():
            raise ValueError(f'{name}: found a value that is not finite; allowed: integers')
        made[name] = records[name]
    return made


def _known(field: Any) -> bool:
    return field.datatype in _DATATYPES and field.count in (0, 1)


def _field(dtype: np.dtype[np.void], name: str) -> Any:
    assert dtype.fields is not None
    kind, offset = dtype.fields[name][:2]
    code = _CODES.get(kind.str[1:])
    if code is None:
        raise ValueError(f'{name}: found {kind}; allowed: {", ".join(sorted(_CODES))}')
    return PointField(name=name, offset=offset, datatype=code, count=1)
