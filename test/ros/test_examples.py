# SPDX-License-Identifier: Apache-2.0
"""The examples work as in their READMEs: the commands are run as they stand."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Range
from std_msgs.msg import Header
from support.documents import blocks, missing
from support.manager_process import REPOSITORY, ManagerProcess, python_path

from worker_pipeline.context import stamp_ns
from worker_pipeline.testing import wait_for

EXAMPLES = REPOSITORY / 'examples'
SMOOTHER = EXAMPLES / 'cpp_node' / 'smoother'
MAX_GAP = 100_000_000  # ns, as in the parameter file
ALL = sorted(each.name for each in EXAMPLES.iterdir() if (each / 'README.md').exists())


class Example:
    """A copy of an example's folder; the manager of its README runs in it."""

    def __init__(self, name: str, folder: Path, domain: int) -> None:
        self.folder = folder
        shutil.copytree(EXAMPLES / name, folder)
        self._domain = domain
        self._blocks = blocks(folder / 'README.md')
        command = self.command('python -m worker_pipeline manager ')
        parameters = (folder / command[-1]).read_text()
        self.manager = ManagerProcess(folder, parameters, domain, command=command)

    def commands(self, start: str) -> list[str]:
        """Return the README's commands that start so."""
        lines = [line for each in self._blocks for line in each.text.splitlines()]
        return [line for line in lines if line.startswith(start)]

    def command(self, start: str) -> list[str]:
        """Return the README's one command that starts so, for this Python."""
        (line,) = self.commands(start)
        return [sys.executable if word == 'python' else word for word in shlex.split(line)]

    @property
    def expected(self) -> str:
        """The output that the README shows."""
        (text,) = (each.text for each in self._blocks if each.language == 'text')
        return text

    def wait_for_log(self) -> None:
        """Wait until the manager has logged, in order, the lines of the README."""
        wait_for(
            lambda: not missing(self.expected, self.manager.output),
            self.expected,
            seen=self.manager.show,
        )

    def run(self, command: list[str]) -> str:
        """Return the output of a command."""
        environment = os.environ | {
            'ROS_DOMAIN_ID': str(self._domain),
            'PYTHONPATH': python_path(),
            'ROS_LOG_DIR': str(self.folder),
        }
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env=environment,
        )
        assert done.returncode == 0, f'{command}: exit code {done.returncode}:\n{done.stderr}'
        return done.stdout

    def kill(self, worker: str, pid: int) -> None:
        """Kill a worker as in the README, by its process's name."""
        (line,) = self.commands('kill ')
        assert line == f'kill -9 $(pgrep -x {worker})'
        assert Path(f'/proc/{pid}/comm').read_text().strip() == worker
        os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop the manager as Ctrl-C does."""
        self.manager.signal(signal.SIGINT, group=True)
        assert self.manager.wait() == 0, self.manager.output
        assert not self.manager.relatives()


@pytest.fixture
def example(tmp_path, domain) -> Iterator[Callable[[str], Example]]:
    """Start an example by the name of its folder."""
    started: list[Example] = []

    def start(name: str) -> Example:
        started.append(Example(name, tmp_path / name, domain))
        return started[-1]

    yield start
    for each in started:
        each.manager.close()


@pytest.mark.parametrize('name', ALL)
def test_each_readme_names_files_that_exist_and_both_ways_to_run_them(name):
    """The command of ROS 2 and that without differ in nothing but their beginning."""
    folder = EXAMPLES / name
    text = ''.join(each.text for each in blocks(folder / 'README.md') if each.language == 'sh')
    for file in re.findall(r'[\w./]+\.(?:py|yaml)\b', text):
        assert (folder / file).is_file(), file
    arguments = re.findall(r'python -m worker_pipeline (.*)', text)
    assert arguments == re.findall(r'ros2 run worker_pipeline (.*)', text)
    assert arguments or name == 'launch_test'
    assert f'| [{name}]({name}) |' in (EXAMPLES / 'README.md').read_text()


def test_echo_returns_what_is_sent(example):
    echo = example('echo')
    assert echo.run(echo.command('python send.py')) == echo.expected
    echo.stop()


def test_source_ends_and_the_manager_exits_by_itself(example):
    source = example('source')
    assert source.manager.wait() == 0
    assert not missing(source.expected, source.manager.output), source.manager.output


def test_context_gives_each_photo_the_position_of_its_moment(example, observer):
    located = observer.collect('locate/output', PointStamped)
    positions = observer.collect('position/output', PointStamped)
    context = example('context')
    context.wait_for_log()

    def position_at(stamp: int) -> list[float]:
        """Return the positions that may have been the nearest: both sides of the stamp, or none."""
        stamps = [stamp_ns(each.header.stamp) for each in positions]
        if not stamps or not stamps[0] <= stamp <= stamps[-1]:
            return []
        return [
            each.point.x
            for each, its in zip(positions, stamps, strict=False)
            if abs(its - stamp) <= MAX_GAP
        ]

    def checked() -> list[tuple[float, list[float]]]:
        pairs = [(each.point.x, position_at(stamp_ns(each.header.stamp))) for each in located]
        return [(x, near) for x, near in pairs if near]

    # The two topics are discovered one after the other: not of each photo are both known.
    for x, near in wait_for(lambda: len(checked()) >= 3 and checked(), 'three photographs'):
        assert x in near
    context.stop()


def test_memory_counts_on_in_the_replacement(example, observer):
    counts = observer.collect('count/output', Header)
    memory = example('memory')
    wait_for(lambda: len(counts) >= 10, 'ten counts', seen=memory.manager.show)
    victim = observer.pid_of('count/worker_0')
    before = len(counts)
    memory.kill('count/worker_0', victim)
    observer.wait_until_replaced('count/worker_0', victim)
    wait_for(lambda: len(counts) >= before + 10, 'ten more')
    numbers = [int(each.frame_id) for each in counts]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    memory.wait_for_log()
    memory.stop()


def test_standby_takes_over_without_loading_the_model(example, observer):
    answers = observer.collect('detect/output', Header)
    standby = example('standby')
    wait_for(
        lambda: observer.values('detect/worker_1').get('state') == 'standby' and answers,
        'a worker and a standby',
        seen=standby.manager.show,
    )
    first, second = (observer.pid_of(f'detect/worker_{index}') for index in range(2))
    standby.kill('detect/worker_0', first)
    authors = [f'process {first}', f'process {second}']
    wait_for(lambda: answers[-1].frame_id == authors[1], 'an answer of the standby')
    given = [each.frame_id for each in answers]
    assert given == sorted(given, key=authors.index)
    standby.wait_for_log()
    standby.stop()


def test_the_cpp_node_fits_the_pipeline(example, observer):
    """By the topics and types in its source; this test takes its place."""
    source = (SMOOTHER / 'src' / 'smoother.cpp').read_text()
    (publishes,) = re.findall(r'create_publisher<Range>\(\s*"(.*?)"', source)
    (subscribes,) = re.findall(r'create_subscription<Range>\(\s*"(.*?)"', source)
    assert 'Node("smoother", "/airside")' in source
    assert 'using sensor_msgs::msg::Range;' in source
    readings = observer.collect(subscribes, Range)
    reported = observer.collect('report/output', Range)
    cpp_node = example('cpp_node')
    for topic in (subscribes, publishes):
        assert observer.types_of(topic) == ['sensor_msgs/msg/Range']
    wait_for(lambda: len(readings) >= 3, 'readings of the altimeter')
    observer.feed(publishes, list(readings[:3]))
    wait_for(lambda: len(reported) == 3, 'three reports')
    assert [each.header.stamp for each in reported] == [each.header.stamp for each in readings[:3]]
    cpp_node.wait_for_log()
    cpp_node.stop()


def test_the_cpp_package_is_consistent():
    """Its manifest and its build file name the same package, executable and dependencies."""
    manifest = ElementTree.parse(SMOOTHER / 'package.xml').getroot()
    build = (SMOOTHER / 'CMakeLists.txt').read_text()
    name = manifest.findtext('name')
    assert f'project({name} ' in build
    assert f'add_executable({name} src/{name}.cpp)' in build
    assert f'install(TARGETS {name} DESTINATION lib/${{PROJECT_NAME}})' in build
    depends = {each.text for tag in ('buildtool_depend', 'depend') for each in manifest.iter(tag)}
    assert set(re.findall(r'find_package\((\w+) REQUIRED\)', build)) == depends
    included = re.findall(r'#include <(\w+)/', (SMOOTHER / 'src' / f'{name}.cpp').read_text())
    assert set(included) == depends - {'ament_cmake'}
    assert manifest.findtext('export/build_type') == 'ament_cmake'
    readme = (EXAMPLES / 'cpp_node' / 'README.md').read_text()
    assert f'ros2 run {name} {name}\n' in readme


def ros_headers() -> list[Path]:
    """The include folders of the ROS 2 that is sourced: of packages, each below its own name."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    return [each for prefix in prefixes if prefix for each in Path(prefix).glob('include/*')]


def test_the_cpp_node_compiles():
    if shutil.which('g++') is None:
        pytest.skip('there is no g++')
    if not any(each.name == 'rclcpp' for each in ros_headers()):
        pytest.skip('there are no headers of rclcpp: they come with a ROS 2 that is sourced')
    command = ['g++', '-std=c++17', '-fsyntax-only', '-Wall', '-Wextra', '-Werror']
    include = [argument for each in ros_headers() for argument in ('-isystem', str(each))]
    command += [*include, str(SMOOTHER / 'src' / 'smoother.cpp')]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_launch_test_passes(domain, tmp_path):
    for module in ('launch_testing', 'launch_ros'):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f'there is no {module}: it comes with a ROS 2 that is sourced')
    from support.launching import need_installed_package

    need_installed_package()
    folder = EXAMPLES / 'launch_test'
    (text,) = (each.text for each in blocks(folder / 'README.md') if each.language == 'sh')
    command = [sys.executable if word == 'python3' else word for word in shlex.split(text)]
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(domain),
        'PYTHONPATH': python_path(),
        'ROS_HOME': str(tmp_path / 'ros_home'),
        'ROS_LOG_DIR': str(tmp_path / 'ros_log'),
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
