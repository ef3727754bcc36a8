# SPDX-License-Identifier: Apache-2.0
"""Accuracy and speed of the detectors: ``python -m benchmarks.detectors``.

Frames are rendered over the aerial photograph from seeded positions and attitudes, with pads or
emitters in view (none in every fourth frame), then blurred and given noise. The frames are the same
in every run: only the times differ. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import cv2
import numpy as np
import numpy.typing as npt
import yaml

from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.detectors import DETECTORS
from worker_pipeline.airside.geometry.pinhole import (
    INTRINSICS,
    MOUNTING,
    CameraPose,
    Mounting,
    PinholeCamera,
)
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import quaternion_from_euler
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation.imagery import Orthophoto, load_photograph
from worker_pipeline.airside.simulation.infrared import Emitter, InfraredRenderer
from worker_pipeline.airside.simulation.pads import Pad
from worker_pipeline.airside.simulation.renderer import Renderer
from worker_pipeline.parameter import check_parameters

Pixels = npt.NDArray[np.uint8]

HEIGHTS = (10.0, 20.0, 40.0, 60.0, 75.0)  # m
LARGEST_TILT = 0.1  # rad, of roll and of pitch
PAD_SIZE = 1.2  # m
SPACE = 1.6  # m, smallest distance between the centres of two pads
# A detection is correct within this share of its target's size, at least half a pixel.
TOLERANCE = 0.1
GLINTS = 12  # in each infrared frame: reflections of the sun or of a street lamp

CAMERA = PinholeCamera.from_params(check_parameters(INTRINSICS, {}))
MOUNTED = Mounting.from_params(check_parameters(MOUNTING, {}))


@attrs.frozen
class Condition:
    """Image quality. ``blur``, ``noise``: standard deviations, pixels, grey levels."""

    name: str
    blur: float
    noise: float

    def on(self, frame: Pixels, random: np.random.Generator) -> Pixels:
        """Return a frame with this quality."""
        blurred = cv2.GaussianBlur(frame, (0, 0), self.blur) if self.blur else frame
        if not self.noise:
            return np.asarray(blurred)
        noise = random.normal(0.0, self.noise, frame.shape).astype(np.float32)
        return np.clip(np.rint(blurred + noise), 0, 255).astype(np.uint8)


CONDITIONS = (
    Condition('clean', 0.0, 0.0),
    Condition('fair', 1.0, 5.0),
    Condition('poor', 2.0, 10.0),
)


@attrs.frozen
class Truth:
    """A target in a frame: its label, position and size, pixels."""

    label: int
    place: tuple[float, float]
    size: float


@attrs.define
class Score:
    """Counts of targets and detections over many frames."""

    found: int = 0
    missed: int = 0
    false: int = 0
    offsets: list[float] = attrs.field(factory=list)
    times: list[float] = attrs.field(factory=list)

    def add(self, finds: Any, truths: Sequence[Truth]) -> None:
        """Count one frame's detections; of two detections of one target, the second is false."""
        left = list(truths)
        for find in finds:
            offsets = {each: math.dist(each.place, (find['u'], find['v'])) for each in left}
            right = [
                each
                for each, offset in offsets.items()
                if offset < max(0.5, TOLERANCE * each.size) and each.label == find['label']
            ]
            if right:
                left.remove(right[0])
                self.offsets.append(offsets[right[0]])
        self.found += len(truths) - len(left)
        self.missed += len(left)
        self.false += len(finds) - (len(truths) - len(left))

    def row(self) -> list[str]:
        """Return precision, recall, offset and time, formatted for the table."""
        told, there = self.found + self.false, self.found + self.missed
        return [
            f'{100 * self.found / told:.1f}' if told else '-',
            f'{100 * self.found / there:.1f}' if there else '-',
            f'{statistics.median(self.offsets):.2f}' if self.offsets else '-',
            f'{statistics.median(self.times):.1f}' if self.times else '-',
        ]


@attrs.frozen
class World:
    """The ground in one frame: the pose of the camera and the targets."""

    render: Callable[[CameraPose], Pixels]
    targets: list[tuple[int, float, float, float]]  # label, east, north, size


def pads_in(labels: Sequence[int]) -> Callable[..., World]:
    """Yield worlds with one or two pads with these labels, and a pad of the other kind."""

    def lay_out(ground: Orthophoto, places: npt.NDArray[Any], random: np.random.Generator) -> World:
        pads = [
            Pad(int(random.choice(labels)), *place, random.uniform(-3, 3), PAD_SIZE)
            for place in places[:2]
        ]
        others = [0] if NO_LABEL in labels else [NO_LABEL]
        pads += [Pad(others[0], *place, 0.0, PAD_SIZE) for place in places[2:3]]
        targets = [(p.label, p.east, p.north, p.size) for p in pads if p.label in labels]
        return World(Renderer(ground, pads, CAMERA).render, targets)

    return lay_out


def emitters_in(ground: Orthophoto, places: npt.NDArray[Any], random: np.random.Generator) -> World:
    """Yield worlds with up to three emitters."""
    emitters = [
        Emitter(*place, size=random.uniform(0.2, 0.5), power=random.uniform(150, 1000))
        for place in places[:3]
    ]
    renderer = InfraredRenderer(ground, emitters, CAMERA, ambient=random.uniform(0.02, 0.25))

    def render(pose: CameraPose) -> Pixels:
        return with_glints(renderer.render(pose), random)

    return World(render, [(NO_LABEL, e.east, e.north, e.size) for e in emitters])


