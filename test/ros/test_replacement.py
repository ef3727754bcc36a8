# SPDX-License-Identifier: Apache-2.0
"""Workers that are replaced while they are well: for a parameter, their size, items or age."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import GetParameters
from support.observer import header, number_of

from worker_pipeline.testing import wait_for

SET = (True, '')


def holder(name: str, folder: Any, **settings: Any) -> dict[str, Any]:
    return {
        'plugin': f'support.holding_stages:{name}',
        'queue_size': 1000,
        'params': {'lock': str(folder / name)},
        **settings,
    }


class Traffic:
    """Items for a stage, a few at a time, and its outputs."""

    def __init__(self, observer: Any, stage: str, manager: Any) -> None:
        self.stage = stage
        self.answers = observer.collect(f'{stage}/output')
        self._feed = observer.feeder(f'{stage}/input')
        self._manager = manager
        self.fed = 0

    def feed(self, *, extra: str = '') -> None:
        message = header(self.fed)
        message.frame_id += extra
        self._feed.publish(message)
        self.fed += 1

    def until(self, fact: Callable[[], Any], what: str, timeout: float = 60.0) -> None:
        """Feed until a fact is true, with few items on the way."""

        def is_so() -> bool:
            if self.fed - len(self.answers) < 4:
                self.feed()
            return bool(fact())

        wait_for(is_so, f'{self.stage}: {what}', timeout, seen=self._manager.show)

    def check(self) -> None:
        """Every item has come out once, in order."""
        wait_for(lambda: len(self.answers) == self.fed, 'all answers', seen=self._manager.show)
        assert [number_of(each) for each in self.answers] == list(range(self.fed))

    @property
    def gain(self) -> float:
        """The gain of the worker that answered last."""
        return float(self.answers[-1].frame_id.split()[2]) if self.answers else 0.0

    @property
    def pids(self) -> set[int]:
        return {int(each.frame_id.split()[-1]) for each in self.answers}


def value_of(observer: Any, name: str) -> float:
    answer = observer.call(
        GetParameters, 'manager/get_parameters', GetParameters.Request(names=[name])
    )
    return float(answer.values[0].double_value)


@pytest.fixture
def holders(start, observer, tmp_path):
    """Three stages that lock a file each."""
    names = {
        'exclusive': 'Exclusive',
        'active': 'HoldsWhileActive',
        'configured': 'HoldsWhileConfigured',
    }
    parameters: dict[str, Any] = {'stages': [*names]}
    parameters |= {stage: holder(name, tmp_path) for stage, name in names.items()}
    manager = start(parameters)
    traffic = {stage: Traffic(observer, stage, manager) for stage in names}
    for stage in names:
        observer.wait_until_active(stage, 1)
    return manager, traffic


def test_what_only_one_process_may_hold_is_handed_over(holders, observer):
    """A change that comes true: the one closes it before the other opens it."""
    manager, traffic = holders
    for stage in ('exclusive', 'active'):
        items = traffic[stage]
        items.until(lambda items=items: items.gain == 1.0, 'the old gain')
        assert observer.set_parameter('manager', f'{stage}.params.gain', 2.0) == SET
        items.until(lambda items=items: items.gain == 2.0, 'the new gain')
        items.check()
        assert observer.count(stage, 'redelivered') == 0
    assert 'no worker was active for' in manager.output
    wait_for(lambda: manager.output.count('params.gain: 2.0 is in effect') == 2, 'both in effect')
    wait_for(lambda: float(observer.values('exclusive')['gap_s']) > 0.0, 'the gap in diagnostics')
    assert ' exited: ' not in manager.output
    # Nor does a death lead to two at once.
    victim = observer.kill('exclusive/worker_0')
    observer.wait_until_replaced('exclusive/worker_0', victim)
    assert manager.output.count(' exited: ') == 1


def test_a_change_that_fails_is_taken_back_and_reported(holders, observer):
    """Set, it was accepted; it is not in effect, and the parameter reads what is."""
    manager, traffic = holders
    reasons = {
        'exclusive': (13.0, 'ValueError: gain 13 is too much'),
        'active': (13.0, 'ValueError: gain 13 is too much'),
        # It is the lock that fails, as the stage does not say that it is exclusive.
        'configured': (2.0, 'BlockingIOError: [Errno 11] Resource temporarily unavailable'),
    }
    for stage, (gain, reason) in reasons.items():
        items = traffic[stage]
        items.until(lambda items=items: items.gain == 1.0, 'the old gain')
        name = f'{stage}.params.gain'
        assert observer.set_parameter('manager', name, gain) == SET
        items.until(lambda name=name: value_of(observer, name) == 1.0, 'the old value')
        text = f'params.gain: {gain} is not in effect: worker_'
        observer.wait_for_status(stage, DiagnosticStatus.ERROR, text)
        assert reason in manager.output
        items.until(lambda items=items: items.gain == 1.0, 'the old gain again')
        items.check()
        observer.wait_until_active(stage, 1)
    assert 'set exclusive = True in the class' in manager.output
    # Whoever waits for it is told the same; and setting what is in effect ends the report.
    observer.set_stage_parameter('exclusive', 'params.gain', 1.0)
    observer.wait_for_status('exclusive', DiagnosticStatus.OK, 'active')
    done, message = observer.set_stage_parameter('exclusive', 'params.gain', 13.0)
    assert not done
    assert 'gain 13 is too much; still in effect: params.gain: 1.0' in message
    assert observer.set_stage_parameter('exclusive', 'params.gain', 2.5) == SET
    assert observer.set_stage_parameter('exclusive', 'queue_size', 900) == SET
    assert observer.set_parameter('manager', 'exclusive.params.gain', 3.0) == SET
    traffic['exclusive'].until(lambda: traffic['exclusive'].gain == 3.0, 'a gain that is possible')
    done, message = observer.set_stage_parameter('exclusive', 'workers', 2)
    assert not done
    assert 'exclusive.workers: found 2; allowed: 1' in message


def test_workers_that_grow_slowly_or_are_old_are_replaced_at_no_ones_cost(start, observer):
    """Only an item that grows beyond the limit by itself is suspected."""
    plugin = {'plugin': 'support.holding_stages:Leaks', 'queue_size': 1000}
    manager = start(
        {
            'stages': ['leaks', 'counts', 'ages'],
            'leaks': {**plugin, 'workers': 2, 'memory_limit': 200.0, 'task_timeout': 30.0},
            'counts': {**plugin, 'max_items_per_worker': 5},
            'ages': {**plugin, 'max_worker_age': 2.0},
        }
    )
    for stage, workers in (('leaks', 2), ('counts', 1), ('ages', 1)):
        observer.wait_until_active(stage, workers)
    for stage, reason in (
        ('leaks', 'memory; memory_limit is 200 MB'),
        ('counts', 'items; max_items_per_worker is 5'),
        ('ages', 's old; max_worker_age is 2 s'),
    ):
        items = Traffic(observer, stage, manager)
        items.until(lambda items=items: len(items.pids) > 3, 'several workers')
        items.check()
        assert reason in manager.output
        assert observer.count(stage, 'redelivered') == 0
    assert ' exited: ' not in manager.output
    items = Traffic(observer, 'leaks', manager)
    items.fed = 100_000
    items.feed(extra=' 100')
    wait_for(lambda: observer.count('leaks', 'quarantined') == 1, 'the item', 60.0, manager.show)
    assert 'MB of it since the item started; memory_limit is 200 MB' in manager.output
