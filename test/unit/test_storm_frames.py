# SPDX-License-Identifier: Apache-2.0
"""The frames of a storm and the watch over their memory detect every fault."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest
from std_msgs.msg import Header
from storm.frame_stages import BY_SOCKET, TORN
from storm.frame_watch import AT_END, MOST, FrameWatch
from storm.frames import STEP, Frames

ROWS = 3
LIMIT = 40_000


@pytest.fixture(scope='module')
def frames() -> Frames:
    return Frames(ROWS)


def made(frames: Frames, number: int, maker: str = 'first') -> bytearray:
    return bytearray(frames.make(Header(), number, maker).data)


def test_a_whole_frame_has_no_fault(frames):
    """Also after the next one was made in its memory; its message is an image."""
    image = frames.make(Header(frame_id='cam'), 5, 'first')
    assert (image.width * 3, image.height * image.step) == (STEP, len(image.data))
    assert image.header.frame_id == 'cam'
    seen = memoryview(bytes(image.data))
    made(frames, 6)
    assert frames.fault(seen, 5, 'first') == ''


@pytest.mark.parametrize('at', [0, 1, 8, 15, 16, 4001, ROWS * STEP - 1])
def test_a_change_of_any_byte_is_found(frames, at):
    """Also in the number and in the checksum."""
    data = made(frames, 5)
    data[at] ^= 0x80
    assert 'item 5: found number ' in frames.fault(data, 5, 'first')


@pytest.mark.parametrize('begin', range(0, ROWS * STEP, STEP // 2))
def test_a_frame_that_is_partly_another_is_torn(frames, begin):
    """Wherever the other one begins."""
    data = made(frames, 5)
    data[begin:] = made(frames, 8)[begin:]
    assert frames.fault(data, 5, 'first')
    assert bool(frames.fault(data, 8, 'first')) == (begin > 0)


def test_exchanged_pixels_are_found(frames):
    """Although the bytes are the same."""
    data = made(frames, 5)
    data[800:808], data[1600:1608] = data[1600:1608], data[800:808]
    assert frames.fault(data, 5, 'first')


def test_another_frame_is_found(frames):
    """Of another item or stage, an empty one, or one of another size."""
    assert frames.fault(made(frames, 4), 5, 'first')
    assert frames.fault(made(frames, 5), 5, 'second')
    assert frames.fault(bytes(ROWS * STEP), 5, 'first')
    assert frames.fault(made(frames, 5)[:-8], 5, 'first').startswith('found 17272 bytes')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder like that of a manager."""
    (tmp_path / 'airside' / 'frames').mkdir(parents=True)
    return tmp_path / 'airside'


def test_a_storm_without_faults_has_figures_and_no_problems(folder):
    """Frames sent by sockets are no problem."""
    watch = FrameWatch(folder, LIMIT)
    (folder / 'frames' / f'{os.getpid()}.1').write_bytes(bytes(LIMIT // 2))
    watch.sample([os.getpid()])
    watch.check_leftovers([])
    (folder / 'frames' / f'{os.getpid()}.1').unlink()
    watch.check_after_exit()
    log = f'[INFO] {BY_SOCKET}\n' * 3
    assert watch.problems(log) == []
    figures = watch.figures(log)
    assert LIMIT / 2 <= figures[MOST] * 1e6 <= LIMIT
    assert (figures['frames by sockets'], figures['torn'], figures[AT_END]) == (3, 0, 0)


@pytest.mark.parametrize('removed', [False, True], ids=['there', 'removed and mapped'])
def test_too_much_memory_is_a_problem(folder, removed):
    """Whether its file exists or was removed."""
    watch = FrameWatch(folder, LIMIT)
    path = folder / 'frames' / f'{os.getpid()}.1'
    path.write_bytes(bytes(2 * LIMIT))
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        bytes(memory)
        if removed:
            path.unlink()
        watch.sample([os.getpid(), 2**22 + 1])
    (problem,) = watch.problems('')
    assert problem.startswith(f'{MOST}: found 0.1; allowed: 0.04')


def test_files_left_behind_are_a_problem(folder):
    """Those of dead processes during a run, and all of them after it."""
    watch = FrameWatch(folder, LIMIT)
    (folder / 'frames' / f'{2**22 + 1}.1').touch()
    watch.check_leftovers([])
    watch.check_after_exit()
    of_the_dead, at_the_end = watch.problems('')
    assert of_the_dead == f'frames left by the dead: found {2**22 + 1}.1'
    assert at_the_end.endswith(f"found ['frames/{2**22 + 1}.1 (0)'] at the end; at the start: []")


def test_a_frame_that_a_stage_keeps_is_not_left_behind(folder):
    """Its producer may have died meanwhile."""
    watch = FrameWatch(folder, LIMIT)
    path = folder / 'frames' / f'{2**22 + 1}.1'
    path.write_bytes(bytes(mmap.PAGESIZE))
    with path.open('r+b') as file, mmap.mmap(file.fileno(), 0):
        assert watch.check_leftovers([2**22 + 2, os.getpid()])
    assert not watch.check_leftovers([2**22 + 2, os.getpid()])


def test_torn_frames_and_missing_frames_are_counted_separately(folder):
    """With the lines of the log."""
    log = f'[ERROR] {TORN}, given: item 5\n[WARN] refused (FrameGoneError: 7.1: cannot be opened)\n'
    watch = FrameWatch(folder, LIMIT)
    assert watch.problems(log) == [
        'torn: 1',
        f'  [ERROR] {TORN}, given: item 5',
        'frames gone before they were read: 1',
        '  [WARN] refused (FrameGoneError: 7.1: cannot be opened)',
    ]
    assert watch.figures(log)['torn'] == 1
