# SPDX-License-Identifier: Apache-2.0
"""One flight of the reference mission, from the manager's start to the files in ``out``."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from worker_pipeline.airside.geometry.pinhole import (
    INTRINSICS,
    MOUNTING,
    CameraPose,
    Mounting,
    PinholeCamera,
)
from worker_pipeline.airside.mission.assessment import Assessment, assess
from worker_pipeline.airside.mission.display import Display, flight_table, make_display, pad_table
from worker_pipeline.airside.mission.domain import free_domain
from worker_pipeline.airside.mission.errors import FlightFailedError, MissionError
from worker_pipeline.airside.mission.footprint import footprints
from worker_pipeline.airside.mission.kills import Kill, kill_one, kill_schedule, parse_stages
from worker_pipeline.airside.mission.map_picture import draw_map
from worker_pipeline.airside.mission.observation import LAST, SOURCE
from worker_pipeline.airside.mission.program import Program, start_manager
from worker_pipeline.airside.mission.results import to_report, write_json
from worker_pipeline.airside.mission.watcher import Watcher
from worker_pipeline.airside.mission.world import World, start_world
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.imagery import load_photograph
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS, Pad
from worker_pipeline.airside.simulation.photograph import find_photograph
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.parameter import check_parameters
from worker_pipeline.ros import dds

INTERRUPTED = 130  # the shell's exit code for SIGINT
# The flight begins this long after the start, s: until then the vehicle hovers, since the pipeline
# is not ready.
START_UP = 8.0

_POLL_PERIOD = 0.1  # s, between two checks of the manager
# Time for start and end in addition to the flight, s.
_EXTRA_TIME = 60.0
# Time for the manager's last messages to arrive, s.
_FINAL_SPIN = 0.5
# Longest delay of the first frame after the start of the flight, s, including discovery.
_MAX_FIRST_DELAY = 3.0
# A pad must be found if it is completely in view in this many frames.
_MIN_VIEWS = 8
_EDGE = 40  # pixels
_ADVICE = 'increase --start-up'


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """The mission was asked to stop."""


def run_mission(
    config: Path,
    out: Path,
    kill: str = 'detect_target',
    duration: float = 0.0,
    start_up: float = START_UP,
) -> int:
    """Fly the mission and write the results to the folder ``out``; return the exit code.

    Args:
        config: The parameter file.
        out: The folder for the results.
        kill: Stages, comma-separated, all or none; a worker of each is killed, one at a time.
        duration: s, to end the flight early, or 0.
        start_up: s until the flight begins.
    """
    console = Console()
    settings = _read_settings(config)
    stages_to_kill = parse_stages(kill, settings['stages'])
    flight = SimulatedFlight(settings['seed'], duration)
    period = settings['period']
    frames = len(flight.times(period))
    photograph = find_photograph()
    out.mkdir(parents=True, exist_ok=True)
    _prepare_environment(out, config.parent)
    console.print(
        f'A survey of {flight.duration:.0f} s over {photograph.name}: {frames} frames, '
        f'ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}; logs are in {out}/*.log'
    )
    try:
        # Everything is released inside the block of signals, so that a second signal cannot
        # interrupt it.
        with _stop_signals() as check_interrupted, contextlib.ExitStack() as held:
            watcher = Watcher(check_interrupted)
            held.callback(watcher.close)
            world = start_world(flight, settings['seed'], start_up, out, held)
            overrides = _write_overrides(out / 'mission.yaml', photograph, world)
            manager = start_manager([config, overrides], out / 'manager.log')
            held.callback(manager.stop)
            with make_display(console, frames) as display:
                display.print(f'The vehicle hovers; its flight begins in {start_up:.0f} s.')
                kills = _watch(
                    manager, watcher, display, kill_schedule(stages_to_kill, flight.duration), world
                )
                watcher.spin(_FINAL_SPIN)
                display.show(watcher.observation)
            acknowledged = sum(command.param4 > 0 for command in world.ground.targets.values())
            vehicle_ended = world.vehicle.exit_code is not None
    except Interrupted:
        console.print('Interrupted; the pipeline was stopped.')
        return INTERRUPTED
    if manager.exit_code:
        console.print(f'The manager ended with exit code {manager.exit_code}:', style='red')
        console.print(manager.log_tail(), markup=False, highlight=False)
    if vehicle_ended:
        console.print('The vehicle ended before the flight did:', style='red')
        console.print(world.vehicle.log_tail(), markup=False, highlight=False)
    taken = [stamp / NANOSECONDS - world.begin for stamp in watcher.observation.placed_frames()]
    pads = expected_pads(flight, sorted(taken), settings)
    result = assess(
        pads, watcher.targets, watcher.observation, len(kills), acknowledged, REFERENCE_PADS
    )
    write_json(out / 'report.json', to_report(result))
    seen = footprints(flight, period, settings)
    places = [(each.stage, each.place) for each in kills]
    track = watcher.observation.track
    draw_map(load_photograph(), result, track, places, seen).save(out / 'map.png')
    return _print_results(console, result, out, manager.exit_code or 0)


def expected_pads(
    flight: SimulatedFlight, times: Sequence[float], camera: dict[str, Any]
) -> list[Pad]:
    """Return the pads that must be found: those completely in view often enough.

    Args:
        flight: The flight.
        times: When the images were taken, s since the flight began.
        camera: ``pinhole.INTRINSICS`` and ``MOUNTING``.
    """
    pinhole = PinholeCamera.from_params(camera)
    mounting = Mounting.from_params(camera)
    places = np.array([[pad.east, pad.north, 0.0] for pad in REFERENCE_PADS])
    views = np.zeros(len(places), dtype=int)
    high = np.array([pinhole.width - _EDGE, pinhole.height - _EDGE])
    for time_of_image in times:
        pose = CameraPose.from_body(flight.state(time_of_image).pose, mounting)
        pixels = pose.project_points(pinhole, places)
        views += ((pixels > _EDGE) & (pixels < high)).all(axis=1)
    return [pad for pad, count in zip(REFERENCE_PADS, views, strict=True) if count >= _MIN_VIEWS]


def _watch(
    manager: Program,
    watcher: Watcher,
    display: Display,
    plan: Sequence[tuple[float, str]],
    world: World,
) -> list[Kill]:
    """Watch until the manager has exited, and kill workers as scheduled; return the kills."""
    duration = world.flight.duration
    deadline = world.begin + duration + _EXTRA_TIME
    left = list(plan)
    kills: list[Kill] = []
    began = False
    while manager.exit_code is None:
        watcher.spin(_POLL_PERIOD)
        seen = watcher.observation
        display.show(seen)
        if not began and seen.frames:
            began = True
            _check_begin(min(seen.outputs[LAST].seen) / NANOSECONDS - world.begin)
            display.print('The first frame has passed the pipeline.')
        if began and left and time.time() - world.begin >= left[0][0]:
            _, stage = left.pop(0)
            kills += kill_one(watcher, display, stage)
        if time.time() > deadline:
            raise FlightFailedError(
                f'not finished {_EXTRA_TIME:.0f} s after the end of the flight; '
                'the manager printed:\n' + manager.log_tail()
            )
    if not began and not manager.exit_code:
        raise FlightFailedError('the flight was over before the pipeline was ready; ' + _ADVICE)
    return kills


def _check_begin(late: float) -> None:
    if late > _MAX_FIRST_DELAY:
        raise FlightFailedError(
            f'the flight began {late:.1f} s before the pipeline was ready; ' + _ADVICE
        )


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], None]]:
    """Catch the first SIGINT, SIGTERM or SIGHUP, and ignore further ones.

    Yields a function that raises :class:`Interrupted` after a signal. The handler itself does not:
    inside rclpy's native code, it would turn into another exception.
    """
    came: list[int] = []

    def stop(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        came.append(number)

    def check_interrupted() -> None:
        if came:
            raise Interrupted

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield check_interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_settings(config: Path) -> dict[str, Any]:
    """Return the settings of flight and camera from the configuration."""
    try:
        parameters = yaml.safe_load(config.read_text())['/**/manager']['ros__parameters']
        section = parameters[SOURCE]
        given = section.get('params', {})
        known = {name: given[name] for name in (*INTRINSICS, *MOUNTING) if name in given}
        camera = check_parameters({**INTRINSICS, **MOUNTING}, known)
        stages = [str(each) for each in parameters['stages']]
        seed = int(given.get('seed', 1))
        return {**camera, 'period': float(section['period']), 'seed': seed, 'stages': stages}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise MissionError(f'{config}: not a mission configuration: {error!r}') from error


def _prepare_environment(out: Path, profiles: Path) -> None:
    """Set a domain of our own on this machine and logs in ``out``; keep the user's settings."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(free_domain()))
    os.environ.setdefault('ROS_LOG_DIR', str((out / 'log').absolute()))
    dds.apply_defaults(profiles)


