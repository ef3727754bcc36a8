# SPDX-License-Identifier: Apache-2.0
"""The tutorial works as printed: its blocks are run in order, with the printed results."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Image
from support.documents import DOCS, Block, blocks, missing
from support.manager_process import ManagerProcess, python_path
from support.observer import Observer

from worker_pipeline.context import stamp_ns
from worker_pipeline.testing import isolated_domain, wait_for

TUTORIAL = DOCS / 'tutorial.md'
ROS2 = [
    line
    for block in blocks(TUTORIAL)
    for line in block.text.splitlines()
    if block.language == 'sh' and line.startswith('ros2 ')
]
# Of this test's own processes alone, as others may run the tutorial on this machine.
PGREP = """#!{python}
import os, sys, psutil
for process in psutil.process_iter():
    try:
        if process.name() == sys.argv[-1]:
            if process.environ().get('WORKER_PIPELINE_TEST_MARK') == '{mark}':
                print(process.pid)
    except psutil.Error:
        pass
"""


class Reading:
    """A reader of the tutorial, block by block, running commands in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blocks = iter(blocks(TUTORIAL))
        self._tools = folder / 'bin'
        self._tools.mkdir()
        self.tool('python', f'#!/bin/sh\nexec {sys.executable} "$@"\n')

    def tool(self, name: str, text: str) -> None:
        """Put a command on the PATH."""
        (self._tools / name).write_text(text)
        (self._tools / name).chmod(0o755)

    @property
    def path(self) -> str:
        return os.pathsep.join([str(self._tools), os.environ['PATH']])

    def next(self, language: str) -> str:
        """The text of the next block, which is in this language."""
        block = next(self._blocks, None)
        assert block is not None, f'the tutorial has no {language} any more'
        assert (block.language, block.file) == (language, ''), f'line {block.line}: {block}'
        return block.text

    def write(self, name: str) -> str:
        """Write the next block to the file that it is for."""
        block = next(self._blocks)
        assert block.file == name, f'line {block.line}: found {block.file!r}, not {name!r}'
        (self.folder / name).write_text(block.text)
        return block.text

    def left(self) -> list[Block]:
        """Return the blocks that were not used."""
        return list(self._blocks)

    def run(self, commands: str, given: str = '', timeout: float = 60.0) -> str:
        """Return the commands' output; each has to succeed."""
        done = subprocess.run(
            ['bash', '-euc', commands],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == 0, f'{commands}exit code {done.returncode}:\n{done.stdout}'
        return done.stdout

    def run_until(self, commands: str, expected: str) -> str:
        """Run read-only commands until they print the expected lines."""
        printed = ''

        def is_printed() -> bool:
            nonlocal printed
            printed = self.run(commands)
            return not missing(expected, printed)

        wait_for(is_printed, f'{missing(expected, printed)!r} of {commands}', seen=lambda: printed)
        return printed


def pids(printed: str) -> set[str]:
    return set(re.findall(r'/spot/worker_\d .* pid=(\d+)', printed))


@pytest.fixture
def reading(tmp_path, domain, monkeypatch) -> Reading:
    """Return a reader, in an environment in which the first block was done."""
    reading = Reading(tmp_path)
    monkeypatch.setenv('PATH', reading.path)
    monkeypatch.setenv('PYTHONPATH', python_path())
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'ros_home'))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'ros_log'))
    monkeypatch.delenv('PYTEST_ADDOPTS', raising=False)
    assert reading.next('sh').startswith('make setup\n. .venv/bin/activate\n')
    return reading


def test_the_tutorial_works_as_printed(reading, observer, domain, tmp_path):
    """From the first line to the last."""
    reading.write('lights.py')
    reading.write('test_lights.py')
    printed = reading.run(reading.next('sh'))
    assert not missing(reading.next('text'), printed), printed

    parameters = reading.write('lights.yaml')
    frames = observer.collect('camera/output', Image)
    answers = observer.collect('spot/output', PointStamped)
    command = ['bash', '-c', reading.next('sh')]
    manager = ManagerProcess(tmp_path, parameters, domain, command=command)
    try:
        follow(reading, manager, frames, answers)
        manager.signal(signal.SIGINT, group=True)
        assert manager.wait() == 0
        assert not missing(reading.next('text'), manager.output), manager.output
        assert not manager.relatives()
    finally:
        manager.close()
    assert not reading.left()


