# SPDX-License-Identifier: Apache-2.0
"""Camera frames in shared memory, in a real pipeline: never lost, duplicated or torn."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.frames import HEIGHT, WIDTH, checksum

from worker_pipeline.airside.messages.image import from_message, to_message
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.testing import wait_for

FRAMES = 100
borrowed_and_not = pytest.mark.parametrize('borrows', [False, True], ids=['copied', 'borrowed'])


def blocks(manager) -> dict[str, int]:
    """Return the allocated bytes of each block file by name.

    A reserved block has a size already, but no memory yet.
    """
    found = {}
    with contextlib.suppress(FileNotFoundError):  # no folder yet, or a file is being removed
        for each in (manager.folder / 'frames').iterdir():
            with contextlib.suppress(FileNotFoundError):
                found[each.name] = each.stat().st_blocks * 512
    return found


def active_items(manager, stage: str) -> list[int]:
    """Return the numbers of the items that the workers of a stage are processing."""
    files = (manager.folder / 'workers').glob(f'{stage}.*[0-9]')
    return [item for each in files if (item := LivenessRecord(each).read().active_item)]


def stamp(message: Header) -> int:
    """Return the stamp in ns."""
    return message.stamp.sec * 10**9 + message.stamp.nanosec


def parameters(frames: int = FRAMES, *, borrows: bool = False, **settings) -> dict:
    makes = {'frames': frames, 'borrows': borrows}
    stages = {
        'camera': {'plugin': 'support.frames:Camera', 'params': makes},
        'pass': {'plugin': 'support.frames:Pass', 'input': 'camera', 'workers': 2},
        'check': {'plugin': 'support.frames:Check', 'input': 'pass', 'workers': 2},
    }
    for name in ('pass', 'check'):
        stages[name]['overflow'] = 'block'
    if borrows:
        stages['pass']['params'] = {'borrows': True}
    return {'stages': list(stages), **stages, **settings}


def wait_for_more(answers, count, manager):
    """Wait until more than so many further answers have come."""
    enough = len(answers) + count
    wait_for(lambda: len(answers) > enough, 'more answers', seen=manager.show)


def wait_for_all(answers: list, count: int, manager) -> None:
    wait_for(lambda: len(answers) >= count, f'{count} answers', seen=manager.show)
    assert {each.frame_id for each in answers} == {'whole'}
    stamps = [stamp(each) for each in answers]
    assert stamps == sorted(set(stamps))


@borrowed_and_not
def test_frames_are_sent_by_reference_and_their_memory_is_reused(start, observer, borrows):
    """A hundred frames take the memory of a few; none is left at the end."""
    manager = start(parameters(frames=100_000, borrows=borrows))
    answers = observer.collect('check/output')
    wait_for_all(answers, FRAMES, manager)
    sizes = blocks(manager)
    assert sizes
    assert len(sizes) < 40
    assert sum(sizes.values()) < 20e6
    wait_for(
        lambda: float(observer.values('manager').get('frames_mb', 0)) > 0,
        'frames_mb in the diagnostics',
    )
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert not manager.folder.exists()


@borrowed_and_not
def test_killing_any_worker_tears_or_loses_no_frame(start, observer, borrows):
    """The dead worker's frames outlive it while they are needed."""
    manager = start(parameters(frames=100_000, borrows=borrows))
    answers = observer.collect('check/output')
    wait_for(lambda: len(answers) > 30, 'some answers', seen=manager.show)
    for victim in 2 * ('camera/worker_0', 'pass/worker_0', 'check/worker_0'):
        killed = observer.kill(victim)
        observer.wait_until_replaced(victim, killed)
        left = f'{killed}.'
        wait_for(
            lambda left=left: not [each for each in blocks(manager) if each.startswith(left)],
            'the removal of its blocks',
            seen=lambda: blocks(manager),
        )
    wait_for_all(answers, len(answers) + 30, manager)
    for stage in ('camera', 'pass', 'check'):
        assert observer.count(stage, 'dropped') == observer.count(stage, 'quarantined') == 0


@borrowed_and_not
def test_a_killed_manager_leaves_frames_for_the_next_one(start, observer, borrows):
    """With a journal no frame is lost, and unneeded blocks are swept."""
    manager = start(parameters(frames=100_000, borrows=borrows, journal=True))
    answers = observer.collect('check/output')
    for _ in range(2):
        wait_for_more(answers, 30, manager)
        os.kill(manager.process.pid, signal.SIGKILL)
        manager.wait()
        (manager.folder / 'frames' / '99999999.1').write_bytes(b'left by a crash')
        manager.start_again()
    wait_for(lambda: '99999999.1' not in blocks(manager), 'the sweep')
    wait_for_more(answers, 30, manager)
    assert {each.frame_id for each in answers} == {'whole'}
    stamps = list(dict.fromkeys(stamp(each) for each in answers))
    assert stamps == sorted(stamps)
    assert sum(blocks(manager).values()) < 40e6


