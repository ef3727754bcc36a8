# SPDX-License-Identifier: Apache-2.0
"""The figures of a storm of pauses."""

from __future__ import annotations

from typing import Any

import pytest
from storm.pauses import is_good, main, markdown_table, summed_up


def result(**changes: Any) -> dict[str, Any]:
    usual = dict.fromkeys(
        ('replaced', 'quarantined', 'redelivered', 'dropped', 'missed', 'counted', 'twice'), 0
    )
    return {
        'kind': 'whole',
        'seconds': 6.0,
        **usual,
        'unreceived': 0,
        'told': True,
        'recovery': 0.5,
        **changes,
    }


def test_the_figures_of_each_pause_are_summed_up():
    figures = summed_up(
        [
            result(unreceived=20, recovery=0.3),
            result(unreceived=3, told=False, twice=1, recovery=2.5),
            result(recovery=1.0),
            result(kind='manager', seconds=1.0),
        ]
    )
    found = figures['whole', 6.0]
    assert (found['pauses'], found['outputs received twice']) == (3, 1)
    assert found['inputs not received, and told'] == 20
    assert found['inputs not received, and not told'] == 3
    assert found['first new output, median [s]'] == 1.0
    assert found['first new output, at most [s]'] == 2.5
    assert is_good(figures)
    assert '| replaced | 0 |' in markdown_table('whole', figures)
    assert '| pauses | 1 |' in markdown_table('manager', figures)


@pytest.mark.parametrize('key', ['replaced', 'quarantined', 'redelivered', 'missed'])
def test_one_victim_breaks_the_promise(key):
    assert not is_good(summed_up([result(), result(**{key: 1})]))


def test_a_run_that_was_aborted_breaks_the_promise():
    figures = summed_up([{'kind': 'whole', 'seconds': 6.0, 'aborted': 'no output'}])
    assert not is_good(figures)
    assert '| pauses | 0 |' in markdown_table('whole', figures)


def test_what_is_missed_may_be_counted():
    figures = summed_up([result(missed=2, counted=2)])
    assert is_good(figures)
    assert figures['whole', 6.0]['outputs counted as lost'] == 2


def test_a_storm_without_pauses_is_no_success():
    assert not is_good({})


def test_an_unknown_kind_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(['--kinds', 'whole,other'])
    assert "found {'other'}; allowed: whole, manager" in capsys.readouterr().err
