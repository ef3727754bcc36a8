# SPDX-License-Identifier: Apache-2.0
"""The registry releases a frame with its last reference, whoever has died meanwhile."""

from __future__ import annotations

import array
import gc

import pytest
from geometry_msgs.msg import PointStamped
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from support.random_frames import frame

from worker_pipeline.frames.blocks import DATA_OFFSET, block_size
from worker_pipeline.frames.reference import Reference, encode
from worker_pipeline.frames.registry import FrameRegistry, TrackedReference
from worker_pipeline.frames.writer import FrameWriter, NoRoomError

LIMIT = 64 << 20


def reference_to(number: int, block: str, size: int = 100_000) -> bytes:
    return encode(Reference(number, size, 0, block, b'\0\1\0\0\0\0\0\0'))


def test_a_frame_is_released_with_its_last_reference(tmp_path):
    """However many ledgers had it, and also if two payloads refer to it."""
    registry, freed = FrameRegistry(tmp_path, LIMIT), []
    registry.producer_connected(7, freed.append)
    one = registry.track(reference_to(1, '7.1'))
    ledgers = [[one], [one], [registry.track(reference_to(1, '7.1'))]]
    assert isinstance(one, TrackedReference)
    assert one == reference_to(1, '7.1')
    assert registry.in_use == block_size(100_000)
    del one
    while ledgers:
        gc.disable()  # so that reference counting alone releases it
        registry.release_unreferenced()
        assert freed == []
        ledgers.pop().clear()
    gc.enable()
    registry.release_unreferenced()
    registry.release_unreferenced()
    assert freed == [[1]]
    assert registry.in_use == 0


@pytest.mark.slow
def test_a_released_frame_can_be_evicted_before_its_writer_is_notified(tmp_path, writer):
    """The writer may be busy. Releasing an older frame does not free the block's current one."""
    all_there_is = memoryview(bytes(LIMIT - DATA_OFFSET))
    registry, other = FrameRegistry(tmp_path, LIMIT), FrameWriter(tmp_path, '8.', LIMIT)
    registry.producer_connected(8, lambda _: None)
    for number in (1, 2):
        assert other.write(all_there_is) == (number, '8.1')
        registry.track(reference_to(1, '8.1'))
        registry.release_unreferenced()
        if number == 1:
            other.release(1)
    with pytest.raises(NoRoomError):
        writer.write(all_there_is)
    registry.track(reference_to(2, '8.1'))
    registry.release_unreferenced()
    writer.write(all_there_is)
    other.release(2)
    with pytest.raises(NoRoomError):
        other.write(all_there_is)


def test_an_ordinary_payload_is_returned_as_it_is(tmp_path):
    """It refers to no frame."""
    payload = serialize_message(PointStamped())
    assert FrameRegistry(tmp_path, LIMIT).track(payload) is payload


def test_a_dead_producers_blocks_stay_while_they_are_needed(tmp_path):
    """Its other blocks are removed at once; those of living producers are left alone."""
    for name in ('7.1', '7.2', '8.1'):
        (tmp_path / name).touch()
    registry = FrameRegistry(tmp_path, LIMIT)
    registry.producer_connected(7, print)
    registry.producer_connected(8, print)
    kept = registry.track(reference_to(1, '7.1'))
    registry.producer_died(7)
    assert {each.name for each in tmp_path.iterdir()} == {'7.1', '8.1'}
    del kept
    registry.release_unreferenced()
    assert {each.name for each in tmp_path.iterdir()} == {'8.1'}


def test_a_dead_producers_block_stays_until_its_last_frame_is_released(tmp_path):
    """A journal may refer to all the frames that the block has ever held."""
    (tmp_path / '7.1').touch()
    registry = FrameRegistry(tmp_path, LIMIT)
    ledger = [registry.track(reference_to(number, '7.1')) for number in (1, 2, 3)]
    registry.sweep(set())
    assert registry.in_use == block_size(100_000)
    del ledger[:2]
    registry.release_unreferenced()
    assert (tmp_path / '7.1').exists()
    assert registry.in_use == block_size(100_000)
    ledger.clear()
    registry.release_unreferenced()
    assert not (tmp_path / '7.1').exists()
    assert registry.in_use == 0


