"""Camera frames in shared memory, in a real pipeline: never lost, doubled or torn."""

from __future__ import annotations

import contextlib
import os
import signal

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.frames import HEIGHT, WIDTH, checksum

from worker_pipeline.airside.image import from_message, to_message
from worker_pipeline.testing import wait_for

FRAMES = 100
borrowed_and_not = pytest.mark.parametrize('borrows', [False, True], ids=['made', 'borrowed'])


def blocks(manager) -> dict[str, int]:
    """The files with frames that there are, by name: bytes of memory.

    One that is reserved has a size already, and no memory yet.
    """
    found = {}
    with contextlib.suppress(FileNotFoundError):  # not there yet; or it goes as we look
        for each in (manager.folder / 'frames').iterdir():
            with contextlib.suppress(FileNotFoundError):
                found[each.name] = each.stat().st_blocks * 512
    return found


def stamp(message: Header) -> int:
    """ns."""
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


def wait_for_all(answers: list, count: int, manager) -> None:
    wait_for(lambda: len(answers) >= count, f'{count} answers', 60.0, manager.show)
    assert {each.frame_id for each in answers} == {'whole'}
    stamps = [stamp(each) for each in answers]
    assert stamps == sorted(set(stamps))


@borrowed_and_not
def test_frames_go_by_reference_and_their_memory_is_used_again(start, observer, borrows):
    """A hundred frames in the room for some; nothing of it is left at the end."""
    manager = start(parameters(frames=100_000, borrows=borrows))
    answers = observer.collect('check/output')
    wait_for_all(answers, FRAMES, manager)
    sizes = blocks(manager)
    assert sizes
    assert len(sizes) < 40
    assert sum(sizes.values()) < 20e6
    wait_for(lambda: float(observer.values('manager').get('frames_mb', 0)) > 0, 'that it is told')
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert not manager.folder.exists()


@borrowed_and_not
@pytest.mark.parametrize('victim', ['camera/worker_0', 'pass/worker_0', 'check/worker_0'])
def test_whoever_is_killed_no_frame_is_torn_or_lost(start, observer, victim, borrows):
    """Its frames that are needed outlive it; then they go."""
    manager = start(parameters(frames=100_000, borrows=borrows))
    answers = observer.collect('check/output')
    wait_for(lambda: len(answers) > 30, 'some answers', seen=manager.show)
    for _ in range(3):
        killed = observer.kill(victim)
        observer.wait_until_replaced(victim, killed)
        left = f'{killed}.'
        wait_for(
            lambda left=left: not [each for each in blocks(manager) if each.startswith(left)],
            'that its blocks are gone',
            seen=lambda: blocks(manager),
        )
    wait_for_all(answers, len(answers) + 30, manager)
    for stage in ('camera', 'pass', 'check'):
        assert observer.count(stage, 'dropped') == observer.count(stage, 'quarantined') == 0


@borrowed_and_not
def test_a_killed_manager_leaves_frames_for_the_next_one(start, observer, borrows):
    """With a journal nothing is lost, and what nobody needs is swept."""
    manager = start(parameters(frames=100_000, borrows=borrows, journal=True))
    answers = observer.collect('check/output')
    for _ in range(2):
        enough = len(answers) + 30
        wait_for(lambda enough=enough: len(answers) > enough, 'some answers', 30.0, manager.show)
        os.kill(manager.process.pid, signal.SIGKILL)
        manager.wait()
        (manager.folder / 'frames' / '99999999.1').write_bytes(b'left by a crash')
        manager.start_again()
    wait_for(lambda: '99999999.1' not in blocks(manager), 'that it is swept')
    enough = len(answers) + 30
    wait_for(lambda: len(answers) > enough, 'more answers', 30.0, manager.show)
    assert {each.frame_id for each in answers} == {'whole'}
    stamps = list(dict.fromkeys(stamp(each) for each in answers))
    assert stamps == sorted(stamps)
    assert sum(blocks(manager).values()) < 40e6


def test_a_stage_may_keep_what_it_looked_at(start, observer):
    """For as long as it does, its frame is not written over."""
    settings = parameters(frames=100_000)
    settings['check'] |= {'workers': 1, 'params': {'keeps': 5}}
    manager = start(settings)
    answers = observer.collect('check/output')
    wait_for_all(answers, 60, manager)


