# SPDX-License-Identifier: Apache-2.0
"""The command ``quarantine``, which lists quarantined items and shows their messages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from worker_pipeline.parameter import short_repr
from worker_pipeline.quarantine.files import BYTES
from worker_pipeline.quarantine.store import (
    BadFileError,
    Label,
    McapMissingError,
    default_folder,
    glance,
    items_in,
    read,
)
from worker_pipeline.ros.cdr import split_stamp
from worker_pipeline.ros.message_types import class_of

HEADINGS = ('STAGE', 'STAMP', 'TYPE', 'BYTES', 'ATTEMPTS', 'FILE', 'CAUSE')
# The most elements of an array that are shown, as for an image.
SHOWN_ELEMENTS = 128
SHOWN_FILES = 10


class CannotShowError(Exception):
    """A message that cannot be deserialised here, and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Exit code 0: done; 1: some item could not be read; 2: wrong arguments.
    """
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline quarantine',
        description='List the quarantined items, or show one.',
    )
    parser.add_argument(
        'paths', nargs='*', type=Path, metavar='PATH', help='files and folders (default: all kept)'
    )
    parser.add_argument(
        '--show',
        metavar='NAME',
        help='show the message of an item: a file, its name without folder, or the beginning of it',
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    if options.show and options.paths:
        parser.error('allowed: either PATH or --show NAME')
    try:
        return _list(options.paths) if options.show is None else _show_named(options.show)
    except BrokenPipeError:
        # The reader has closed the pipe, for example head. Python would flush again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _list(paths: Sequence[Path]) -> int:
    failed = False
    if not paths:
        folder = default_folder()
        if not folder.exists():
            print(f'nothing in quarantine: no {folder}', file=sys.stderr)
            return 0
        paths = [folder]
    found: list[tuple[Path, Label, int]] = []
    for path in paths:
        for file in items_in(path) if path.is_dir() else [path]:
            try:
                found.append((file, *glance(file)))
            except (BadFileError, McapMissingError, OSError) as error:
                failed = True
                _report_error(error)
    if not found and not failed:
        print(f'nothing in quarantine: {", ".join(map(str, paths))}', file=sys.stderr)
    elif found:
        found.sort(key=lambda entry: entry[1].at)
        _print_table([HEADINGS, *(_row(*entry) for entry in found)])
    return int(failed)


def _row(file: Path, label: Label, size: int) -> tuple[str, ...]:
    return (
        label.stage,
        _stamp(label.stamp),
        label.message_type,
        str(size),
        str(label.attempts),
        str(file),
        _last_line(label.cause),
    )


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print('  '.join(cells).rstrip())


def _show_named(name: str) -> int:
    path = Path(name)
    found = [path] if path.is_file() else _items_named(name)
    if len(found) == 1:
        return _show(found[0])
    if found:
        shown = [str(each) for each in found[:SHOWN_FILES]]
        more = ['...'] if len(found) > SHOWN_FILES else []
        problem = f'the beginning of {len(found)} names:\n  ' + '\n  '.join([*shown, *more])
    else:
        problem = f'no item in {default_folder()}'
    _report_error(
        f'--show: found {short_repr(name)}, {problem}\n'
        'allowed: a file, or the beginning of one name that the list shows'
    )
    return 1


def _items_named(name: str) -> list[Path]:
    """Return the kept items of a name, of its beginning, or with it as the end of their path."""
    folder = default_folder()
    if not name or not folder.exists():
        return []
    # Both files of an item in the other form stand for it.
    items = list(items_in(folder))
    exact = [each for each in items if name in (each.name, each.stem, f'{each.stem}{BYTES}')]
    below = [each for each in items if str(each.relative_to(folder)).startswith(name)]
    return exact or below or [each for each in items if each.name.startswith(name)]


def _show(file: Path) -> int:
    try:
        item = read(file)
        message = _deserialized(item.message_type, item.message)
    except (BadFileError, McapMissingError, CannotShowError, OSError) as error:
        _report_error(error)
        return 1
    head = [
        f'type: {item.message_type}',
        f'stage: {item.stage}, input: {item.source}, topic: {item.topic}',
        f'stamp: {_stamp(item.stamp)}, quarantined at: {_stamp(item.at)}',
        f'attempts: {item.attempts}, bytes: {len(item.message)}',
        f'cause: {item.cause}',
    ]
    for line in '\n'.join(head).splitlines():
        print(f'# {_printable(line)}'.rstrip())
    # None: values without nested ones, such as the numbers of a covariance, share a line.
    text = yaml.safe_dump(
        _plain(message), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    print(text, end='')
    return 0


def _deserialized(message_type: str, message: bytes) -> Any:
    from rclpy.serialization import deserialize_message

    try:
        message_class = class_of(message_type)
    except (ImportError, AttributeError, ValueError) as error:
        raise CannotShowError(f'{message_type} is not installed here: {error}') from error
    try:
        return deserialize_message(message, message_class)
    except Exception as error:  # each middleware has exceptions of its own
        raise CannotShowError(f'not a serialised {message_type}: {error}') from error


def _plain(value: Any) -> Any:
    """Return a message as YAML types: mappings, lists, numbers and strings; long lists are cut."""
    if hasattr(value, 'get_fields_and_field_types'):
        return {name: _plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, bytes):  # one octet
        return value[0]
    if isinstance(value, (bool, int, float, str)):
        return value
    return _cut(value, len(value))


def _cut(elements: Iterable[Any], length: int) -> list[Any]:
    shown = [
        _plain(element.item() if hasattr(element, 'item') else element)
        for _, element in zip(range(SHOWN_ELEMENTS), elements, strict=False)
    ]
    return [*shown, f'... {length} in all'] if length > len(shown) else shown


def _stamp(stamp: int) -> str:
    seconds, nanoseconds = split_stamp(stamp)
    return f'{seconds}.{nanoseconds:09d}'


def _last_line(text: str) -> str:
    """Return the last line, which in a traceback is the exception."""
    return _printable((text.strip().splitlines() or [''])[-1].strip())


def _printable(text: str) -> str:
    """Return the text without control characters: a cause may quote anything."""
    return ''.join(sign if sign.isprintable() else '?' for sign in text)


def _report_error(error: Exception | str) -> None:
    print(f'quarantine: {error}', file=sys.stderr)
