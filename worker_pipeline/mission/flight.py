"""One flight of the reference mission, from the manager's start to the files in ``out``."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
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
from worker_pipeline.mission.assessment import Assessment, assess
from worker_pipeline.mission.display import Display, display_for, flight_table, pad_table
from worker_pipeline.mission.domain import free_domain
from worker_pipeline.mission.manager import Manager
from worker_pipeline.mission.map_picture import draw_map
from worker_pipeline.mission.observation import SOURCE
from worker_pipeline.mission.results import geojson_of, report_of, write_json
from worker_pipeline.mission.watcher import Watcher
from worker_pipeline.parameter import check_parameters
from worker_pipeline.runtime import dds
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.imagery import find_photograph, load_photograph
from worker_pipeline.simulation.pads import REFERENCE_PADS, Pad

INTERRUPTED = 130  # as a shell has it
VICTIM = 'detect_target'

_LOOK = 0.1  # s, between two looks at the manager
# Beyond the flight itself, for the start and for the end of everything, s.
_PATIENCE = 60.0
# Time for what the manager said last to arrive, s.
_LAST_WORDS = 0.5
# How long to wait for a worker that holds an item, before one is killed anyhow, s.
_PATIENCE_FOR_WORK = 2.0
# A pad is expected to be found if it is wholly in view in so many frames.
_VIEWS_EXPECTED = 8
_EDGE = 40  # pixels


class MissionError(Exception):
    """The mission cannot be flown."""


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """Somebody asked us to stop."""


def fly(config: Path, out: Path, kill: bool = True, duration: float = 0.0) -> int:
    """Fly, and write to the folder ``out``; returns the exit code.

    ``kill``: kill one worker half-way. ``duration`` (s) cuts the flight short, unless it is 0.
    """
    console = Console()
    settings = _settings_of(config)
    flight = SimulatedFlight(settings['seed'], duration)
    period = settings['period']
    frames = int(flight.duration / period) + 1
    photograph = find_photograph()
    out.mkdir(parents=True, exist_ok=True)
    _prepare_environment(out, config.parent)
    overrides = _write_overrides(out / 'mission.yaml', photograph, duration)
    console.print(
        f'A survey of {flight.duration:.0f} s over {photograph.name}: {frames} frames, '
        f'ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}; the manager prints to {out}/manager.log'
    )
    try:
        # What is held is let go of inside the block of signals: no second one may keep us from it.
        with _stop_signals() as go_on, contextlib.ExitStack() as held:
            watcher = Watcher(go_on)
            held.callback(watcher.close)
            manager = Manager([config, overrides], out / 'manager.log')
            held.callback(manager.stop)
            with display_for(console, frames) as display:
                victim = _watch(manager, watcher, display, frames if kill else 0, flight.duration)
                watcher.spin(_LAST_WORDS)
                display.show(watcher.observation)
    except Interrupted:
        console.print('Interrupted; the pipeline was stopped.')
        return INTERRUPTED
    if manager.exit_code:
        console.print(f'The manager ended with exit code {manager.exit_code}:', style='red')
        console.print(manager.last_words(), markup=False, highlight=False)
    pads = expected_pads(flight, period, settings)
    result = assess(pads, watcher.targets, watcher.observation, killed=victim is not None)
    _write_results(out, result, watcher, victim)
    return _tell(console, result, out, victim is not None, manager.exit_code or 0)


def expected_pads(flight: SimulatedFlight, period: float, camera: dict[str, Any]) -> list[Pad]:
    """The pads that a flight with this camera must find: those wholly in view often enough."""
    pinhole = PinholeCamera.of(camera)
    mounting = Mounting.of(camera)
    places = np.array([[pad.east, pad.north, 0.0] for pad in REFERENCE_PADS])
    views = np.zeros(len(places), dtype=int)
    high = np.array([pinhole.width - _EDGE, pinhole.height - _EDGE])
    for step in range(int(flight.duration / period) + 1):
        pose = CameraPose.of(flight.state(min(step * period, flight.duration)).pose, mounting)
        pixels = pose.pixels_of(pinhole, places)
        views += ((pixels > _EDGE) & (pixels < high)).all(axis=1)
    return [
        pad for pad, count in zip(REFERENCE_PADS, views, strict=True) if count >= _VIEWS_EXPECTED
    ]


def _watch(
    manager: Manager, watcher: Watcher, display: Display, kill_among: int, duration: float
) -> tuple[float, float] | None:
    """Watch until the manager has ended by itself; kill a worker at half of ``kill_among`` frames.

    Returns where the vehicle was at the kill (m, east and north), or None if there was none.
    """
    deadline = time.monotonic() + duration + _PATIENCE
    victim = None
    began = False
    while manager.exit_code is None:
        watcher.spin(_LOOK)
        display.show(watcher.observation)
        if not began and watcher.observation.frames:
            began = True
            display.say('The first frame has come through.')
        if victim is None and kill_among and watcher.observation.frames >= kill_among // 2:
            victim = _kill_one(watcher, display)
        if time.monotonic() > deadline:
            raise MissionError(
                f'not done {duration + _PATIENCE:.0f} s after the start; the manager said:\n'
                + manager.last_words()
            )
    return victim


def _kill_one(watcher: Watcher, display: Display) -> tuple[float, float] | None:
    """SIGKILL a worker of the victim stage: one that has work, if one is heard of soon."""
    seen = watcher.observation

    def victims() -> list[str]:
        return sorted(each for each in seen.process_ids if each.startswith(f'{VICTIM}/'))

    def at_work() -> list[str]:
        return [each for each in victims() if seen.holding.get(each)]

    watcher.spin(_PATIENCE_FOR_WORK, until=lambda: bool(at_work()))
    for worker in [*at_work(), *victims()][:1]:
        process_id = seen.process_ids[worker][-1]
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
            display.say(
                f'[bold red]Killed[/] {worker} (process {process_id}) with SIGKILL at frame '
                f'{seen.frames}.'
            )
            return seen.track[-1] if seen.track else (0.0, 0.0)
    return None


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
        return {**camera, 'period': float(section['period']), 'seed': int(given.get('seed', 1))}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise MissionError(f'{config}: cannot be flown: {error!r}') from error


def _prepare_environment(out: Path, profiles: Path) -> None:
    """A domain of our own, on this machine only, and logs in ``out``; the user's settings stay."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(free_domain()))
    os.environ.setdefault('ROS_LOG_DIR', str((out / 'log').absolute()))
    dds.apply_defaults(profiles)


