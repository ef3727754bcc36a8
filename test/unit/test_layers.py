# SPDX-License-Identifier: Apache-2.0
"""Checks the layers: imports go down only, and the core knows neither ROS nor a clock.

Every import counts, those inside functions and under ``TYPE_CHECKING`` too. An exception that is
listed and no longer needed fails as well, so the lists can only shrink.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = 'worker_pipeline'

# By room: its floor. A module may import from its own room and from rooms on lower floors.
FLOORS = {
    'core': 1,
    'frames': 1,
    'system': 1,
    'api': 2,  # the modules at the top of the package, which users import
    'output': 2,
    'create': 3,
    'launching': 3,
    'ros': 3,
    'monitor': 4,
    'plugins': 4,
    'protocol': 4,
    'quarantine': 4,
    'testing': 4,
    'recovery': 5,
    'runtime': 5,  # no more than an old import path
    'worker': 6,
    'manager': 7,
    'airside': 8,
    'guardian': 8,
    'cli': 9,
}
# The pool is a part of the core that users import.
ROOM_OF = {'cli': 'cli', '__main__': 'cli', 'pool': 'core'}
# The same within airside/, by its folders.
AIRSIDE_FLOORS = {
    'common': 1,
    'geometry': 1,
    'messages': 2,
    'cameras': 3,
    'detectors': 3,
    'mavlink': 3,
    'projection': 3,
    'tracking': 3,
    'reporting': 4,
    'simulation': 4,
    'stages': 5,  # the modules at the top of airside/, with paths that configurations contain
    'mission': 6,
}

# (importer, imported) where an import goes up. To be removed, never added to.
UPWARD: set[tuple[str, str]] = set()
# Pairs of modules that import each other.
CYCLES: set[tuple[str, str]] = set()

# Modules for clocks, the system, the network, and ROS.
IMPURE = frozenset(
    {
        'asyncio',
        'multiprocessing',
        'os',
        'pathlib',
        'rclpy',
        'select',
        'signal',
        'socket',
        'subprocess',
        'threading',
        'time',
    }
)
# Packages for the airside stages only: the framework runs without it.
AIRSIDE_ONLY = frozenset({'PIL', 'cv2', 'onnxruntime', 'pymap3d', 'pymavlink', 'serial'})


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return what each module of the package imports, by its name without the package's."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        name = '.'.join(path.relative_to(ROOT / PACKAGE).with_suffix('').parts)
        tree = ast.parse(path.read_text(encoding='utf-8'))
        found[name.removesuffix('.__init__')] = frozenset(imported_names(tree))
    return found


def room_of(module: str) -> str:
    room = module.partition('.')[0]
    return ROOM_OF.get(room, room if room in FLOORS else 'api')


def airside_room_of(module: str) -> str:
    """Return the folder within ``airside/`` of a module in it."""
    folder = module.partition('.')[2].partition('.')[0]
    return folder if folder in AIRSIDE_FLOORS else 'stages'


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of every import anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, 'imports are absolute'
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


@cache
def links() -> frozenset[tuple[str, str]]:
    """Return (importer, imported) for all modules of the package."""
    known = imports()
    found = set()
    for importer, names in known.items():
        for name in names:
            if not f'{name}.'.startswith(f'{PACKAGE}.'):
                continue
            imported = name.removeprefix(PACKAGE).removeprefix('.')
            if imported not in known:
                imported = imported.rpartition('.')[0]  # a name in a module
            if imported != importer:
                found.add((importer, imported))
    return frozenset(found)


def test_imports_go_down_only():
    upward = {
        (importer, imported)
        for importer, imported in links()
        if room_of(importer) != room_of(imported)
        and FLOORS[room_of(importer)] <= FLOORS[room_of(imported)]
    }
    assert upward == UPWARD


def test_imports_within_the_airside_part_go_down_only():
    upward = {
        (importer, imported)
        for importer, imported in links()
        if room_of(importer) == room_of(imported) == 'airside'
        and airside_room_of(importer) != airside_room_of(imported)
        and AIRSIDE_FLOORS[airside_room_of(importer)] <= AIRSIDE_FLOORS[airside_room_of(imported)]
    }
    assert not upward


def test_no_modules_import_each_other_in_a_circle():
    imports = defaultdict(set)
    for importer, imported in links() - CYCLES:
        imports[importer].add(imported)
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError(f'a circle of imports: {" <- ".join(error.args[1])}') from None
    assert links() >= CYCLES, 'a circle that is no longer there is still listed'


def test_the_core_imports_neither_ros_nor_a_clock_nor_input_and_output():
    found = {
        (module, name)
        for module, names in imports().items()
        if room_of(module) == 'core'
        for name in names
        if name.partition('.')[0] in IMPURE or name.partition('.')[0].endswith('_msgs')
    }
    assert not found


def test_only_the_airside_part_imports_what_the_framework_must_run_without():
    found = {
        (module, name)
        for module, names in imports().items()
        if room_of(module) != 'airside'
        for name in names
        if name.partition('.')[0] in AIRSIDE_ONLY
    }
    assert not found


def test_only_the_command_line_imports_the_airside_part_from_outside():
    outside = {
        importer
        for importer, imported in links()
        if room_of(imported) == 'airside' and room_of(importer) != 'airside'
    }
    assert outside <= {'cli'}