def _write_overrides(path: Path, photograph: Path, world: World) -> Path:
    """Write the parameters that differ from the configuration; return the path."""
    flight = {'duration': world.flight.duration, 'flight_begin': world.begin}
    out = str(path.parent.absolute())
    overrides = {
        'exit_when_done': True,
        'video_input': {'params': {'path': str(photograph.absolute()), **flight}},
        'flight_interface': {'params': {'source': 'mavlink', 'address': world.address}},
        'communications': {'params': {'connection': world.ground.connection, 'directory': out}},
    }
    content = {'/**/manager': {'ros__parameters': overrides}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _print_results(console: Console, result: Assessment, out: Path, manager_exit_code: int) -> int:
    console.print(pad_table(result))
    console.print(flight_table(result))
    console.print(f'Written to {out}: map.png, targets.geojson, targets.kml, report.json')
    unexplained = result.replacements - result.kills
    if unexplained > 0:
        console.print(
            f'[yellow]{unexplained} workers were replaced without being killed by the mission[/]'
        )
    for problem in result.problems:
        console.print(f'[bold red]Not as promised:[/] {problem}')
    if manager_exit_code:
        console.print(f'[bold red]Not as promised:[/] manager exit code {manager_exit_code}')
    return 1 if result.problems or manager_exit_code else 0
