# SPDX-License-Identifier: Apache-2.0
"""The file of a quarantined item: MCAP, or without the package mcap its bytes and a JSON file.

Either form is complete or absent, also after a power cut.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import attrs

from worker_pipeline.ros.cdr import split_stamp
from worker_pipeline.system.atomic_files import write_atomically

MCAP = '.mcap'
# The message's bytes, and the file that describes them. The latter is written last, so where it
# exists, both do.
BYTES = '.cdr'
JSON = '.json'

# A file of another name is not ours, or was renamed by a user to be kept: it is never removed.
_OURS = re.compile(r'.+_-?\d+\.\d{9}_[0-9a-f]{8}\.(mcap|cdr|json)')
_METADATA = 'worker_pipeline/quarantine'


class BadFileError(ValueError):
    """A file that contains no quarantined item, or only part of one."""


class McapMissingError(ImportError):
    """The Python package mcap is not installed."""


@attrs.frozen(kw_only=True)
class Label:
    """The description of a quarantined item, without its message.

    ``source`` is the input it came by, ``topic`` the name it is recorded under, ``message_type`` as
    in ``std_msgs/msg/Header``. ``stamp`` is its header's, ``at`` when it was quarantined: both in
    ns, ``at`` since 1970.
    """

    stage: str
    source: str
    topic: str
    message_type: str
    stamp: int
    attempts: int
    cause: str
    at: int


@attrs.frozen(kw_only=True)
class QuarantinedItem(Label):
    """A quarantined item. ``message`` is its CDR form, including the encapsulation header."""

    message: bytes = attrs.field(repr=lambda message: f'<{len(message)} bytes>')


def has_mcap() -> bool:
    """Return whether the package mcap is installed."""
    try:
        import mcap.reader
        import mcap.writer  # noqa: F401
    except ImportError:
        return False
    return True


def new_name(item: Label, suffix: str) -> str:
    """Return a unique file name: stage, stamp and a random part."""
    seconds, nanoseconds = split_stamp(item.stamp)
    stage = re.sub(r'[^\w-]', '_', item.stage)[:100]
    return f'{stage}_{seconds}.{nanoseconds:09d}_{secrets.token_hex(4)}{suffix}'


def write(path: Path, item: QuarantinedItem, definition: str) -> None:
    """Write an item in the form that belongs to the path's suffix. Raises OSError.

    Args:
        path: The file to create.
        item: The item.
        definition: The full definition of its message's type; '' if it is not known.
    """
    if path.suffix == MCAP:
        write_atomically(path, lambda file: _write_mcap(file, item, definition))
    else:
        text = json.dumps(_fields_of(item), indent=2) + '\n'
        write_atomically(path.with_suffix(BYTES), lambda file: file.write(item.message))
        try:
            write_atomically(path, lambda file: file.write(text.encode()))
        except BaseException:
            path.with_suffix(BYTES).unlink(missing_ok=True)
            raise


def read(path: Path) -> QuarantinedItem:
    """Return the item in a file: MCAP, or either file of the other form.

    Raises BadFileError for a file without an item, McapMissingError, OSError.
    """
    fields, message = _load(path, with_message=True)
    label, size = _label(path, fields)
    if len(message) != size:
        raise BadFileError(f'{path}: found a message of {len(message)} bytes; allowed: {size}')
    return QuarantinedItem(**attrs.asdict(label), message=message)


def glance(path: Path) -> tuple[Label, int]:
    """Return the description of an item and its message's size in bytes; do not read the message.

    Raises the same errors as ``read``.
    """
    fields, _ = _load(path, with_message=False)
    return _label(path, fields)


def items_in(folder: Path) -> Iterator[Path]:
    """Yield one path per item in a folder and its subfolders, for ``read``."""
    for path in sorted(folder.rglob('*')):
        if path.suffix in (MCAP, JSON) and _OURS.fullmatch(path.name):
            yield path


def remove_oldest(folder: Path, limit: int, youngest: Mapping[str, int]) -> set[str]:
    """Remove the oldest items. Return the stems of those that stay.

    Args:
        folder: The folder.
        limit: How many items stay.
        youngest: By stem, the order of items that are younger than all others, also if the
            clock was set back since.
    """
    ages: dict[str, tuple[int, int]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                stem = Path(entry.name).stem
                # Another process may remove it at this moment.
                with suppress(FileNotFoundError):
                    ages[stem] = (youngest.get(stem, -1), entry.stat().st_mtime_ns)
    oldest_first = sorted(ages, key=ages.__getitem__)
    excess = max(0, len(oldest_first) - limit)
    for stem in oldest_first[:excess]:
        # The description is removed before the bytes, as it was written after them.
        for suffix in (MCAP, JSON, BYTES):
            (folder / f'{stem}{suffix}').unlink(missing_ok=True)
    return set(oldest_first[excess:])


def _write_mcap(file: BinaryIO, item: QuarantinedItem, definition: str) -> None:
    from mcap.writer import Writer

    writer = Writer(file)
    writer.start(profile='ros2', library='worker_pipeline')
    encoding = 'ros2msg' if definition else ''
    schema = writer.register_schema(item.message_type, encoding, definition.encode())
    channel = writer.register_channel(item.topic, 'cdr', schema)
    writer.add_metadata(_METADATA, _fields_of(item))
    # MCAP has no times before 1970. The metadata has the real one.
    writer.add_message(
        channel, log_time=max(0, item.at), publish_time=max(0, item.stamp), data=item.message
    )
    writer.finish()  # type: ignore[no-untyped-call]


def _load(path: Path, with_message: bool) -> tuple[Mapping[str, str], bytes]:
    try:
        if path.suffix == MCAP:
            return _load_mcap(path, with_message)
        if path.suffix in (JSON, BYTES):
            fields = json.loads(path.with_suffix(JSON).read_bytes())
            if not isinstance(fields, dict):
                raise BadFileError(f'{path}: found {type(fields).__name__}; allowed: an object')
            return fields, path.with_suffix(BYTES).read_bytes() if with_message else b''
    except (McapMissingError, BadFileError):
        raise
    except Exception as error:
        # A damaged file may cause any exception, also a seek to a negative offset.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise BadFileError(f'{path}: {type(error).__name__}: {error}') from error
    path.stat()  # OSError if there is no such file
    raise BadFileError(f'{path}: found a file *{path.suffix}; allowed: *{MCAP}, *{BYTES}, *{JSON}')


def _load_mcap(path: Path, with_message: bool) -> tuple[Mapping[str, str], bytes]:
    if not has_mcap():
        raise McapMissingError(f'{path}: reading it needs the Python package mcap')
    from mcap.reader import make_reader

    with path.open('rb') as file:
        reader = make_reader(file, validate_crcs=True)
        metadata = [record for record in reader.iter_metadata() if record.name == _METADATA]
        if not metadata:
            raise BadFileError(f'{path}: found an mcap file without a quarantined item')
        messages = (
            [message.data for _, _, message in reader.iter_messages()] if with_message else []
        )
    if with_message and len(messages) != 1:
        raise BadFileError(f'{path}: found {len(messages)} messages; allowed: 1')
    return metadata[0].metadata, messages[0] if messages else b''


def _fields_of(item: QuarantinedItem) -> dict[str, str]:
    known = {**attrs.asdict(item), 'size': len(item.message)}
    del known['message']
    # A cause may quote invalid text, such as a file name.
    return {
        key: str(value).encode(errors='backslashreplace').decode() for key, value in known.items()
    }


def _label(path: Path, fields: Mapping[str, str]) -> tuple[Label, int]:
    try:
        label = Label(
            stage=str(fields['stage']),
            source=str(fields['source']),
            topic=str(fields['topic']),
            message_type=str(fields['message_type']),
            stamp=int(fields['stamp']),
            attempts=int(fields['attempts']),
            cause=str(fields['cause']),
            at=int(fields['at']),
        )
        return label, int(fields['size'])
    except KeyError as error:
        raise BadFileError(f'{path}: found an item without its {error}') from error
    except (TypeError, ValueError) as error:
        raise BadFileError(f'{path}: {error}') from error
