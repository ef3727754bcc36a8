# SPDX-License-Identifier: Apache-2.0
"""The files of a new stage package."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from support.configuring import flat

from worker_pipeline.config import load
from worker_pipeline.create import package
from worker_pipeline.create.names import StageName
from worker_pipeline.create.package import package_files, write_package

STAGES = [StageName('Camera'), StageName('DetectTarget'), StageName('Locate')]


@pytest.fixture(scope='module')
def files() -> dict[str, str]:
    return package_files('my_stages', STAGES)


def test_the_package_has_these_files(files):
    assert sorted(files) == [
        'README.md',
        'config/my_stages.yaml',
        'launch/my_stages.launch.py',
        'my_stages/__init__.py',
        'my_stages/camera.py',
        'my_stages/detect_target.py',
        'my_stages/locate.py',
        'package.xml',
        'resource/my_stages',
        'setup.cfg',
        'setup.py',
        'test/test_camera.py',
        'test/test_detect_target.py',
        'test/test_locate.py',
        'test/test_pipeline.py',
    ]


def test_no_placeholder_is_left(files):
    assert [path for path, text in files.items() if re.search(r'@\w+@', path + text)] == []


def test_every_template_is_used():
    folder = Path(package.__file__).parent / 'templates'
    used = {f'{each}.template' for each in (*package.OF_PACKAGE, *package.OF_STAGE)}
    assert {each.name for each in folder.iterdir()} == used


def test_the_configuration_is_one_that_the_manager_takes(files):
    """A chain: each stage takes the output of the one before, the first its own topic."""
    parameters = yaml.safe_load(files['config/my_stages.yaml'])['/**/manager']['ros__parameters']
    stages = load(flat(parameters)).stages
    assert {name: (each.plugin, list(each.inputs)) for name, each in stages.items()} == {
        'camera': ('my_stages.camera:Camera', []),
        'detect_target': ('my_stages.detect_target:DetectTarget', ['camera']),
        'locate': ('my_stages.locate:Locate', ['detect_target']),
    }


def test_the_modules_are_python_that_defines_the_classes(files):
    trees = {path: ast.parse(text) for path, text in files.items() if path.endswith('.py')}
    for stage in STAGES:
        body = trees[f'my_stages/{stage.name}.py'].body
        assert [each.name for each in body if isinstance(each, ast.ClassDef)] == [stage.class_name]


def test_the_manifest_says_what_setup_says(files):
    manifest = ElementTree.fromstring(files['package.xml'])
    setup = files['setup.py']
    assert manifest.findtext('name') == 'my_stages'
    assert "package_name = 'my_stages'\n" in setup
    for tag in ('version', 'license', 'description', 'maintainer'):
        assert f"{tag}='{manifest.findtext(tag)}'," in setup
    assert f"maintainer_email='{manifest.find('maintainer').get('email')}'," in setup
    assert manifest.findtext('export/build_type') == 'ament_python'


def test_the_manifest_names_every_package_that_is_imported(files):
    manifest = ElementTree.fromstring(files['package.xml'])
    runtime = {each.text for each in manifest.iter('exec_depend')}
    testing = runtime | {each.text for each in manifest.iter('test_depend')}
    standard = {'glob', 'pathlib', 'setuptools', 'my_stages'}
    for path, text in files.items():
        known = testing if path.startswith('test/') else runtime
        for name in re.findall(r'^(?:from|import) (\w+)', text, re.MULTILINE):
            assert {name, f'python3-{name}'} & (known | standard), f'{path}: {name}'


def test_scripts_are_installed_where_ros2_run_looks(files):
    settings = configparser.ConfigParser()
    settings.read_string(files['setup.cfg'])
    folder = '$base/lib/my_stages'
    assert settings['develop']['script_dir'] == settings['install']['install_scripts'] == folder


def test_a_package_is_written_as_a_whole(files, tmp_path):
    write_package(files, tmp_path / 'my_stages')
    written = {
        str(path.relative_to(tmp_path / 'my_stages')): path.read_text()
        for path in tmp_path.rglob('*')
        if path.is_file()
    }
    assert written == files


def test_a_folder_that_exists_is_left_alone(files, tmp_path):
    """Also an empty one, and one that came to be while the files were written."""
    (tmp_path / 'my_stages').mkdir()
    with pytest.raises(FileExistsError):
        write_package(files, tmp_path / 'my_stages')
    assert [each.name for each in tmp_path.rglob('*')] == ['my_stages']


def test_where_writing_fails_nothing_is_left(tmp_path):
    with pytest.raises(OSError, match='File name too long'):
        write_package({'README.md': '', 'x' * 300: ''}, tmp_path / 'my_stages')
    assert list(tmp_path.iterdir()) == []
