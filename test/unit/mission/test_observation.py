"""What a watcher learns."""

from __future__ import annotations

from worker_pipeline.mission.observation import LAST, Observation, OutputCount


def test_outputs_are_counted_once_and_disorder_is_seen():
    count = OutputCount()
    assert [count.add(stamp) for stamp in (10, 20, 20, 15, 30)] == [True, True, False, True, True]
    assert (count.messages, count.repeated, count.disordered, count.newest) == (4, 1, 1, 30)


def test_a_frame_that_never_came_out_is_lost():
    seen = Observation()
    for stamp in (1, 2, 3, 4, 5):
        seen.came('detect_target', stamp)
    for stamp in (3, 5):
        seen.came(LAST, stamp)
    seen.came('flight_interface', 99)
    assert seen.lost() == {4}, '1 and 2 came before the last topic was heard'
    assert Observation().lost() == set()


def test_diagnostics_are_summed_up():
    seen = Observation()
    seen.told('detect_target', {'queued': '3', 'in_flight': '2', 'dropped': '1'})
    seen.told('flight_interface', {'queued': '7', 'in_flight': '1'})
    seen.told('detect_target/worker_0', {'state': 'replacing', 'restarts': '2'})
    seen.told('detect_target/worker_1', {'state': 'active', 'restarts': '0'})
    assert seen.in_flight == 5, 'odometry is no frame'
    assert seen.workers_alive == 1
    assert seen.replacements == 2
    assert seen.counter('detect_target', 'dropped') == 1
    assert seen.counter('nobody', 'dropped') == 0
    assert seen.counter('detect_target', 'latency') == 0


def test_a_workers_processes_are_kept_in_order():
    seen = Observation()
    for process_id in (7, 7, 9):
        seen.heard('detect_target/worker_0', process_id, {'in_flight': '1'})
    assert seen.process_ids == {'detect_target/worker_0': [7, 9]}
    assert seen.holding == {'detect_target/worker_0': 1}