def test_a_stage_may_keep_its_input(start, observer):
    """The frame is not overwritten until the stage drops it."""
    settings = parameters(frames=100_000)
    settings['check'] |= {'workers': 1, 'params': {'keeps': 5}}
    manager = start(settings)
    answers = observer.collect('check/output')
    wait_for_all(answers, 60, manager)


@pytest.mark.parametrize('journal', [True, False])
def test_retained_frames_survive_the_managers_death(start, observer, journal):
    """No item needs them any more, so they are in no ledger.

    Frames that the stage has received, or has sent from borrowed memory.
    """
    settings = parameters(frames=100_000, borrows=True, journal=journal)
    for keeper in ('camera', 'check'):
        settings[keeper] = {**settings[keeper], 'workers': 1}
        settings[keeper]['params'] = {**settings[keeper].get('params', {}), 'keeps': 5}
    manager = start(settings)
    answers = observer.collect('check/output')
    for _ in range(2):
        wait_for_more(answers, 30, manager)
        os.kill(manager.process.pid, signal.SIGKILL)
        manager.wait()
        manager.start_again()
    wait_for_more(answers, 30, manager)
    assert {each.frame_id for each in answers} == {'whole'}
    assert 'is torn' not in manager.output


def test_frames_in_answers_that_a_manager_has_not_read_survive_its_death(start, observer):
    """The stage has passed them on, and without a journal nobody but its worker knows of them."""
    settings = parameters(frames=100_000, journal=False)
    settings['pass'] |= {'plugin': 'support.frames:PassOn'}
    manager = start(settings)
    answers = observer.collect('check/output')
    for _ in range(5):
        wait_for_more(answers, 20, manager)
        os.kill(manager.manager_pid, signal.SIGSTOP)
        wait_for(lambda: not active_items(manager, 'pass'), 'answers to all items')
        os.kill(manager.process.pid, signal.SIGKILL)  # the manager dies with its guardian
        manager.wait()
        manager.start_again()
    wait_for_more(answers, 20, manager)
    assert {each.frame_id for each in answers} == {'whole'}
    assert 'FrameGoneError' not in manager.output


def test_a_frame_dropped_later_is_freed_then(start, observer):
    """Even without the answer to a further item to report it with."""
    stages = {
        'camera': {'plugin': 'support.frames:Camera', 'params': {'frames': 3}},
        'keep': {'plugin': 'support.frames:KeepForAWhile', 'input': 'camera', 'overflow': 'block'},
    }
    start({'stages': list(stages), **stages})
    wait_for(lambda: float(observer.values('manager').get('frames_mb', 0)), 'a retained frame')
    wait_for(
        lambda: observer.values('manager').get('frames_mb') == '0.0',
        'the release of all frames',
        seen=lambda: observer.values('manager'),
    )


def test_an_external_subscriber_receives_the_whole_image(start, observer):
    """As rqt_image_view and rosbag need it."""
    settings = parameters(frames=100_000)
    settings['camera']['period'] = 0.02
    start(settings)
    images = observer.collect('camera/output', Image)
    wait_for(lambda: len(images) > 5, 'images')
    for image in images[:5]:
        assert (image.height, image.width) == (HEIGHT, WIDTH)
        assert str(checksum(from_message(image))) == image.header.frame_id


def test_an_image_from_an_external_publisher_is_processed(start, observer):
    """It arrives whole by DDS, as from a camera driver; outputs are sent by reference."""
    stages = {
        'pass': {'plugin': 'support.frames:Pass', 'input': '/camera/image'},
        'check': {'plugin': 'support.frames:Check', 'input': 'pass', 'overflow': 'block'},
    }
    manager = start({'stages': list(stages), **stages})
    answers = observer.collect('check/output')
    feed = observer.feeder('/camera/image', Image)
    observer.wait_until_active('pass', 1)
    observer.wait_until_active('check', 1)
    noise = np.random.default_rng(1)
    for number in range(1, 11):
        pixels = noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        message = to_message(pixels, str(checksum(pixels)))
        message.header.stamp.sec = number
        feed.publish(message)
        wait_for(lambda number=number: len(answers) == number, 'its answer', seen=manager.show)
    assert {each.frame_id for each in answers} == {'whole'}
    assert blocks(manager)
    assert observer.count('pass', 'by_socket') == 0