def with_glints(frame: Pixels, random: np.random.Generator) -> Pixels:
    """Return the frame with saturated streaks, slivers and corners, like reflections of water."""
    for _ in range(GLINTS):
        middle = random.uniform((0, 0), (CAMERA.width, CAMERA.height))
        length, width = random.uniform(4, 60), random.uniform(1, 6)
        turn = random.uniform(0, math.pi)
        along = np.array([math.cos(turn), math.sin(turn)])
        across = np.array([-along[1], along[0]])
        bent = random.uniform(-0.5, 0.5) * length * across
        spine = [middle - along * length, middle + bent, middle + along * length]
        edge = [middle + bent + across * width, middle + bent / 2 - across * width]
        corners = np.array([spine[0], edge[0], spine[2], edge[1]])
        shape = np.rint(8 * corners).astype(np.int32)
        cv2.fillPoly(frame, [shape], (255, 255, 255), cv2.LINE_AA, 3)
    return frame


WORLDS: dict[str, Callable[..., World]] = {
    'aruco': pads_in(range(50)),
    'contour': pads_in([NO_LABEL]),
    'brightspot': emitters_in,
}


def frames(detector: str, height: float, count: int, ground: Orthophoto) -> Iterator[Any]:
    """Yield frames for one detector from one height: the image, and the targets fully in view."""
    random = np.random.default_rng([sorted(WORLDS).index(detector), round(height)])
    reach = np.array(ground.pixels.shape[1::-1]) * ground.metres_per_pixel / 2 - height / 2
    for number in range(count):
        position = np.append(random.uniform(-reach, reach), height)
        roll, pitch = random.uniform(-LARGEST_TILT, LARGEST_TILT, 2)
        attitude = quaternion_from_euler(roll, pitch, random.uniform(-math.pi, math.pi))
        pose = CameraPose.from_body(Pose(position, attitude), MOUNTED)
        places = _places(pose, height, random) if number % 4 else np.empty((0, 2))
        world = WORLDS[detector](ground, places, random)
        truths = [_truth(pose, *target) for target in world.targets]
        yield world.render(pose), truths


def _places(pose: CameraPose, height: float, random: np.random.Generator) -> npt.NDArray[Any]:
    """Return up to three positions (N, 2), east and north, at which a pad is fully in view."""
    edge = 0.8 * PAD_SIZE * CAMERA.fx / height
    found: list[Any] = []
    for _ in range(30):
        pixel = random.uniform((edge, edge), (CAMERA.width - edge, CAMERA.height - edge))
        place = pose.intersect_plane(CAMERA.rays(pixel), 0.0, 0.1)[0][:2]
        if len(found) < 3 and all(math.dist(place, other) > SPACE for other in found):
            found.append(place)
    return np.array(found)


def _truth(pose: CameraPose, label: int, east: float, north: float, size: float) -> Truth:
    middle, side = pose.project_points(CAMERA, [[east, north, 0.0], [east + size, north, 0.0]])
    return Truth(label, (float(middle[0]), float(middle[1])), math.dist(middle, side))


def assess(
    detector: str, height: float, count: int, ground: Orthophoto, params: dict[str, Any]
) -> dict[str, Score]:
    """Return the scores of one detector from one height, by image quality."""
    stage = DetectTarget()
    stage.bind(params)
    cv2.setNumThreads(1)
    eye, confidence = DETECTORS[detector](stage.params), stage.params['confidence']
    scores = {condition.name: Score() for condition in CONDITIONS}
    random = np.random.default_rng(1)
    for frame, truths in frames(detector, height, count, ground):
        for condition in CONDITIONS:
            image = condition.on(frame, random)
            begin = time.process_time()
            finds = eye.detect(image)
            scores[condition.name].times.append(1e3 * (time.process_time() - begin))
            scores[condition.name].add(finds[finds['confidence'] >= confidence], truths)
    return scores


HEADINGS = (
    'detector',
    'height [m]',
    'image',
    'precision [%]',
    'recall [%]',
    'offset [pixel]',
    'time [ms]',
)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.detectors')
    parser.add_argument('--only', nargs='+', choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument('--heights', nargs='+', type=float, default=list(HEIGHTS), metavar='M')
    parser.add_argument('--frames', type=int, default=40, help='of each height (default: 40)')
    parser.add_argument('--photograph', default='', help='another one than that in assets')
    parser.add_argument(
        '--set', nargs='+', default=[], metavar='NAME=VALUE', help="detectors' parameters"
    )
    options = parser.parse_args()
    given = {
        name: yaml.safe_load(value) for name, value in (each.split('=') for each in options.set)
    }
    ground = load_photograph(options.photograph)
    print(f'| {" | ".join(HEADINGS)} |')
    print(f'| --- | ---: | --- |{" ---: |" * 4}')
    for detector in options.only:
        for height in options.heights:
            scores = assess(detector, height, options.frames, ground, given)
            for condition, score in scores.items():
                row = [detector, f'{height:g}', condition, *score.row()]
                print(f'| {" | ".join(row)} |', flush=True)


if __name__ == '__main__':
    main()
