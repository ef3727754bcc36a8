# SPDX-License-Identifier: Apache-2.0
"""A file that is no whole quarantined item is rejected with its name and what is wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from support.quarantined_items import image, item, kept, without_mcap

from worker_pipeline.quarantine.store import BadFileError, read


@pytest.mark.parametrize('share', [0.0, 0.2, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_rejected(make_store, share):
    """As a copy may be."""
    pytest.importorskip('mcap')
    (path,) = kept(make_store(), item(image(40)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadFileError, match='detect_target_12'):
        read(path)


@pytest.mark.slow
def test_a_damaged_message_is_rejected(make_store):
    """Any byte; one that does no harm is not noticed."""
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
def test_invalid_json_is_rejected(tmp_path, text, expected):
    """With the file's name and the error."""
    (tmp_path / 'item.json').write_text(text)
    (tmp_path / 'item.cdr').write_bytes(b'')
    with pytest.raises(BadFileError, match=expected):
        read(tmp_path / 'item.json')


def test_a_truncated_message_beside_its_json_is_rejected(make_store, monkeypatch):
    """Its size is known."""
    without_mcap(monkeypatch)
    (path,) = kept(make_store(), item())
    path.with_suffix('.cdr').write_bytes(item().message[:-1])
    with pytest.raises(BadFileError, match='found a message of'):
        read(path)


def test_an_mcap_file_without_a_quarantined_item_is_rejected(tmp_path):
    """It has no cause of any item."""
    writer = pytest.importorskip('mcap.writer')
    path = tmp_path / 'bag.mcap'
    with path.open('wb') as file:
        other = writer.Writer(file)
        other.start()
        other.finish()
    with pytest.raises(BadFileError, match='without a quarantined item'):
        read(path)


def test_a_file_of_another_type_is_rejected(tmp_path):
    """By its name."""
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(BadFileError, match=r'found a file \*\.txt; allowed: \*\.mcap'):
        read(tmp_path / 'notes.txt')


@pytest.mark.parametrize('name', ['none.mcap', 'none.json', 'none'])
def test_a_missing_file_is_an_os_error(tmp_path, name):
    """As everywhere in Python."""
    with pytest.raises(FileNotFoundError):
        read(tmp_path / name)
