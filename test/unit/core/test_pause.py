# SPDX-License-Identifier: Apache-2.0
"""Silent workers that something outside has stopped are waited for; one that hangs is not."""

from __future__ import annotations

import pytest

from worker_pipeline.core.pause import PAUSE_LIMIT, Pause

TICK = 0.05


class Scene:
    """Workers by pid, how long each is silent, and what the kernel says of it."""

    def __init__(self, *pids: int) -> None:
        self.now = 1000.0
        self.silences = dict.fromkeys(pids, 0.0)
        self.stopped: set[int] = set()
        self.held: set[int] = set()
        self.pause = Pause(1.0, self.stopped.__contains__, self.held.__contains__)
        self.excused: frozenset[int] = frozenset()

    def wait(self, seconds: float) -> frozenset[int]:
        """Let time pass; those that are neither stopped nor held send heartbeats."""
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            for pid in self.silences:
                silent = pid in self.stopped or pid in self.held
                self.silences[pid] = self.silences[pid] + TICK if silent else 0.0
            self.excused = self.pause.update(self.silences, self.now)
            for pid in self.excused:
                self.silences[pid] = 0.0
        return self.excused

    def take(self) -> list[str]:
        texts = [text for _, text in self.pause.messages]
        self.pause.messages.clear()
        return texts


def test_all_workers_stopped_together_are_waited_for():
    scene = Scene(1, 2, 3)
    scene.stopped |= {1, 2, 3}
    assert scene.wait(0.5) == set()
    for _ in range(60):
        assert scene.wait(1.0) == {1, 2, 3}
    (text,) = scene.take()
    assert text.startswith('all workers (3) are stopped')
    assert text.endswith('waiting for them, up to 300 s')
    scene.stopped.clear()
    assert scene.wait(0.1) == set()
    assert scene.take() == ['the workers continue after 60.5 s']


def test_a_worker_that_is_stopped_alone_is_not():
    scene = Scene(1, 2)
    scene.stopped.add(1)
    assert scene.wait(2.0) == set()
    assert scene.silences[1] == pytest.approx(2.0)
    assert scene.take() == []


def test_workers_stopped_one_after_the_other_are_a_pause_once_all_are():
    scene = Scene(1, 2)
    scene.stopped.add(1)
    scene.wait(0.9)
    scene.stopped.add(2)
    assert scene.wait(TICK) == {1, 2}


def test_one_that_does_not_continue_with_the_others_hangs():
    scene = Scene(1, 2)
    scene.stopped |= {1, 2}
    scene.wait(10.0)
    scene.stopped.remove(2)
    assert scene.wait(1.0) == set()
    assert scene.silences[1] == pytest.approx(1.0)


def test_one_that_is_silent_without_being_stopped_is_no_pause():
    """It holds the GIL, and the others are stopped."""
    scene = Scene(1, 2)
    scene.stopped.add(1)
    scene.silences[2] = 5.0
    assert scene.pause.update({1: 5.0, 2: 5.0}, 1000.0) == set()


def test_a_worker_that_is_started_meanwhile_does_not_end_the_pause():
    """As one is for a worker that was killed by somebody."""
    scene = Scene(1, 2, 3)
    scene.stopped |= {1, 2, 3}
    scene.wait(1.0)
    del scene.silences[3]
    scene.silences[4] = 0.0
    assert scene.wait(5.0) == {1, 2}


def test_no_worker_is_waited_for_for_ever():
    scene = Scene(1, 2)
    scene.stopped |= {1, 2}
    scene.wait(1.0)
    scene.take()
    assert scene.wait(PAUSE_LIMIT - 2.0) == {1, 2}
    assert scene.wait(3.0) == set()
    assert scene.silences[1] > 1.0
    assert scene.take() == ['the workers have been stopped for 300.0 s: replacing them']
    assert scene.wait(10.0) == set()
    # Those in their place are no others' fault.
    scene.silences = {5: 0.0, 6: 0.0}
    scene.stopped = scene.stopped | {5, 6}
    scene.pause = Pause(1.0, scene.stopped.__contains__, scene.held.__contains__)
    assert scene.wait(2.0) == {5, 6}


def test_the_only_worker_hangs_if_it_is_stopped():
    """Nobody can tell whether it has stopped itself."""
    scene = Scene(1)
    scene.stopped.add(1)
    assert scene.wait(5.0) == set()


def test_the_only_worker_is_waited_for_if_it_was_stopped_with_its_manager():
    """The manager continues first."""
    scene = Scene(1)
    scene.stopped.add(1)
    scene.now += 12.0
    scene.pause.held_up(12.0, scene.now)
    for _ in range(30):
        scene.wait(1.0)
    assert scene.excused == {1}
    scene.stopped.clear()
    scene.wait(5.0)
    scene.stopped.add(1)
    assert scene.wait(2.0) == set(), 'stopped anew, and alone'


def test_a_short_hold_up_of_a_loaded_machine_is_no_sign_of_a_pause():
    scene = Scene(1)
    scene.stopped.add(1)
    scene.pause.held_up(0.3, scene.now)
    assert scene.wait(3.0) == set()


@pytest.mark.parametrize('others', [(), (2, 3)])
def test_a_worker_in_a_debugger_or_a_frozen_control_group_is_waited_for(others):
    """No stage does that to itself; so without any limit."""
    scene = Scene(1, *others)
    scene.held.add(1)
    scene.wait(1.0)
    assert scene.take() == ['pid 1 is held by a debugger or a frozen control group: waiting for it']
    assert scene.wait(2 * PAUSE_LIMIT) == {1}
    scene.held.clear()
    assert scene.wait(TICK) == set()
    assert scene.take() == []


def test_without_workers_there_is_no_pause():
    assert Scene().wait(2.0) == set()


def test_workers_that_are_all_killed_end_the_pause():
    scene = Scene(1, 2)
    scene.stopped |= {1, 2}
    scene.wait(2.0)
    scene.silences.clear()
    assert scene.wait(TICK) == set()
    scene.silences[3] = 0.0
    scene.stopped.add(3)
    assert scene.wait(2.0) == set(), 'the only one, and no member of the pause'
