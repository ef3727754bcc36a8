# SPDX-License-Identifier: Apache-2.0
"""A change that no worker can start with is given up, and the old settings are in use at once."""

from __future__ import annotations

from support.offline_pipeline import GAIN, HEADER, stage_config
from support.offline_stage import reconfigure

from worker_pipeline.config import PluginDescription

PLUGIN = PluginDescription(HEADER, HEADER, exclusive=True, parameters=GAIN)


def fail_change(rig):
    """Set a gain of 6, with which no worker can start, and wait until it has been set back."""
    reverted = []

    def revert(_stage, settings):
        reverted.append(settings)
        reconfigure(rig, params={'gain': settings['params.gain']})

    rig.pipeline.revert = revert
    reconfigure(rig, params={'gain': 6.0})
    for _ in range(1000):
        for worker in rig.processes.workers.values():
            if worker.spec.params == {'gain': 6.0}:
                worker.death = 'exit code 1'
        rig.step()
        if reverted:
            break
    assert reverted == [{'params.gain': 1.0}]


def test_the_old_settings_are_in_use_at_once_however_often_a_change_fails(make):
    """The failed starts neither delay the next one nor make the slot a failed one."""
    rig = make(stage_config('s', params={'gain': 1.0}), plugins={'s': PLUGIN})
    rig.start()
    for _ in range(4):
        fail_change(rig)
        rig.run(0.5)
        assert rig.active('s') == ['worker_0']
        assert rig.worker('s').spec.params == {'gain': 1.0}
        assert not rig.slot('s').supervision.policy.failing(rig.clock.now)
    assert rig.stages['s'].workers.update.rollout.ended == 4