def _write_overrides(path: Path, photograph: Path, duration: float) -> Path:
    overrides = {
        'exit_when_done': True,
        'video_input': {'params': {'path': str(photograph.absolute()), 'duration': duration}},
        'flight_interface': {'params': {'duration': duration}},
    }
    content = {'/**/manager': {'ros__parameters': overrides}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _write_results(
    out: Path, result: Assessment, watcher: Watcher, victim: tuple[float, float] | None
) -> None:
    write_json(out / 'report.json', report_of(result))
    write_json(out / 'targets.geojson', geojson_of(result))
    picture = draw_map(load_photograph(), result, watcher.observation.track, victim)
    picture.save(out / 'map.png')


def _tell(
    console: Console, result: Assessment, out: Path, killed: bool, manager_exit_code: int
) -> int:
    console.print(pad_table(result))
    console.print(flight_table(result))
    console.print(f'Written: {out}/map.png, {out}/targets.geojson, {out}/report.json')
    unexplained = result.replacements - killed
    if unexplained > 0:
        console.print(f'[yellow]{unexplained} workers were replaced that nobody killed[/]')
    for problem in result.problems:
        console.print(f'[bold red]Not as promised:[/] {problem}')
    if manager_exit_code:
        console.print(f'[bold red]Not as promised:[/] manager exit code {manager_exit_code}')
    return 1 if result.problems or manager_exit_code else 0
