"""The reference mission, cut short, as a user flies it: a command, and the files it leaves."""

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
from support.managing import python_path
from support.marked import MARK, marked

from worker_pipeline.mission.observation import CHAIN
from worker_pipeline.simulation.imagery import METRES_PER_PIXEL, synthetic_ground
from worker_pipeline.testing import own_domain, wait_for

REPOSITORY = Path(__file__).parents[2]
DURATION = 12.0  # s: enough for some pads, and for kills and replacements


@pytest.fixture(scope='module')
def photograph(tmp_path_factory):
    """Synthetic ground as a file, of the photograph's resolution."""
    ground = synthetic_ground()
    scale = ground.metres_per_pixel / METRES_PER_PIXEL
    path = tmp_path_factory.mktemp('ground') / 'ground.png'
    cv2.imwrite(str(path), cv2.resize(ground.pixels, None, fx=scale, fy=scale))
    return path


@pytest.fixture
def launch(tmp_path, photograph):
    """Start the command; what is left of it ends with the test."""
    started = []
    with own_domain() as domain:

        def start(*arguments):
            environment = os.environ | {
                'ROS_DOMAIN_ID': str(domain),
                'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                'PYTHONPATH': python_path(),
                'WORKER_PIPELINE_IMAGERY': str(photograph),
                MARK: str(tmp_path),
            }
            command = [sys.executable, '-m', 'worker_pipeline.mission', '--duration', str(DURATION)]
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
        for process in marked(str(tmp_path)):
            process.kill()


@pytest.mark.parametrize('kill', ['all', 'none'])
def test_a_mission_ends_by_itself_with_every_pad_and_every_frame(launch, tmp_path, kill):
    process = launch('--kill', kill)
    printed, _ = process.communicate(timeout=100)
    log = tmp_path / 'out' / 'manager.log'
    assert process.returncode == 0, printed + log.read_text()
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert report['ok'] is True
    assert len(report['pads']) >= 2
    frames = report['frames']
    assert frames['frames_in'] == frames['answered'] > 0
    assert frames['dropped'] == frames['missing'] == frames['lost'] == 0
    kills = len(CHAIN) + 1 if kill == 'all' else 0
    assert printed.count('SIGKILL') == kills
    # On a machine that is too busy one may be taken for dead that is not.
    assert report['replacements'] >= kills
    collection = json.loads((tmp_path / 'out' / 'targets.geojson').read_text())
    points = [each for each in collection['features'] if each['geometry']['type'] == 'Point']
    assert len(points) == len(report['pads']) == report['told']
    assert cv2.imread(str(tmp_path / 'out' / 'map.png')) is not None
    assert [path.name for path in tmp_path.iterdir()] == ['out']
    assert not marked(str(tmp_path))


def test_an_interrupted_mission_leaves_nothing_behind(launch, tmp_path):
    process = launch('--kill', 'none')
    log = tmp_path / 'out' / 'manager.log'
    wait_for(
        lambda: log.exists() and 'every stage is at work' in log.read_text(),
        'the pipeline at work',
        timeout=40.0,
    )
    assert marked(str(tmp_path))
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130, printed
    assert not marked(str(tmp_path))


def test_of_a_mission_that_is_killed_nothing_flies_on(launch, tmp_path):
    """The vehicle ends at once, and the pipeline when its camera has no more images."""
    process = launch('--kill', 'none', '--duration', '3', '--start-up', '5')
    log = tmp_path / 'out' / 'manager.log'
    wait_for(
        lambda: log.exists() and 'every stage is at work' in log.read_text(),
        'the pipeline at work',
        timeout=40.0,
    )
    process.kill()
    process.wait()

    def names():
        found = []
        for each in marked(str(tmp_path)):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(' '.join(each.cmdline()))
        return found

    wait_for(lambda: not any('simulation.vehicle' in each for each in names()), 'no vehicle')
    wait_for(lambda: not names(), 'nothing', timeout=40.0, seen=names)