def test_a_restarted_manager_knows_the_needed_frames_and_sweeps_the_rest(tmp_path):
    """The needed frames are those in the restored ledgers."""
    for name in ('7.1', '7.2', '9.1', '9.2'):
        (tmp_path / name).touch()
    registry, freed = FrameRegistry(tmp_path, LIMIT), []
    ledger = [registry.track(reference_to(number, f'{pid}.1')) for pid, number in ((7, 5), (9, 3))]
    registry.sweep({7})
    assert {each.name for each in tmp_path.iterdir()} == {'7.1', '7.2', '9.1'}
    assert registry.producer_connected(7, freed.append) == {5}
    ledger.clear()
    registry.release_unreferenced()
    assert freed == [[5]]
    assert {each.name for each in tmp_path.iterdir()} == {'7.1', '7.2'}


def test_a_reference_can_be_materialized(tmp_path, writer):
    """For external subscribers and for the quarantine."""
    message = Image(height=1, width=100_000, step=100_000)
    stripped = serialize_message(message)
    message.data = array.array('B', frame(4))
    number, block = writer.write(memoryview(message.data))
    payload = encode(Reference(number, 100_000, len(stripped) - 4, block, stripped))
    registry = FrameRegistry(tmp_path, LIMIT)
    assert deserialize_message(registry.materialize(registry.track(payload)), Image) == message
    assert registry.materialize(stripped) is stripped


def test_frames_that_only_stages_retain_are_not_needed_for_items(tmp_path):
    """So that admission does not wait for their release."""
    registry = FrameRegistry(tmp_path, LIMIT)
    ledger = [registry.track(reference_to(1, '7.1')), registry.track(reference_to(2, '7.2'))]
    size = block_size(100_000)
    registry.set_retained('check/worker_0', [reference_to(1, '7.1')])
    registry.set_retained('check/worker_1', [reference_to(1, '7.1')])
    assert (registry.in_use, registry.needed) == (2 * size, 2 * size)
    del ledger[0]
    registry.release_unreferenced()
    assert (registry.in_use, registry.needed) == (2 * size, size)
    registry.set_retained('check/worker_0', [])
    registry.set_retained('check/worker_1', [])
    registry.release_unreferenced()
    assert (registry.in_use, registry.needed) == (size, size)


def test_frames_about_to_be_released_are_not_needed(tmp_path):
    """No item refers to them any more; their producers are notified at the end of the event."""
    registry = FrameRegistry(tmp_path, LIMIT)
    first, second = (registry.track(reference_to(1, '7.1')) for _ in range(2))
    size = block_size(100_000)
    registry.set_retained('check/worker_0', [reference_to(1, '7.1')])
    del first
    assert registry.needed == size
    del second
    assert (registry.in_use, registry.needed) == (size, 0)
    registry.set_retained('check/worker_0', [])
    assert (registry.in_use, registry.needed) == (size, 0)
    registry.release_unreferenced()
    assert (registry.in_use, registry.needed) == (0, 0)


def test_a_block_is_needed_while_any_of_its_frames_is(tmp_path):
    """After a crash of the manager there may be references to several."""
    registry = FrameRegistry(tmp_path, LIMIT)
    old, new = (registry.track(reference_to(number, '7.1')) for number in (1, 2))
    size = block_size(100_000)
    assert registry.needed == size
    del old
    assert registry.needed == size
    del new
    assert registry.needed == 0


def test_two_payloads_of_one_frame_are_recognised(tmp_path):
    """A whole message has no frame."""
    registry = FrameRegistry(tmp_path, LIMIT)
    first, second = (registry.track(reference_to(1, '7.1')) for _ in range(2))
    other = registry.track(reference_to(2, '7.1'))
    assert registry.frame_of(first) == registry.frame_of(second) is not None
    assert registry.frame_of(first) != registry.frame_of(other)
    assert registry.frame_of(b'a whole message') is None
    assert registry.frame_of(None) is None
