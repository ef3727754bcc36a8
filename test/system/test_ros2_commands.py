# SPDX-License-Identifier: Apache-2.0
"""The ``ros2`` command with a running pipeline, and rejections by ``ros2 launch``."""

from __future__ import annotations

import shutil
import signal
import subprocess

import pytest

pytest.importorskip('ros2launch')

from support.configuring import stage
from support.launching import LaunchScene, need_installed_package

from worker_pipeline.testing import PipelineProbe, wait_for

need_installed_package()
if shutil.which('ros2') is None:
    pytest.skip('no ros2 command', allow_module_level=True)


@pytest.fixture
def scene():
    made = LaunchScene()
    yield made
    made.close()


@pytest.fixture
def ros2(scene):
    """Run a ros2 command to its end: return (exit code, output)."""

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            ['ros2', *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            env=scene.full_environment,
            check=False,
        )
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('detect_target_workers:=0', "detect_target_workers: found '0'; allowed: an int from 1 to"),
        (
            'detect_target_worker:=3',
            "found 'detect_target_worker', which is no argument; did you mean",
        ),
        ('hardware:=toaster', 'Valid options are: '),
        ('overlay:=/nowhere.yaml', "overlay: found '/nowhere.yaml', which cannot be read"),
        ('params_file:=/nowhere.yaml', "params_file: found '/nowhere.yaml', which cannot be read"),
    ],
)
def test_a_bad_argument_starts_nothing(ros2, argument, message):
    """With one clear message, and an exit code."""
    code, output = ros2('launch', 'worker_pipeline', 'airside.launch.py', argument)
    assert code != 0
    assert message in output
    assert 'process started' not in output


@pytest.mark.parametrize('launch_file', ['airside.launch.py', 'pipeline.launch.py'])
def test_each_argument_is_described(ros2, launch_file):
    """In ``--show-args``."""
    code, output = ros2('launch', 'worker_pipeline', launch_file, '--show-args')
    assert code == 0
    assert 'No description given' not in output
    for argument in ('params_file', 'overlay', 'namespace', 'log_level', 'journal', 'respawn'):
        assert f"'{argument}':" in output


def test_a_bad_configuration_ends_the_launch(scene, ros2):
    """Also with respawn: another start would not help."""
    path = scene.parameters({'stages': ['echo'], 'echo': stage('Echo', workers=0)})
    code, output = ros2(
        'launch', 'worker_pipeline', 'pipeline.launch.py', f'params_file:={path}', 'respawn:=true'
    )
    assert code != 0
    assert 'echo.workers: found 0' in output
    assert output.count('process started') == 1


def test_the_ros2_commands_work_and_ctrl_c_leaves_no_process(scene, ros2):
    """List, scale, pause, resume, flush, stop."""
    path = scene.parameters({'stages': ['echo'], 'echo': stage('Echo')})
    log = (scene.folder / 'launch.log').open('w+')
    launch = subprocess.Popen(
        ['ros2', 'launch', 'worker_pipeline', 'pipeline.launch.py', f'params_file:={path}'],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=scene.full_environment,
        start_new_session=True,
    )
    try:
        with PipelineProbe(domain=scene.domain) as probe:
            probe.wait_until_active('echo', 1)

            def wait_for_output(expected: str, command: str) -> None:
                # A newcomer to the graph, as each command is one, may not have found all of it.
                outputs: list[str] = []

                def is_printed() -> bool:
                    outputs.append(ros2(*command.split())[1])
                    return expected in outputs[-1]

                wait_for(is_printed, f'{expected!r} from ros2 {command}', 60.0, lambda: outputs[-1])

            wait_for_output('/airside/echo/worker_0', 'node list --no-daemon')
            wait_for_output('/airside/manager', 'lifecycle nodes --no-daemon')
            wait_for_output('successful', 'param set --no-daemon /airside/manager echo.workers 3')
            probe.wait_until_active('echo', 3)
            wait_for_output(
                'out of range. Min: 1', 'param set --no-daemon /airside/manager echo.workers 0'
            )
            wait_for_output('successful', 'lifecycle set --no-daemon /airside/echo deactivate')
            assert probe.state_of('echo') == 'inactive'
            wait_for_output('successful', 'lifecycle set --no-daemon /airside/echo activate')
            probe.wait_until_active('echo', 3)
            wait_for_output('drained', 'service call /airside/manager/drain std_srvs/srv/Trigger')
            wait_for_output('/airside/echo/worker_2', 'topic echo --no-daemon --once /diagnostics')
        launch.send_signal(signal.SIGINT)
        assert launch.wait(30.0) == 0
        assert scene.processes() == []
    finally:
        if launch.poll() is None:
            launch.send_signal(signal.SIGINT)
            launch.wait(30.0)
        log.close()
