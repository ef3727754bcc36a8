# SPDX-License-Identifier: Apache-2.0
"""The files of a new stage package, and writing them."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from worker_pipeline.create.names import StageName

# From a template to its path in the package.
OF_PACKAGE = {
    'README.md': 'README.md',
    'package.xml': 'package.xml',
    'setup.py': 'setup.py',
    'setup.cfg': 'setup.cfg',
    'parameters.yaml': 'config/@package@.yaml',
    'launch.py': 'launch/@package@.launch.py',
    'test_pipeline.py': 'test/test_pipeline.py',
}
OF_STAGE = {
    'stage.py': '@package@/@stage@.py',
    'test_stage.py': 'test/test_@stage@.py',
    'stage.yaml': 'config/@package@.yaml',  # a part of it: appended
}
PLACEHOLDER = re.compile(r'@(\w+)@')


def package_files(package: str, stages: Sequence[StageName]) -> dict[str, str]:
    """Return the text of every file of a stage package, by its path in the package's folder.

    Args:
        package: The package's name.
        stages: The stages in the order of the pipeline, each the input of the next one.
    """
    values = {
        'package': package,
        'stages': ', '.join(each.name for each in stages),
        'quoted_stages': ', '.join(f"'{each.name}'" for each in stages),
        'first': stages[0].name,
        'last': stages[-1].name,
    }
    files = {f'resource/{package}': '', f'{package}/__init__.py': ''}
    for template, path in OF_PACKAGE.items():
        files[_filled(path, values)] = _rendered(template, values)
    source = f'# no input: fed through the topic {stages[0].name}/input'
    for stage in stages:
        values |= {'stage': stage.name, 'Class': stage.class_name, 'input': source}
        for template, path in OF_STAGE.items():
            target = _filled(path, values)
            files[target] = files.get(target, '') + _rendered(template, values)
        source = f'input: {stage.name}'
    return files


def _rendered(template: str, values: Mapping[str, str]) -> str:
    folder = resources.files('worker_pipeline.create') / 'templates'
    return _filled((folder / f'{template}.template').read_text(encoding='utf-8'), values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)


def write_package(files: Mapping[str, str], folder: Path) -> None:
    """Write a package's files to a new folder: all of them, or none.

    Raises:
        OSError: The folder exists, or cannot be written.
    """
    # Beside the folder, so that it is renamed within one file system.
    unfinished = Path(tempfile.mkdtemp(prefix=f'.{folder.name}-', dir=folder.parent))
    try:
        for path, text in files.items():
            target = unfinished / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding='utf-8')
        unfinished.chmod(0o755)
        # An empty folder of that name would be replaced without a word.
        if folder.exists() or folder.is_symlink():
            raise FileExistsError(f'{folder} exists')
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
