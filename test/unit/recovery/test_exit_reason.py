# SPDX-License-Identifier: Apache-2.0
"""The reason for its exit that a worker leaves in its liveness record."""

from __future__ import annotations

import pytest

from worker_pipeline.recovery.liveness import LivenessRecord


@pytest.fixture
def record(tmp_path):
    found = LivenessRecord.prepare(tmp_path / 'record', run_id=1, config_hash=2)
    yield found
    found.close()


@pytest.mark.parametrize(
    'reason',
    ['ValueError: no', 'KeyError: 猫\n', 'x' * 1023],
    ids=['short', 'not English', 'of the maximum length'],
)
def test_the_exit_reason_is_read_by_any_process_that_opens_the_record(record, reason):
    """Also after the process that recorded it has died."""
    assert record.exit_reason() == ''
    record.set_exit_reason(reason)
    other = LivenessRecord(record.path)
    assert other.exit_reason() == reason
    other.close()
    assert record.read().run_id == 1


@pytest.mark.parametrize(
    ('reason', 'kept'), [('é' * 2000, 'é' * 511), ('a\0b', 'a'), ('\ud800', '?')]
)
def test_an_exit_reason_that_is_too_long_is_cut_between_characters(record, reason, kept):
    """A later reason replaces an earlier one completely."""
    record.set_exit_reason('y' * 5000)
    record.set_exit_reason(reason)
    assert record.exit_reason() == kept
