# SPDX-License-Identifier: Apache-2.0
"""The reference mission, shortened, as a user runs it: a command, and the files it writes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import psutil
import pytest
from support.env_marked import MARK, find_marked
from support.manager_process import python_path

from worker_pipeline.airside.mission.observation import CHAIN
from worker_pipeline.airside.simulation.imagery import METRES_PER_PIXEL, synthetic_ground
from worker_pipeline.testing import isolated_domain, wait_for

REPOSITORY = Path(__file__).parents[2]
DURATION = 12.0  # s: enough for some pads, and for kills and replacements


@pytest.fixture(scope='module')
def photograph(tmp_path_factory):
    """Synthetic ground as a file with the photograph's resolution."""
    ground = synthetic_ground()
    scale = ground.metres_per_pixel / METRES_PER_PIXEL
    path = tmp_path_factory.mktemp('ground') / 'ground.png'
    cv2.imwrite(str(path), cv2.resize(ground.pixels, None, fx=scale, fy=scale))
    return path


@pytest.fixture
def launch(tmp_path, photograph):
    """Start the command; any remains of it end with the test."""
    started = []
    with isolated_domain() as domain:

        def start(*arguments):
            environment = os.environ | {
                'ROS_DOMAIN_ID': str(domain),
                'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                'PYTHONPATH': python_path(),
                'WORKER_PIPELINE_IMAGERY': str(photograph),
                MARK: str(tmp_path),
            }
            command = [
                sys.executable,
                '-m',
                'worker_pipeline.airside.mission',
                '--duration',
                str(DURATION),
            ]
            process = subprocess.Popen(
                [*command, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                cwd=tmp_path,
            )
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.communicate()
        for process in find_marked(str(tmp_path)):
            process.kill()


def fly(launch, kill):
    """Fly to the end; on a busy machine once more with a longer start-up, as is advised then."""
    for start_up in ([], ['--start-up', '40']):
        process = launch('--kill', kill, *start_up)
        printed, _ = process.communicate(timeout=130)
        if 'increase --start-up' not in printed:
            break
    return process, printed


@pytest.mark.timeout(300)
@pytest.mark.parametrize('kill', ['all', 'none'])
def test_a_mission_finds_every_pad_and_loses_no_frame(launch, tmp_path, kill):
    process, printed = fly(launch, kill)
    log = tmp_path / 'out' / 'manager.log'
    assert process.returncode == 0, printed + log.read_text()
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert report['ok'] is True
    # While the camera's worker or the vehicle's is being replaced, there are no images or no poses:
    # only pads that were in view otherwise have to be found.
    assert len(report['pads']) >= (1 if kill == 'all' else 2)
    frames = report['frames']
    assert frames['frames_in'] == frames['answered'] > 0
    assert frames['dropped'] == frames['missing'] == frames['lost'] == 0
    kills = len(CHAIN) + 1 if kill == 'all' else 0
    assert printed.count('SIGKILL') == kills
    # On a very busy machine a live worker may be taken for dead.
    assert report['replacements'] >= kills
    collection = json.loads((tmp_path / 'out' / 'targets.geojson').read_text())
    points = [each for each in collection['features'] if each['geometry']['type'] == 'Point']
    assert len(points) == len(report['pads']) == report['told']
    assert cv2.imread(str(tmp_path / 'out' / 'map.png')) is not None
    assert [path.name for path in tmp_path.iterdir()] == ['out']
    assert not find_marked(str(tmp_path))


def test_an_interrupted_mission_leaves_nothing_behind(launch, tmp_path):
    process = launch('--kill', 'none')
    log = tmp_path / 'out' / 'manager.log'
    wait_for(
        lambda: log.exists() and 'every stage is active' in log.read_text(),
        'the pipeline at work',
        timeout=40.0,
    )
    assert find_marked(str(tmp_path))
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130, printed
    assert not find_marked(str(tmp_path))


def test_a_killed_mission_leaves_no_process_running(launch, tmp_path):
    """The vehicle exits at once, and the pipeline when its camera has no more images."""
    process = launch('--kill', 'none', '--duration', '3', '--start-up', '5')
    log = tmp_path / 'out' / 'manager.log'
    wait_for(
        lambda: log.exists() and 'every stage is active' in log.read_text(),
        'the pipeline at work',
        timeout=40.0,
    )
    process.kill()
    process.wait()

    def names():
        found = []
        for each in find_marked(str(tmp_path)):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(' '.join(each.cmdline()))
        return found

    wait_for(lambda: not any('simulation.vehicle' in each for each in names()), 'no vehicle')
    wait_for(lambda: not names(), 'nothing', timeout=40.0, seen=names)