def follow(
    reading: Reading,
    manager: ManagerProcess,
    frames: list[Image],
    answers: list[PointStamped],
) -> None:
    """Follow the part of the tutorial for which the manager runs."""
    # The order of the workers varies.
    expected = sorted(reading.next('text').splitlines(), key=lambda line: 'every stage' in line)
    for line in expected:
        wait_for(lambda line=line: not missing(line, manager.output), line, seen=manager.show)
    reading.tool('pgrep', PGREP.format(python=sys.executable, mark=manager.mark))

    reading.write('look.py')
    look = reading.next('sh')
    before = reading.run_until(look, reading.next('text'))
    assert set(reading.next('sh').splitlines()) <= set(ROS2)

    kill, look = reading.next('sh').splitlines(keepends=True)
    wait_for(lambda: answers, 'an answer')
    reading.run(kill)
    after = reading.run_until(look, reading.next('text'))
    assert len(pids(before) & pids(after)) == 1
    accepted, completed = re.findall(r'/spot .* accepted=(\d+) completed=(\d+)', after)[0]
    assert int(accepted) - int(completed) <= 4
    nothing_is_lost(frames, answers)

    reading.write('set.py')
    printed = reading.run(reading.next('sh'))
    assert not missing(reading.next('text'), printed), printed
    expected = reading.next('text')
    wait_for(
        lambda: (
            not missing(expected, changed := reading.run(look))
            and not pids(changed) & pids(after)
            and 'a light at' not in changed
        ),
        f'{expected}, other workers, and no light',
        seen=lambda: reading.run(look),
    )
    assert set(reading.next('sh').splitlines()) <= set(ROS2)

    reading.write('send.py')
    printed = reading.run(reading.next('sh'))
    assert not missing(reading.next('text'), printed), printed
    file = re.findall(r'(\S+/spot_\S+)', printed)[0]
    shown = reading.run(f'python -m worker_pipeline quarantine --show {file}\n')
    assert 'width: 160' in shown

    debug, session = reading.next('sh'), reading.next('text')
    typed = ''.join(f'{line}\n' for line in re.findall(r'^\(Pdb\) (.*)', session, re.MULTILINE))
    printed = reading.run(debug, typed)
    answered = re.sub(r'^\(Pdb\) .*\n', '', session, flags=re.MULTILINE)
    assert not missing(answered, printed), printed
    assert 'failed' not in printed


def nothing_is_lost(frames: list[Image], answers: list[PointStamped]) -> None:
    """Assert that each received frame has one answer, and that answers are in order."""
    until = stamp_ns(frames[-1].header.stamp)
    wait_for(lambda: stamp_ns(answers[-1].header.stamp) >= until, 'the answers')
    answered = [stamp_ns(each.header.stamp) for each in answers]
    given = {stamp_ns(each.header.stamp) for each in frames}
    given = {stamp for stamp in given if answered[0] <= stamp <= until}
    assert len(given) > 20
    assert given <= set(answered)
    assert answered == sorted(set(answered))


@pytest.fixture(scope='module')
def pipeline(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Start the tutorial's pipeline; yield the environment in which it runs."""
    folder = tmp_path_factory.mktemp('ros2')
    for block in blocks(TUTORIAL):
        if block.file:
            (folder / block.file).write_text(block.text)
    with isolated_domain() as domain:
        probe = Observer(domain)
        manager = ManagerProcess(folder, (folder / 'lights.yaml').read_text(), domain)
        environment = os.environ | {
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': str(folder),
        }
        try:
            probe.wait_until_active('spot', 2)
            yield environment
        finally:
            probe.close()
            manager.close()
            # It was started by the first command, and would outlive the test.
            stop = ['ros2', 'daemon', 'stop']
            subprocess.run(stop, env=environment, capture_output=True, timeout=30, check=False)


@pytest.mark.skipif(shutil.which('ros2') is None, reason='there is no ros2 on the PATH')
@pytest.mark.parametrize('command', ROS2)
def test_every_ros2_command_of_the_tutorial_succeeds(pipeline, command):
    """It prints something, and its exit code is 0."""
    done = subprocess.run(
        command.split(),
        env=pipeline,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip()
