# SPDX-License-Identifier: Apache-2.0
"""Observations of a pipeline."""

from __future__ import annotations

from worker_pipeline.airside.mission.observation import LAST, Observation, OutputCount


def test_outputs_are_counted_once_and_disorder_is_counted():
    count = OutputCount()
    assert [count.add(stamp) for stamp in (10, 20, 20, 15, 30)] == [True, True, False, True, True]
    assert (count.messages, count.repeated, count.disordered, count.newest) == (4, 1, 1, 30)


def test_a_frame_missing_on_the_last_topic_is_lost():
    seen = Observation()
    for stamp in (1, 2, 3, 4, 5):
        seen.record_output('detect_target', stamp)
    for stamp in (3, 5):
        seen.record_output(LAST, stamp)
    seen.record_output('flight_interface', 99)
    assert seen.lost_frames() == {4}, '1 and 2 came before the first message on the last topic'
    assert Observation().lost_frames() == set()


def test_diagnostics_are_summed():
    seen = Observation()
    seen.record_status('detect_target', {'queued': '3', 'in_flight': '2', 'dropped': '1'})
    seen.record_status('flight_interface', {'queued': '7', 'in_flight': '1'})
    seen.record_status('detect_target/worker_0', {'state': 'replacing', 'restarts': '2'})
    seen.record_status('detect_target/worker_1', {'state': 'active', 'restarts': '0'})
    assert seen.in_flight == 5, 'odometry is no frame'
    assert seen.workers_alive == 1
    assert seen.replacements == 2
    assert seen.counter('detect_target', 'dropped') == 1
    assert seen.counter('nobody', 'dropped') == 0
    assert seen.counter('detect_target', 'latency') == 0


def test_a_workers_processes_are_kept_in_order():
    seen = Observation()
    for process_id in (7, 7, 9):
        seen.record_heartbeat('detect_target/worker_0', process_id, {'in_flight': '1'})
    assert seen.process_ids == {'detect_target/worker_0': [7, 9]}
    assert seen.items_held == {'detect_target/worker_0': 1}


def test_a_frame_whose_detections_got_no_pose_is_not_placed():
    """The odometry had a gap. A frame without detections needs no pose."""
    seen = Observation()
    for stamp, detections, merged in ((1, 2, 2), (2, 3, 0), (3, 0, 0)):
        seen.record_size('detect_target', stamp, detections)
        seen.record_size('data_merge', stamp, merged)
        seen.record_output(LAST, stamp)
    assert seen.frames_without_pose() == {2}
    assert seen.placed_frames() == {1, 3}


def test_a_frame_that_was_not_searched_is_not_placed():
    """Nothing found in it says nothing of the ground."""
    seen = Observation()
    for stamp in (1, 2):
        seen.record_size('detect_target', stamp, 0)
        seen.record_size('data_merge', stamp, 0)
        seen.record_output(LAST, stamp)
    seen.unsearched.add(2)
    assert seen.placed_frames() == {1}
