# SPDX-License-Identifier: Apache-2.0
"""What is known of the stages' classes is used again only while it is true."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker_pipeline.config import PluginDescription, load
from worker_pipeline.recovery.inspection_cache import InspectionCache

BASE = (100, 200)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    found = tmp_path / 'module.py'
    found.write_text('one')
    return found


def stages(**params: object):
    keys = {'stages': ['one'], 'one.plugin': 'a.b:C'}
    keys |= {f'one.params.{key}': value for key, value in params.items()}
    return load(keys).stages


def described(module: Path, **how: object) -> PluginDescription:
    status = module.stat()
    return PluginDescription(
        'std_msgs/msg/Header',
        'std_msgs/msg/Header',
        files=[(str(module), status.st_mtime_ns, status.st_size)],
        **how,
    )


def saved(tmp_path: Path, module: Path, **how: object) -> Path:
    file = tmp_path / 'inspected'
    InspectionCache(file, BASE).save(stages(gain=1.0), {'one': described(module, **how)})
    return file


def test_the_next_manager_finds_what_was_saved(tmp_path, module):
    """The same class with the same parameters."""
    cache = InspectionCache(saved(tmp_path, module), BASE)
    assert cache.get(stages(gain=1.0)['one']) == described(module)
    assert cache.get(stages(gain=2.0)['one']) is None


def test_a_changed_file_makes_it_worthless(tmp_path, module):
    """Its time or its size; and a file that is gone."""
    file = saved(tmp_path, module)
    os.utime(module, ns=(1, 1))
    assert InspectionCache(file, BASE).get(stages(gain=1.0)['one']) is None
    module.unlink()
    assert InspectionCache(file, BASE).get(stages(gain=1.0)['one']) is None


def test_another_guardian_does_not_use_it(tmp_path, module):
    """It may have imported other versions of everything else."""
    assert InspectionCache(saved(tmp_path, module), (100, 201)).get(stages(gain=1.0)['one']) is None


def test_a_class_with_problems_is_imported_again(tmp_path, module):
    """It may have been corrected."""
    file = saved(tmp_path, module, problems=['plugin: wrong'])
    assert InspectionCache(file, BASE).get(stages(gain=1.0)['one']) is None


@pytest.mark.parametrize('position', range(0, 400, 7))
def test_a_damaged_file_is_not_used(tmp_path, module, position):
    """Every flipped bit is found before anything is unpickled."""
    file = saved(tmp_path, module)
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= 0x10
    file.write_bytes(data)
    assert InspectionCache(file, BASE).get(stages(gain=1.0)['one']) is None


def test_a_folder_that_is_full_or_gone_does_no_harm(tmp_path, module):
    """The next manager imports the classes."""
    InspectionCache(tmp_path / 'none' / 'inspected', BASE).save(
        stages(gain=1.0), {'one': described(module)}
    )
