# SPDX-License-Identifier: Apache-2.0
"""The tables at the end of a mission."""

from __future__ import annotations

import io
import re

import attrs
import pytest
from rich.console import Console
from targets import cloud

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.mission.assessment import Accounting, Assessment, Latency
from worker_pipeline.airside.mission.display import flight_table, pad_table
from worker_pipeline.airside.mission.estimate import Finding, to_estimates
from worker_pipeline.airside.simulation.pads import Pad

FAR = [Pad(34, -117.0, -102.5), Pad(NO_LABEL, -100.0, 12.0)]


def printed(table, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue().splitlines()


def row_of(lines, name):
    """Return the non-empty cells of a row."""
    [row] = [line for line in lines if name in line]
    return [cell for cell in re.split(' {2,}', row.strip()) if cell]


@pytest.fixture(scope='module')
def result():
    found, false_targets = to_estimates(
        cloud((34, -116.25, -101.5), (9, 55.0, -66.0), count=1234, deviation=0.9)
    )
    findings = [Finding(FAR[0], found), Finding(FAR[1], None)]
    books = Accounting(600, 599, 1, 0, 2, 599, 0, 0, 0, 0)
    latency = Latency(0.081, 0.25)
    return Assessment(findings, [false_targets], books, latency, 7, 6, 1, ['something'])


def test_each_pad_has_a_row_with_its_error_and_stated_deviation(result):
    lines = printed(pad_table(result))
    found = row_of(lines, 'marker 34')
    assert found[:6] == ['marker 34', '-117.0', '-102.5', '1.25', '0.90', '1234']
    assert [float(cell) for cell in found[6:]] == pytest.approx(
        [result.findings[0].estimate.latitude, result.findings[0].estimate.longitude], abs=1e-6
    )
    assert row_of(lines, 'unmarked')[3:] == ['missed', '0']
    assert row_of(lines, 'marker 9')[1:5] == ['55.0', '-66.0', 'no pad', '0.90']


def test_the_tables_fit_into_80_columns(result):
    lines = printed(pad_table(result))
    assert not any('…' in line for line in lines)
    assert len([line for line in lines if line.strip()]) == 7, 'no row is wrapped'


def test_the_flight_table_has_kills_and_acknowledged_targets(result):
    lines = printed(flight_table(result))
    assert row_of(lines, 'pads found')[1] == '1 of 2'
    assert row_of(lines, 'largest error')[1] == '1.25 m'
    assert row_of(lines, 'workers killed')[1] == '7'
    assert row_of(lines, 'workers replaced')[1] == '6'
    assert row_of(lines, 'the ground')[1] == '1 of 2'
    assert row_of(lines, 'latency, median')[1] == '81 ms'


def test_frames_that_were_not_searched_have_a_row_if_there_are_any(result):
    assert 'not searched' not in ' '.join(printed(flight_table(result)))
    books = attrs.evolve(result.accounting, not_searched=3)
    lines = printed(flight_table(attrs.evolve(result, accounting=books)))
    assert row_of(lines, 'frames not searched')[1] == '3'


def test_without_a_ground_station_its_row_is_missing(result):
    lines = printed(flight_table(attrs.evolve(result, acknowledged=None)))
    assert 'ground' not in ' '.join(lines)
