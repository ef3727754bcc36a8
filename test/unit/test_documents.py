# SPDX-License-Identifier: Apache-2.0
"""The documents: links lead somewhere, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.documents import DOCS, blocks, section

from worker_pipeline import Stage
from worker_pipeline.state_codec import decode_state, encode_state

REPOSITORY = DOCS.parent
FOLDERS = ('docs', 'examples', '.devcontainer', '.github')
DOCUMENTS = sorted(
    [
        *REPOSITORY.glob('*.md'),
        *(path for each in FOLDERS for path in (REPOSITORY / each).rglob('*.md')),
    ]
)
PACKAGE = REPOSITORY / 'worker_pipeline'
LINK = re.compile(r'\]\(([^)\s]+)\)')


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.+)$', document.read_text(), re.MULTILINE)
    plain = [re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings]
    return {heading.replace(' ', '-') for heading in plain}


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(document):
    """Files and headings; addresses of other sites are not asked."""
    broken = []
    for link in LINK.findall(document.read_text()):
        if re.match(r'[a-z]+:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, f'{document.name}: these links lead nowhere: {broken}'


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_file_of_the_repository_that_is_named_exists(document):
    """Paths in code marks, from the repository's root, the package's or the document's folder."""
    roots = (REPOSITORY, REPOSITORY / 'worker_pipeline', document.parent)
    named = re.findall(r'`([\w.]+(?:/[\w.]+)+\.(?:py|xml|yaml|service))`', document.read_text())
    missing = [name for name in named if not any((root / name).is_file() for root in roots)]
    assert not missing, f'{document.name} names files that do not exist: {missing}'


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_python_name_of_the_package_that_is_mentioned_exists(document):
    """As in `worker_pipeline.airside.image`, or `worker_pipeline.testing.wait_for`."""
    text = document.read_text()
    named = set(re.findall(r'\bworker_pipeline(?:\.\w+)+(?::\w+)?', text))
    imports = re.findall(
        r'^from (worker_pipeline[\w.]*) import (\w+(?:, \w+)*)$', text, re.MULTILINE
    )
    named |= {f'{module}.{name}' for module, names in imports for name in names.split(', ')}
    missing = sorted(name for name in named if not exists(name))
    assert not missing, f'{document.name} names what is not in the package: {missing}'


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, a resource, or is defined or imported in one."""
    path, parts = REPOSITORY, re.split('[.:]', name)
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    if not parts:
        return True
    module = path / f'{parts[0]}.py'
    if module.is_file():
        parts.pop(0)
    elif name.startswith('worker_pipeline.service') or (path / '.'.join(parts)).is_file():
        return True
    else:
        module = path / '__init__.py'
    text = module.read_text()
    return all(re.search(rf'\b{part}\b', text) for part in parts)


def test_every_function_that_the_architecture_points_to_exists():
    """As in `core/ledger.py` (`accept`), or `Pipeline.drain`."""
    text = (DOCS / 'architecture.md').read_text()
    named = re.findall(r'`([\w./]+\.py)` \(([^)]*)\)', text)
    functions = [(path, each) for path, names in named for each in re.findall(r'`(\w+)`', names)]
    assert functions
    for path, function in functions:
        found = re.search(rf'def {function}\(', (PACKAGE / path).read_text())
        assert found, f'{path} has no function {function}'
    methods = re.findall(r'`([A-Z][a-z]+[A-Za-z]*)\.(\w+)`', text)
    assert methods
    sources = [path.read_text() for path in PACKAGE.rglob('*.py')]
    for name, method in methods:
        found = [each for each in sources if re.search(rf'^class {name}\b', each, re.MULTILINE)]
        assert any(re.search(rf'def {method}\(', each) for each in found), f'no {name}.{method}'


def test_the_architecture_names_every_folder_of_the_package():
    """In the table of folders."""
    text = section(DOCS / 'architecture.md', 'Folders')
    folders = {path.parent.name for path in (REPOSITORY / 'worker_pipeline').glob('*/__init__.py')}
    missing = sorted(name for name in folders if f'`{name}/`' not in text)
    assert not missing, f'docs/architecture.md, Folders: write a row for {missing}'


def test_the_readme_has_at_most_150_lines():
    """Further text belongs on a page of docs/."""
    assert len((REPOSITORY / 'README.md').read_text().splitlines()) <= 150


def stage_of_writing_stages(name: str) -> Any:
    """Return a stage of the class that the page shows."""
    shown = [each.text for each in blocks(DOCS / 'writing_stages.md')]
    (text,) = [each for each in shown if f'class {name}(' in each]
    names: dict[str, Any] = {'Stage': Stage, 'Header': Header}
    exec(text, names)
    return names[name]()


def test_the_state_of_writing_stages_works():
    """A replacement continues from it."""
    first, second = (stage_of_writing_stages('Count').bind() for _ in range(2))
    for stage in (first, second):
        stage.configure()
    for text in 'aba':
        first.process(Header(frame_id=text))
    saved = encode_state(type(first).state_codec, first.save_state())
    second.restore_state(decode_state(type(second).state_codec, saved))
    assert second.seen == {'a': 2, 'b': 1}


def test_the_stage_of_writing_stages_works():
    """It reports a bright image, counts a dark one, and has a topic with a recorder in a test."""
    stage = stage_of_writing_stages('Brightness').bind()
    stage.configure()
    bright = Image(height=2, width=2, encoding='bgr8', step=6, data=bytes([200] * 12))
    assert stage.process(bright).frame_id == '200'
    assert stage.topic['annotated'].messages == [bright]
    dark = Image(height=2, width=2, encoding='bgr8', step=6, data=bytes(12))
    assert stage.process(dark) is None
    assert stage.status.values == {'dark': '1'}
