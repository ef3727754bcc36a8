# SPDX-License-Identifier: Apache-2.0
"""The framework without OpenCV, pymavlink, pymap3d, Pillow, pyserial and onnxruntime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.blocked import BLOCKED, block_airside_packages
from support.manager_process import python_path

pytestmark = pytest.mark.slow  # runs other processes

PACKAGE = Path(__file__).resolve().parents[2] / 'worker_pipeline'
# Needs a sourced ROS 2, which the test environment may not have.
NEEDS_LAUNCH = ('launching',)


def framework_modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        if parts[1] not in ('airside', '__main__', *NEEDS_LAUNCH):
            names.append('.'.join(parts).removesuffix('.__init__'))
    return names


@pytest.fixture
def run(tmp_path):
    """Run Python code where the packages are blocked."""
    path = os.pathsep.join([block_airside_packages(tmp_path), python_path()])

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, '-c', code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {'PYTHONPATH': path},
        )

    return run


def test_every_framework_module_can_be_imported(run):
    done = run(
        f'import importlib\nfor each in {framework_modules()!r}: importlib.import_module(each)'
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_framework_imports_none_of_the_packages(run):
    done = run(
        f'import sys, worker_pipeline, worker_pipeline.manager.process\n'
        f'sys.exit(str(set({BLOCKED!r}) & set(sys.modules) or ""))'
    )
    assert not done.stderr.strip()


LINK = 'worker_pipeline.airside.mavlink.link'


@pytest.mark.parametrize(
    ('code', 'module', 'pip', 'apt'),
    [
        (
            'import worker_pipeline.airside.detect_target',
            'cv2',
            'opencv-python-headless',
            ', or apt install python3-opencv',
        ),
        (
            'import worker_pipeline.airside.geolocation',
            'pymap3d',
            'pymap3d',
            ', or apt install python3-pymap3d',
        ),
        (
            f'from {LINK} import *; check_libraries("udpin:127.0.0.1:1")',
            'pymavlink',
            'pymavlink',
            '',
        ),
    ],
    ids=['OpenCV', 'pymap3d', 'pymavlink'],
)
def test_an_airside_stage_names_the_packages_to_install(run, code, module, pip, apt):
    done = run(code)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        f"MissingPackageError: No module named '{module}'; "
        f'pip install {pip} (part of the extra worker_pipeline[airside]){apt}'
    )


def test_the_mission_names_the_packages_to_install(run):
    done = run(
        'from worker_pipeline.airside.mission.__main__ import main\nraise SystemExit(main([]))'
    )
    assert done.returncode == 2
    assert done.stderr.startswith('mission: No module named ')
    assert 'pip install ' in done.stderr


def test_airside_modules_without_these_packages_can_be_imported(run):
    done = run('import worker_pipeline.airside.image, worker_pipeline.airside.data_merge')
    assert done.returncode == 0, done.stderr