@pytest.mark.parametrize('frame_memory', [0.0, 0.3], ids=['none', 'too little'])
def test_without_shared_memory_frames_are_sent_by_sockets(start, observer, frame_memory):
    """None is lost, and a warning is logged."""
    manager = start(parameters(frames=100_000, frame_memory=frame_memory))
    answers = observer.collect('check/output')
    wait_for_all(answers, FRAMES, manager)
    assert sum(blocks(manager).values()) <= 5 * 1e6 * frame_memory
    warned = 'frames are sent by socket instead of shared memory' in manager.output
    assert warned == (frame_memory > 0)
    if warned:

        def message_of(stage: str) -> str:
            status = observer.status(stage)
            return status.message if status else ''

        wait_for(
            lambda: 'sent inline, as shared memory had no room' in message_of('camera'),
            'frames_mb in the diagnostics',
            seen=lambda: observer.status('camera'),
        )
        assert observer.count('camera', 'by_socket') > 0


@pytest.mark.parametrize('plugin', ['Pass', 'PassOn'])
def test_a_chain_of_stages_works_with_little_memory(start, observer, plugin):
    """The first stage leaves memory for the frames of the second."""
    settings = parameters(frames=100_000, frame_memory=2.0)
    settings['pass']['plugin'] = f'support.frames:{plugin}'
    manager = start(settings)
    answers = observer.collect('check/output')
    wait_for_all(answers, FRAMES, manager)
    assert sum(blocks(manager).values()) <= 2e6
    wait_for(lambda: observer.count('pass', 'completed') > 300, 'more frames')
    # A worker that is notified of free memory a moment too late sends by socket.
    assert observer.count('pass', 'by_socket') < observer.count('pass', 'completed') / 4


@pytest.mark.parametrize('overflow', ['block', 'drop_oldest'])
def test_little_memory_is_shared_by_two_stages_that_make_frames(start, observer, overflow):
    """The first leaves the second enough, even while the second's worker is replaced."""
    settings = parameters(frames=100_000, frame_memory=2.8)
    for name in ('pass', 'check'):
        settings[name] |= {'workers': 1, 'overflow': overflow}
    manager = start(settings)
    answers = observer.collect('check/output')
    wait_for(lambda: len(answers) > 50, 'answers', seen=manager.show)
    for _ in range(3):
        killed = observer.kill('pass/worker_0')
        observer.wait_until_replaced('pass/worker_0', killed)
        enough = len(answers) + 50
        wait_for(lambda enough=enough: len(answers) > enough, 'more', seen=manager.show)
    assert {each.frame_id for each in answers} == {'whole'}


@pytest.mark.parametrize('overflow', ['block', 'drop_oldest'])
def test_full_memory_acts_like_a_full_queue(start, observer, overflow):
    """It blocks the camera or drops the oldest frames, and is never exceeded."""
    stages = {
        'camera': {'plugin': 'support.frames:Camera', 'period': 0.005, 'params': {'frames': 120}},
        'check': {
            'plugin': 'support.frames:Check',
            'input': 'camera',
            'overflow': overflow,
            'queue_size': 1000,
            'params': {'seconds': 0.03},
        },
    }
    manager = start({'stages': list(stages), 'frame_memory': 4.0, **stages})
    answers = observer.collect('check/output')
    most = 0

    def all_done() -> bool:
        nonlocal most
        most = max(most, sum(blocks(manager).values()))
        counts = [observer.count('check', each) for each in ('completed', 'dropped')]
        return sum(counts) == 120

    wait_for(all_done, '120 frames done or dropped', 60.0, lambda: observer.values('check'))
    assert {each.frame_id for each in answers} == {'whole'}
    assert (observer.count('check', 'dropped') > 0) == (overflow == 'drop_oldest')
    assert 2e6 < most <= 4e6
    # A worker that is notified of free memory a moment too late sends by socket.
    assert observer.count('camera', 'by_socket') < 120 / 4


@pytest.mark.slow
@borrowed_and_not
def test_frames_whose_files_are_removed_are_written_again(start, observer, borrows):
    """A tidy script may remove the folder, or single files in use; what dies is nobody."""
    manager = start(parameters(4 * FRAMES, borrows=borrows))
    answers = observer.collect('check/output')
    for count in range(40, 3 * FRAMES, 40):
        wait_for(lambda least=count: len(answers) >= least, f'{count} frames', seen=manager.show)
        frames = manager.folder / 'frames'
        if count % 3:
            shutil.rmtree(frames, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):  # not made anew yet
                for each in [*frames.iterdir()]:
                    each.unlink(missing_ok=True)
    wait_for_all(answers, 4 * FRAMES, manager)
    assert len(answers) == 4 * FRAMES
    assert ' exited' not in manager.output
    assert observer.count('check', 'refused') == observer.count('pass', 'refused') == 0
