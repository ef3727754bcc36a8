# SPDX-License-Identifier: Apache-2.0
"""Reports of mypy about stages: ``Stage[In, Out]``, and the plain ``Stage``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from worker_pipeline.create.names import StageName
from worker_pipeline.create.package import package_files, write_package

pytest.importorskip('mypy')

pytestmark = pytest.mark.slow  # runs other processes

REPOSITORY = Path(__file__).parents[2]

# In place of ROS messages, which have no type hints in every distribution. A comment has the code
# of the error that is expected on its line; no other line has any.
STAGES = """
from typing import Any

from worker_pipeline import Stage


class Image:
    width = 640


class Spot:
    brightness = 0.0


class Detector(Stage[Image, Spot]):
    input_type = Image
    output_type = Spot

    def process(self, item: Image) -> Spot | None:
        return Spot() if item.width > 0 else None


class Always(Detector):
    def process(self, item: Image) -> Spot:
        return Spot()


class Plain(Stage):
    input_type = Image
    output_type = Spot

    def process(self, item):  # type: ignore[no-untyped-def]  # strict asks it of every function
        return item


class PlainTyped(Stage):
    input_type = Image
    output_type = Spot

    def process(self, item: Any) -> Any:
        return item


class OtherInput(Stage[Image, Spot]):
    def process(self, item: Spot) -> Spot:  # error: override
        return item


class OtherOutput(Stage[Image, Spot]):
    def process(self, item: Image) -> Image:  # error: override
        return item


class OtherTypes(Stage[Image, Spot]):
    input_type = Spot  # error: assignment
    output_type = Image  # error: assignment


class WrongAttribute(Stage[Image, Spot]):
    def process(self, item: Image) -> Spot | None:
        item.height  # error: attr-defined
        return None


class OneType(Stage[Image]):
    def process(self, item: Image) -> Any:
        return item


found = Detector().bind({'least': 1.0}).process(Image())
found.brightness  # error: union-attr
Always().bind().process(Image()).brightness
Detector().bind().process(Spot())  # error: arg-type
PlainTyped().bind().process(Spot()).anything
"""


class Checked(NamedTuple):
    """The errors of mypy --strict: in the stages above, as line to code; and in other files."""

    here: dict[int, str]
    elsewhere: list[str]


@pytest.fixture(scope='module')
def errors(tmp_path_factory) -> Checked:
    """Run mypy once, with the repository's settings and cache, as it takes long to start."""
    folder = tmp_path_factory.mktemp('typing')
    file = folder / 'stages.py'
    file.write_text(STAGES)
    write_package(package_files('my_stages', [StageName('Echo')]), folder / 'my_stages')
    files = REPOSITORY.glob('examples/*/*.py')
    others = [each for each in files if each.parent.name != 'launch_test']  # which needs launch
    others.append(folder / 'my_stages' / 'my_stages' / 'echo.py')
    assert len(others) > 5
    command = [sys.executable, '-m', 'mypy', '--no-error-summary', *map(str, [file, *others])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert not done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if ': error: ' in line]
    here = [
        re.search(r'typing\w*/stages\.py:(\d+): error: .*\[([\w-]+)\]$', each) for each in lines
    ]
    return Checked(
        {int(each[1]): each[2] for each in here if each},
        [line for line, each in zip(lines, here, strict=True) if not each],
    )


def test_a_type_checker_finds_what_contradicts_a_stages_types_and_nothing_else(errors):
    expected = {
        number: line.partition('# error: ')[2]
        for number, line in enumerate(STAGES.splitlines(), 1)
        if '# error: ' in line
    }
    assert errors.here == expected


def test_the_example_stages_pass_the_type_checker(errors):
    """Those of examples/, and those of a created package."""
    assert errors.elsewhere == []