@pytest.mark.parametrize('keeper', ['camera', 'check'])
@pytest.mark.parametrize('journal', [True, False])
def test_what_a_stage_keeps_outlives_the_manager(start, observer, journal, keeper):
    """No item needs it any more, so no ledger tells the next manager of it.

    Of what it was given, or has made in borrowed memory and given out.
    """
    settings = parameters(frames=100_000, borrows=True, journal=journal)
    settings[keeper] = {**settings[keeper], 'workers': 1}
    settings[keeper]['params'] = {**settings[keeper].get('params', {}), 'keeps': 5}
    manager = start(settings)
    answers = observer.collect('check/output')
    for _ in range(2):
        enough = len(answers) + 30
        wait_for(lambda enough=enough: len(answers) > enough, 'some answers', 30.0, manager.show)
        os.kill(manager.process.pid, signal.SIGKILL)
        manager.wait()
        manager.start_again()
    enough = len(answers) + 30
    wait_for(lambda: len(answers) > enough, 'more answers', 30.0, manager.show)
    assert {each.frame_id for each in answers} == {'whole'}
    assert 'is torn' not in manager.output


def test_what_is_let_go_of_later_is_free_then(start, observer):
    """Also where no further item comes, with the answer to which it could be told."""
    stages = {
        'camera': {'plugin': 'support.frames:Camera', 'params': {'frames': 3}},
        'forget': {'plugin': 'support.frames:Forget', 'input': 'camera', 'overflow': 'block'},
    }
    start({'stages': list(stages), **stages})
    wait_for(lambda: float(observer.values('manager').get('frames_mb', 0)), 'that one is kept')
    wait_for(
        lambda: observer.values('manager').get('frames_mb') == '0.0',
        'that no frame is needed',
        seen=lambda: observer.values('manager'),
    )


def test_a_listener_outside_is_given_the_whole_image(start, observer):
    """As rqt_image_view and rosbag need it."""
    settings = parameters(frames=100_000)
    settings['camera']['period'] = 0.02
    start(settings)
    images = observer.collect('camera/output', Image)
    wait_for(lambda: len(images) > 5, 'images')
    for image in images[:5]:
        assert (image.height, image.width) == (HEIGHT, WIDTH)
        assert str(checksum(from_message(image))) == image.header.frame_id


def test_an_image_from_outside_is_an_item_as_any(start, observer):
    """A camera driver's comes by DDS, whole; what a stage makes of it goes by reference."""
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
def test_without_shared_memory_frames_go_by_sockets(start, observer, frame_memory):
    """None is lost for that; it is told."""
    manager = start(parameters(frames=100_000, frame_memory=frame_memory))
    answers = observer.collect('check/output')
    wait_for_all(answers, FRAMES, manager)
    assert sum(blocks(manager).values()) <= 5 * 1e6 * frame_memory
    told = 'frames go by sockets instead of shared memory' in manager.output
    assert told == (frame_memory > 0)
    if told:

        def said(stage: str) -> str:
            status = observer.status(stage)
            return status.message if status else ''

        wait_for(
            lambda: 'by socket, as shared memory had no room' in said('camera'),
            'that it is told',
            seen=lambda: observer.status('camera'),
        )
        assert observer.count('camera', 'by_socket') > 0


@pytest.mark.parametrize('plugin', ['Pass', 'PassOn'])
def test_a_chain_has_enough_with_little(start, observer, plugin):
    """Those who make the first frames leave room for those who make more of them."""
    settings = parameters(frames=100_000, frame_memory=2.0)
    settings['pass']['plugin'] = f'support.frames:{plugin}'
    manager = start(settings)
    answers = observer.collect('check/output')
    wait_for_all(answers, FRAMES, manager)
    assert sum(blocks(manager).values()) <= 2e6
    wait_for(lambda: observer.count('pass', 'completed') > 300, 'more frames')
    # Who has been told of room a moment too late does without.
    assert observer.count('pass', 'by_socket') < observer.count('pass', 'completed') / 4


@pytest.mark.parametrize('overflow', ['block', 'drop_oldest'])
def test_little_memory_is_shared_by_stages_that_make_frames_of_frames(start, observer, overflow):
    """The first leaves the second what it needs to go on, also while that is replaced."""
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
def test_full_memory_does_what_a_full_queue_does(start, observer, overflow):
    """It holds up the camera, or costs the oldest frames; and is never exceeded."""
    stages = {
        'camera': {'plugin': 'support.frames:Camera', 'period': 0.005, 'params': {'frames': 200}},
        'check': {
            'plugin': 'support.frames:Check',
            'input': 'camera',
            'overflow': overflow,
            'queue_size': 1000,
            'params': {'seconds': 0.01},
        },
    }
    manager = start({'stages': list(stages), 'frame_memory': 4.0, **stages})
    answers = observer.collect('check/output')
    most = 0

    def all_done() -> bool:
        nonlocal most
        most = max(most, sum(blocks(manager).values()))
        counts = [observer.count('check', each) for each in ('completed', 'dropped')]
        return sum(counts) == 200

    wait_for(all_done, '200 frames done or dropped', 60.0, lambda: observer.values('check'))
    assert {each.frame_id for each in answers} == {'whole'}
    assert (observer.count('check', 'dropped') > 0) == (overflow == 'drop_oldest')
    assert 2e6 < most <= 4e6
    assert 'frames go by sockets' not in manager.output
