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

from worker_pipeline.airside.pinhole import (
    INTRINSICS,
    MOUNTING,
    CameraPose,
    Mounting,
    PinholeCamera,
)
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.mission.assessment import Assessment, assess
from worker_pipeline.mission.display import Display, display_for, flight_table, pad_table
from worker_pipeline.mission.domain import free_domain
from worker_pipeline.mission.errors import MissionError
from worker_pipeline.mission.footprint import footprints
from worker_pipeline.mission.kills import Kill, kill_one, plan_of, stages_of
from worker_pipeline.mission.map_picture import draw_map
from worker_pipeline.mission.observation import LAST, SOURCE
from worker_pipeline.mission.program import Program, start_manager
from worker_pipeline.mission.results import report_of, write_json
from worker_pipeline.mission.watcher import Watcher
from worker_pipeline.mission.world import World, set_out
from worker_pipeline.parameter import check_parameters
from worker_pipeline.runtime import dds
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.imagery import find_photograph, load_photograph
from worker_pipeline.simulation.pads import REFERENCE_PADS, Pad

INTERRUPTED = 130  # as a shell has it
# How long after the start the flight begins, s: until then the vehicle hovers, as the pipeline is
# not there yet.
START_UP = 8.0

_LOOK = 0.1  # s, between two looks at the manager
# Beyond the flight itself, for the start and for the end of everything, s.
_PATIENCE = 60.0
# Time for what the manager said last to arrive, s.
_LAST_WORDS = 0.5
# The first frame may be heard so long after the flight began, s: the topics are to be found, too.
_HEARD_LATE = 3.0
# A pad is expected to be found if it is wholly in view in so many frames.
_VIEWS_EXPECTED = 8
_EDGE = 40  # pixels


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """Somebody asked us to stop."""


def fly(
    config: Path,
    out: Path,
    kill: str = 'detect_target',
    duration: float = 0.0,
    start_up: float = START_UP,
) -> int:
    """Fly, and write to the folder ``out``; returns the exit code.

    ``kill``: stages, with commas between them, all or none: of each a worker is killed, one after
    the other. ``duration`` (s) cuts the flight short, unless it is 0. ``start_up``: s until it
    begins.
    """
    console = Console()
    settings = _settings_of(config)
    victims = stages_of(kill, settings['stages'])
    flight = SimulatedFlight(settings['seed'], duration)
    period = settings['period']
    frames = len(flight.times(period))
    photograph = find_photograph()
    out.mkdir(parents=True, exist_ok=True)
    _prepare_environment(out, config.parent)
    console.print(
        f'A survey of {flight.duration:.0f} s over {photograph.name}: {frames} frames, '
        f'ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}; what the programs print is in {out}/*.log'
    )
    try:
        # What is held is let go of inside the block of signals: no second one may keep us from it.
        with _stop_signals() as go_on, contextlib.ExitStack() as held:
            watcher = Watcher(go_on)
            held.callback(watcher.close)
            world = set_out(flight, settings['seed'], start_up, out, held)
            overrides = _write_overrides(out / 'mission.yaml', photograph, world)
            manager = start_manager([config, overrides], out / 'manager.log')
            held.callback(manager.stop)
            with display_for(console, frames) as display:
                display.say(f'The vehicle hovers; its flight begins in {start_up:.0f} s.')
                kills = _watch(manager, watcher, display, plan_of(victims, flight.duration), world)
                watcher.spin(_LAST_WORDS)
                display.show(watcher.observation)
            told = sum(command.param4 > 0 for command in world.ground.targets.values())
            vehicle_ended = world.vehicle.exit_code is not None
    except Interrupted:
        console.print('Interrupted; the pipeline was stopped.')
        return INTERRUPTED
    if manager.exit_code:
        console.print(f'The manager ended with exit code {manager.exit_code}:', style='red')
        console.print(manager.last_words(), markup=False, highlight=False)
    if vehicle_ended:
        console.print('The vehicle ended before the flight did:', style='red')
        console.print(world.vehicle.last_words(), markup=False, highlight=False)
    pads = expected_pads(flight, period, settings)
    result = assess(pads, watcher.targets, watcher.observation, len(kills), told)
    write_json(out / 'report.json', report_of(result))
    seen = footprints(flight, period, settings)
    places = [(each.stage, each.place) for each in kills]
    track = watcher.observation.track
    draw_map(load_photograph(), result, track, places, seen).save(out / 'map.png')
    return _tell(console, result, out, manager.exit_code or 0)


