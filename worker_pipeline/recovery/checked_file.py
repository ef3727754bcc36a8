# SPDX-License-Identifier: Apache-2.0
"""Files with a checksum: read back as they were written, or known to be damaged."""

from __future__ import annotations

import marshal
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from worker_pipeline.recovery.set_aside import make_way_for_file
from worker_pipeline.system.files import open_file

# The beginning of a file, which names its format; then its length and its checksum.
_FIRST_LINE = b'worker_pipeline state 2\n'
_SUM = struct.Struct('<QI')
_START = len(_FIRST_LINE) + _SUM.size


class DamagedFileError(Exception):
    """A file is not what was written."""


def write_checked(path: Path, values: Any) -> None:
    """Write plain values, in one step: the file is the old or the new one. Raises OSError."""
    data = marshal.dumps(values)
    new = path.with_name(path.name + '.new')
    make_way_for_file(new)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(file, 0o600)  # whatever umask the stage has set
        view = memoryview(_FIRST_LINE + _SUM.pack(len(data), zlib.crc32(data)) + data)
        while view:
            view = view[os.write(file, view) :]
    finally:
        os.close(file)
    new.replace(path)


def read_checked(path: Path) -> Any:
    """Return the values in a file. Raises FileNotFoundError and DamagedFileError."""
    try:
        with open_file(path) as file:
            start, size = file.read(_START), os.fstat(file.fileno()).st_size - _START
            if not start.startswith(_FIRST_LINE) or len(start) < _START:
                raise DamagedFileError(f'{path}: damaged, or written by another version')
            length, checksum = _SUM.unpack_from(start, len(_FIRST_LINE))
            # Not more than it says: a damaged file may be larger than the memory.
            content = file.read(length) if length == size else b''
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFileError(f'{path}: cannot be read: {error.strerror}') from error
    if len(content) != size or zlib.crc32(content) != checksum:
        raise DamagedFileError(f'{path}: damaged: the checksum of its {size} bytes is wrong')
    return marshal.loads(content)