def expected_pads(flight: SimulatedFlight, period: float, camera: dict[str, Any]) -> list[Pad]:
    """The pads that a flight with this camera must find: those wholly in view often enough."""
    pinhole = PinholeCamera.of(camera)
    mounting = Mounting.of(camera)
    places = np.array([[pad.east, pad.north, 0.0] for pad in REFERENCE_PADS])
    views = np.zeros(len(places), dtype=int)
    high = np.array([pinhole.width - _EDGE, pinhole.height - _EDGE])
    for time_of_image in flight.times(period):
        pose = CameraPose.of(flight.state(time_of_image).pose, mounting)
        pixels = pose.pixels_of(pinhole, places)
        views += ((pixels > _EDGE) & (pixels < high)).all(axis=1)
    return [
        pad for pad, count in zip(REFERENCE_PADS, views, strict=True) if count >= _VIEWS_EXPECTED
    ]


def _watch(
    manager: Program,
    watcher: Watcher,
    display: Display,
    plan: Sequence[tuple[float, str]],
    world: World,
) -> list[Kill]:
    """Watch until the manager has ended by itself; kill workers on the way, as planned."""
    duration = world.flight.duration
    deadline = world.begin + duration + _PATIENCE
    left = list(plan)
    kills: list[Kill] = []
    began = False
    while manager.exit_code is None:
        watcher.spin(_LOOK)
        seen = watcher.observation
        display.show(seen)
        if not began and seen.frames:
            began = True
            _check_begin(min(seen.outputs[LAST].seen) / NANOSECONDS - world.begin)
            display.say('The first frame has come through.')
        if began and left and time.time() - world.begin >= left[0][0]:
            _, stage = left.pop(0)
            kills += kill_one(watcher, display, stage)
        if time.time() > deadline:
            raise MissionError(
                f'not done {_PATIENCE:.0f} s after the end of the flight; the manager said:\n'
                + manager.last_words()
            )
    return kills


def _check_begin(late: float) -> None:
    if late > _HEARD_LATE:
        raise MissionError(
            f'the flight had begun {late:.1f} s before the pipeline was there; '
            'give it more time with --start-up'
        )


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], None]]:
    """Notice the first SIGINT, SIGTERM or SIGHUP, and heed no more.

    Yields a function that raises :class:`Interrupted` when one has come. The handler does not: in
    the midst of a call into rclpy's native code another exception would come of it.
    """
    came: list[int] = []

    def stop(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        came.append(number)

    def go_on() -> None:
        if came:
            raise Interrupted

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield go_on
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings_of(config: Path) -> dict[str, Any]:
    """What the mission must know of the configuration: the flight and the camera."""
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
        raise MissionError(f'{config}: cannot be flown: {error!r}') from error


def _prepare_environment(out: Path, profiles: Path) -> None:
    """A domain of our own, on this machine only, and logs in ``out``; the user's settings stay."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(free_domain()))
    os.environ.setdefault('ROS_LOG_DIR', str((out / 'log').absolute()))
    dds.apply_defaults(profiles)


def _write_overrides(path: Path, photograph: Path, world: World) -> Path:
    """What the mission has other than the configuration says: the link, and where all is kept."""
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


def _tell(console: Console, result: Assessment, out: Path, manager_exit_code: int) -> int:
    console.print(pad_table(result))
    console.print(flight_table(result))
    console.print(f'Written to {out}: map.png, targets.geojson, targets.kml, report.json')
    unexplained = result.replacements - result.kills
    if unexplained > 0:
        console.print(f'[yellow]{unexplained} workers were replaced that nobody killed[/]')
    for problem in result.problems:
        console.print(f'[bold red]Not as promised:[/] {problem}')
    if manager_exit_code:
        console.print(f'[bold red]Not as promised:[/] manager exit code {manager_exit_code}')
    return 1 if result.problems or manager_exit_code else 0
